-- Schema 2: judges in a table of their own, every call of a model, and judgings beside the first.

DROP VIEW question_rows;

CREATE TABLE judges (
  judge_id      INTEGER PRIMARY KEY,
  role          TEXT NOT NULL,           -- answerer or verifier
  identity      TEXT NOT NULL,           -- model, as it names itself
  revision      TEXT NOT NULL,           -- empty: in the identity, or not known
  prompt_sha256 TEXT NOT NULL,           -- of the prompt's text; empty: not known
  sampling      TEXT NOT NULL,           -- JSON
  UNIQUE (role, identity, revision, prompt_sha256, sampling)
);
INSERT INTO judges (role, identity, revision, prompt_sha256, sampling)
SELECT 'answerer', answerer, '', '', '{}' FROM answers GROUP BY answerer ORDER BY min(question_id);
INSERT INTO judges (role, identity, revision, prompt_sha256, sampling)
SELECT 'verifier', judge, '', '', '{}' FROM verdicts GROUP BY judge ORDER BY min(question_id);

CREATE TABLE verdicts_2 (
  question_id INTEGER PRIMARY KEY REFERENCES questions,
  grammatical INTEGER CHECK (grammatical IN (0, 1)),
  atomic      INTEGER CHECK (atomic IN (0, 1)),
  grounded    INTEGER CHECK (grounded IN (0, 1)),
  objective   INTEGER CHECK (objective IN (0, 1)),
  correct     INTEGER CHECK (correct IN (0, 1)),
  reason      TEXT NOT NULL,
  failure     TEXT,
  judge_id    INTEGER NOT NULL REFERENCES judges
);
INSERT INTO verdicts_2
SELECT question_id, grammatical, atomic, grounded, objective, correct, reason, failure, judge_id
FROM verdicts JOIN judges ON role = 'verifier' AND identity = judge;
DROP TABLE verdicts;
ALTER TABLE verdicts_2 RENAME TO verdicts;

CREATE TABLE answers_2 (
  question_id INTEGER PRIMARY KEY REFERENCES questions,
  text        TEXT,
  failure     TEXT,
  judge_id    INTEGER NOT NULL REFERENCES judges,
  CHECK ((text IS NULL) <> (failure IS NULL))
);
INSERT INTO answers_2
SELECT question_id, text, failure, judge_id FROM answers JOIN judges ON role = 'answerer' AND identity = answerer;
DROP TABLE answers;
ALTER TABLE answers_2 RENAME TO answers;

CREATE TABLE calls (                      -- one row per call of a model; a resumed run takes its replies from here
  call_id           INTEGER PRIMARY KEY,
  run_id            INTEGER NOT NULL REFERENCES runs,
  phase             TEXT NOT NULL,
  step              INTEGER NOT NULL,
  role              TEXT NOT NULL,
  request           TEXT NOT NULL,        -- sha256 of all that decides the reply
  status            TEXT NOT NULL,
  text              TEXT NOT NULL,
  reasoning         TEXT NOT NULL,
  finish_reason     TEXT NOT NULL,
  error             TEXT NOT NULL,
  attempts          INTEGER NOT NULL,
  prompt_tokens     INTEGER NOT NULL,
  completion_tokens INTEGER NOT NULL,
  endpoint          TEXT NOT NULL,
  latency_time      REAL NOT NULL,        -- seconds
  UNIQUE (run_id, phase, step, role, request)
);

CREATE TABLE judgings (                   -- a finished run seen again, by another verifier or another reward
  judging_id   INTEGER PRIMARY KEY,
  run_id       INTEGER NOT NULL REFERENCES runs,
  name         TEXT NOT NULL,
  base         TEXT,                      -- name of the judging whose verdicts are taken; NULL: the run's own
  reward       TEXT,                      -- the expression; NULL: another verifier's verdicts
  created_time TEXT NOT NULL,
  UNIQUE (run_id, name)
);

CREATE TABLE judging_verdicts (
  judging_id  INTEGER NOT NULL REFERENCES judgings,
  question_id INTEGER NOT NULL REFERENCES questions,
  grammatical INTEGER CHECK (grammatical IN (0, 1)),
  atomic      INTEGER CHECK (atomic IN (0, 1)),
  grounded    INTEGER CHECK (grounded IN (0, 1)),
  objective   INTEGER CHECK (objective IN (0, 1)),
  correct     INTEGER CHECK (correct IN (0, 1)),
  reason      TEXT NOT NULL,
  failure     TEXT,
  judge_id    INTEGER NOT NULL REFERENCES judges,
  PRIMARY KEY (judging_id, question_id)
) WITHOUT ROWID;

CREATE TABLE judging_rewards (
  judging_id  INTEGER NOT NULL REFERENCES judgings,
  question_id INTEGER NOT NULL REFERENCES questions,
  term        TEXT NOT NULL,
  value       REAL,
  PRIMARY KEY (judging_id, question_id, term)
) WITHOUT ROWID;

CREATE TABLE judging_sequences (
  judging_id  INTEGER NOT NULL REFERENCES judgings,
  sequence_id INTEGER NOT NULL REFERENCES sequences,
  reward      REAL,                       -- NULL: unscored
  PRIMARY KEY (judging_id, sequence_id)
) WITHOUT ROWID;

-- One row per question with everything beside it. valid: any criterion 0, or a slot without a question: 0; else any
-- NULL: NULL; else 1. found: 1 for a failure of the answerer, 0 for a right answer, NULL where that is not known.
CREATE VIEW question_rows AS
SELECT *, CASE WHEN valid = 1 THEN 1 - correct END AS found
FROM (
  SELECT runs.id AS run, steps.phase, steps.step, sequences.sequence, questions.slot, questions.question_id,
         images.id AS image, images.key AS image_key, questions.status, questions.text AS question, questions.prefix,
         CASE WHEN questions.status <> 'ok' OR grammatical = 0 OR atomic = 0 OR grounded = 0 OR objective = 0 THEN 0
              WHEN grammatical + atomic + grounded + objective IS NULL THEN NULL
              ELSE 1 END AS valid,
         verdicts.correct, verdicts.reason, verdicts.failure AS verdict_failure, verifiers.identity AS judge,
         answers.question_id IS NOT NULL AS asked, answers.text AS answer, answers.failure AS answer_failure,
         answerers.identity AS answerer
  FROM questions
  JOIN sequences USING (sequence_id)
  JOIN steps USING (step_id)
  JOIN runs USING (run_id)
  JOIN images ON images.image_id = sequences.image_id
  LEFT JOIN verdicts ON verdicts.question_id = questions.question_id
  LEFT JOIN judges AS verifiers ON verifiers.judge_id = verdicts.judge_id
  LEFT JOIN answers ON answers.question_id = questions.question_id
  LEFT JOIN judges AS answerers ON answerers.judge_id = answers.judge_id
);
