-- Stored responses have a quota of bytes, and a share of it for each token: see crates/domain/src/command/answer_quota.rs.

-- The id of the token that sent the key; empty without a token. It follows a space in the key, and `#` with the number of
-- a line follows it.
ALTER TABLE answers ADD COLUMN token text COLLATE "C" NOT NULL DEFAULT '';
-- How much the response counts.
ALTER TABLE answers ADD COLUMN bytes bigint NOT NULL DEFAULT 0;

UPDATE answers SET token = split_part(split_part(key, ' ', 2), '#', 1),
    bytes = octet_length(key) + octet_length(fingerprint) + octet_length(answer) + 256;

CREATE INDEX answers_of_token ON answers (token, hour, at, key, bytes);
