-- Schema 6: which criterion a question fails in the eyes of a person.

ALTER TABLE labels ADD COLUMN criterion TEXT
  CHECK (criterion IN ('grammatical', 'atomic', 'grounded', 'objective'));  -- NULL: not said, or the question is valid
