-- Schema 3: what an update did, beside the step.

ALTER TABLE steps ADD COLUMN numbers TEXT NOT NULL DEFAULT '{}';  -- JSON: loss, kl, ... of a training step
