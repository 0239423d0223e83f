-- Clocks: nothing that is kept or alive depends on how the wall clock of a machine is set.

-- Heartbeats: see src/store/postgres/heartbeats.rs. After a crash of the database they are gone, which gives every lease
-- and agent time to be heard again.
DROP TABLE pulses;

CREATE UNLOGGED TABLE heartbeats (
    kind        text   NOT NULL,
    name        text   COLLATE "C" NOT NULL,
    -- A random name of the process that shared it.
    process     text   NOT NULL,
    -- The transaction that wrote it.
    transaction bigint NOT NULL,
    -- When, by the clock of the database; only for the deletion of old rows.
    at          timestamptz NOT NULL,
    PRIMARY KEY (kind, name)
);

-- The hours through which the registry has run, and the head after each.
CREATE TABLE hours (
    hour     bigint PRIMARY KEY,
    revision bigint NOT NULL
);

-- The hour in which a response was stored.
ALTER TABLE answers ADD COLUMN hour bigint NOT NULL DEFAULT 0;
DROP INDEX answers_by_age;
CREATE INDEX answers_by_age ON answers (hour);

-- The revisions whose time is before that of the change before them, because a clock was wrong or corrected. Between two
-- of them, times do not decrease.
CREATE TABLE clock_steps (
    revision bigint PRIMARY KEY
);

CREATE FUNCTION note_clock_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.at < (SELECT at FROM changes WHERE revision < NEW.revision ORDER BY revision DESC LIMIT 1) THEN
        INSERT INTO clock_steps VALUES (NEW.revision) ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER clock_step AFTER INSERT ON changes FOR EACH ROW EXECUTE FUNCTION note_clock_step();
