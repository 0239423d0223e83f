-- Stored responses have a quota of bytes, and a share of it for each token: see crates/domain/src/command/answer_quota.rs.

-- The id of the token that sent the key; empty without a token. It follows a space in the key, and `#` with the number of
-- a line follows it.
ALTER TABLE answers ADD COLUMN token TEXT NOT NULL DEFAULT '';
-- How much the response counts.
ALTER TABLE answers ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;

UPDATE answers SET token = substr(key, instr(key, ' ') + 1) WHERE instr(key, ' ') > 0;
UPDATE answers SET token = substr(token, 1, instr(token, '#') - 1) WHERE instr(token, '#') > 0;
UPDATE answers SET bytes = length(CAST(key AS BLOB)) + length(fingerprint) + length(CAST(answer AS BLOB)) + 256;

CREATE INDEX answers_of_token ON answers (token, hour, at, key, bytes);
