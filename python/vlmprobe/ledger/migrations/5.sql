-- Schema 5: what the budgets were charged for a call, beside what the server counted.

ALTER TABLE calls ADD COLUMN charged_calls INTEGER NOT NULL DEFAULT 0;              -- all attempts together
ALTER TABLE calls ADD COLUMN charged_prompt_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE calls ADD COLUMN charged_completion_tokens INTEGER NOT NULL DEFAULT 0;
UPDATE calls SET charged_calls = attempts, charged_prompt_tokens = prompt_tokens,
                 charged_completion_tokens = completion_tokens;                     -- all that is known of earlier ones
