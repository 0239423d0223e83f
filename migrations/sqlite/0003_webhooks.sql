-- Webhooks: who is told of changes by HTTP, and how far each has come. They are no part of the
-- journal: their positions change with every delivery, and their secrets must not be in the history.
CREATE TABLE webhooks (
    id                TEXT    NOT NULL PRIMARY KEY,
    -- What its owner has set, as JSON; without the secret.
    document          TEXT    NOT NULL,
    -- What deliveries are signed with: `whsec_` and base64. It must be kept as it is, for signing needs it.
    secret            TEXT    NOT NULL,
    -- Every change up to this revision was delivered, or is of no concern to it.
    position          INTEGER NOT NULL,
    -- How often the delivery after `position` has failed, and since when. All times are microseconds
    -- since 1970-01-01T00:00:00Z.
    failures          INTEGER NOT NULL,
    first_failed_at   INTEGER,
    next_attempt_at   INTEGER,
    last_error        TEXT,
    -- The HTTP status of the newest attempt, when it was answered at all.
    last_status       INTEGER,
    last_delivered_at INTEGER,
    -- When it was given up; null while deliveries go on.
    parked_at         INTEGER
) STRICT;
