-- What was seen of what plugins hold, and who holds them: see migrations/sqlite/0005_truth.sql and 0006_pulses.sql.

-- What is known of the plugin's resources after the change, as a JSON array; null when nothing is.
ALTER TABLE changes ADD COLUMN observed text;

-- The same as of the head.
ALTER TABLE plugins ADD COLUMN observed text;

-- The leases as of the head, those that have ended and are not yet forgotten included.
CREATE TABLE leases (
    id       text   COLLATE "C" PRIMARY KEY,
    -- Holder, host, time to live, state, and since when, as JSON.
    document text   NOT NULL,
    revision bigint NOT NULL
);

-- Signs of life. They are no part of the journal: nothing waits for the disk, and after a crash of the database they are
-- gone, which gives everybody time to be heard of again.
CREATE UNLOGGED TABLE pulses (
    kind text   NOT NULL,
    name text   COLLATE "C" NOT NULL,
    at   bigint NOT NULL,
    PRIMARY KEY (kind, name)
);
