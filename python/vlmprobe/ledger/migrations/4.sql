-- Schema 4: what people say about questions.

CREATE TABLE labels (
  question_id INTEGER NOT NULL REFERENCES questions,
  annotator   TEXT NOT NULL,
  valid       INTEGER CHECK (valid IN (0, 1)),     -- NULL: not said
  correct     INTEGER CHECK (correct IN (0, 1)),   -- the recorded answer; NULL: not said
  probability REAL CHECK (probability > 0 AND probability <= 1),  -- of the question to be labelled; NULL: not known
  PRIMARY KEY (question_id, annotator)
) WITHOUT ROWID;
