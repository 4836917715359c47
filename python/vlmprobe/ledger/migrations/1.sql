-- Schema 1: the tables of a run. Truth values are 0, 1 or NULL (unknown); a number that is not one (NaN) is NULL.
-- Times stand only in columns that end in _time, so that two runs with one seed differ in nothing else.

CREATE TABLE runs (
  run_id        INTEGER PRIMARY KEY,
  id            TEXT NOT NULL UNIQUE,
  config        TEXT NOT NULL,           -- JSON
  versions      TEXT NOT NULL,           -- JSON: package -> version
  identities    TEXT NOT NULL,           -- JSON: role -> model and revision
  created_time  TEXT NOT NULL,
  finished_time TEXT                     -- NULL: running, or interrupted
);

CREATE TABLE images (
  image_id INTEGER PRIMARY KEY,
  run_id   INTEGER NOT NULL REFERENCES runs,
  id       INTEGER NOT NULL,             -- number in the source
  key      TEXT NOT NULL,                -- name in the source
  sha256   TEXT NOT NULL,                -- of the pixels
  UNIQUE (run_id, id)
);

CREATE TABLE steps (
  step_id       INTEGER PRIMARY KEY,
  run_id        INTEGER NOT NULL REFERENCES runs,
  phase         TEXT NOT NULL,           -- train, before, after, the name of an arm, ...
  step          INTEGER NOT NULL,
  recorded_time TEXT NOT NULL,
  UNIQUE (run_id, phase, step)           -- a step counts once
);

CREATE TABLE sequences (
  sequence_id INTEGER PRIMARY KEY,
  step_id     INTEGER NOT NULL REFERENCES steps,
  sequence    INTEGER NOT NULL,          -- row of the batch
  image_id    INTEGER NOT NULL REFERENCES images,
  group_id    INTEGER NOT NULL,
  text        TEXT NOT NULL,             -- the completion
  tokens      INTEGER NOT NULL,
  reward      REAL,                      -- NULL: unscored
  advantage   REAL,
  UNIQUE (step_id, sequence)
);

CREATE TABLE questions (
  question_id INTEGER PRIMARY KEY,
  sequence_id INTEGER NOT NULL REFERENCES sequences,
  slot        INTEGER NOT NULL,
  status      TEXT NOT NULL,             -- ok, or what is wrong with the slot
  text        TEXT NOT NULL,
  prefix      TEXT NOT NULL,
  UNIQUE (sequence_id, slot)
);

CREATE TABLE verdicts (
  question_id INTEGER PRIMARY KEY REFERENCES questions,
  grammatical INTEGER CHECK (grammatical IN (0, 1)),
  atomic      INTEGER CHECK (atomic IN (0, 1)),
  grounded    INTEGER CHECK (grounded IN (0, 1)),
  objective   INTEGER CHECK (objective IN (0, 1)),
  correct     INTEGER CHECK (correct IN (0, 1)),
  reason      TEXT NOT NULL,
  failure     TEXT,
  judge       TEXT NOT NULL              -- model and revision
);

CREATE TABLE answers (
  question_id INTEGER PRIMARY KEY REFERENCES questions,
  text        TEXT,
  failure     TEXT,
  answerer    TEXT NOT NULL,             -- model and revision
  CHECK ((text IS NULL) <> (failure IS NULL))
);

CREATE TABLE rewards (
  question_id INTEGER NOT NULL REFERENCES questions,
  term        TEXT NOT NULL,             -- a term before weighting, or 'total'
  value       REAL,
  PRIMARY KEY (question_id, term)
) WITHOUT ROWID;

CREATE TABLE annotations (               -- what the source knows: program, family, faults, ...
  question_id INTEGER NOT NULL REFERENCES questions,
  key         TEXT NOT NULL,
  value       TEXT NOT NULL,             -- JSON
  PRIMARY KEY (question_id, key)
) WITHOUT ROWID;

CREATE TABLE events (
  event_id   INTEGER PRIMARY KEY,
  run_id     INTEGER NOT NULL REFERENCES runs,
  kind       TEXT NOT NULL,
  text       TEXT NOT NULL,
  event_time TEXT NOT NULL
);

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
         verdicts.correct, verdicts.reason, verdicts.failure AS verdict_failure, verdicts.judge,
         answers.question_id IS NOT NULL AS asked, answers.text AS answer, answers.failure AS answer_failure,
         answers.answerer
  FROM questions
  JOIN sequences USING (sequence_id)
  JOIN steps USING (step_id)
  JOIN runs USING (run_id)
  JOIN images ON images.image_id = sequences.image_id
  LEFT JOIN verdicts ON verdicts.question_id = questions.question_id
  LEFT JOIN answers ON answers.question_id = questions.question_id
);
