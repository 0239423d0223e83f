-- Who may do what, and who has done what.

-- Who has asked for the change: the name of a token, or `anonymous`. Null when the registry has made it by itself, or
-- before this was kept.
ALTER TABLE changes ADD COLUMN principal TEXT;

-- Tokens. They are no part of the journal, which is for everybody to read. As long as there is a row, even one of a token
-- that was revoked, nobody is let in without one.
CREATE TABLE tokens (
    id           TEXT    NOT NULL PRIMARY KEY,
    name         TEXT    NOT NULL,
    -- `viewer`, `reporter`, `agent` or `admin`.
    role         TEXT    NOT NULL,
    -- With which plugins it may be used, as JSON; null for all.
    scope        TEXT,
    -- A salted hash of its secret; null once it was revoked.
    hash         TEXT,
    -- Times are microseconds since 1970-01-01T00:00:00Z.
    created_at   INTEGER NOT NULL,
    created_by   TEXT,
    expires_at   INTEGER,
    -- Noted at most once a minute.
    last_used_at INTEGER,
    revoked_at   INTEGER
) STRICT;

CREATE UNIQUE INDEX tokens_by_name ON tokens (name) WHERE revoked_at IS NULL;
