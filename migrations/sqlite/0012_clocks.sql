-- Clocks: nothing that is kept or alive depends on how the wall clock of a machine is set.

-- Heartbeats, a row for all that a process shares at once: see src/store/sqlite/heartbeats.rs. They have no times.
DROP TABLE told_pulses;

CREATE TABLE heartbeats (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    -- A random name of the process that shared them.
    process TEXT NOT NULL,
    -- `[[kind, name], …]`: `lease` and the lease's id, or `agent` and host and name as a JSON array.
    beats   TEXT NOT NULL
) STRICT;

-- The hours through which the registry has run, and the head after each.
CREATE TABLE hours (
    hour     INTEGER PRIMARY KEY,
    revision INTEGER NOT NULL
) STRICT;

-- The hour in which a response was stored.
ALTER TABLE answers ADD COLUMN hour INTEGER NOT NULL DEFAULT 0;
DROP INDEX answers_by_age;
CREATE INDEX answers_by_age ON answers (hour);

-- The revisions whose time is before that of the change before them, because a clock was wrong or corrected. Between two
-- of them, times do not decrease.
CREATE TABLE clock_steps (
    revision INTEGER PRIMARY KEY
) STRICT;

CREATE TRIGGER clock_step AFTER INSERT ON changes
WHEN NEW.at < (SELECT at FROM changes WHERE revision < NEW.revision ORDER BY revision DESC LIMIT 1)
BEGIN
    INSERT OR IGNORE INTO clock_steps VALUES (NEW.revision);
END;
