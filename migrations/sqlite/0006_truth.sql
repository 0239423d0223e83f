-- What was seen of what plugins hold, and who holds them.

-- What is known of the plugin's resources after the change, as a JSON array; null when nothing is.
ALTER TABLE changes ADD COLUMN observed TEXT;

-- The same as of the head.
ALTER TABLE plugins ADD COLUMN observed TEXT;

-- The leases as of the head: what `changes` replays to, those that have ended and are not yet forgotten included.
CREATE TABLE leases (
    id       TEXT    NOT NULL PRIMARY KEY,
    -- Holder, host, time to live, state, and since when, as JSON.
    document TEXT    NOT NULL,
    revision INTEGER NOT NULL
) STRICT;
