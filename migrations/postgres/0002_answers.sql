-- Answers to requests with an Idempotency-Key: written with what was done, kept for a day.
CREATE TABLE answers (
    key         text   COLLATE "C" PRIMARY KEY,
    -- A digest of what was asked.
    fingerprint text   NOT NULL,
    -- When it was done, in microseconds since 1970-01-01T00:00:00Z.
    at          bigint NOT NULL,
    -- Status, header fields and body, as JSON.
    answer      text   NOT NULL
);

CREATE INDEX answers_by_age ON answers (at);
