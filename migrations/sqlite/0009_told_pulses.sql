-- Signs of life, a row for all that a process has told at once: a row for each lease cost a search in the table, at every
-- renewal. They are kept for minutes, see src/store/sqlite/pulses.rs.
DROP TABLE pulses;

CREATE TABLE told_pulses (
    -- When the newest of them was heard, in microseconds since 1970-01-01T00:00:00Z.
    at     INTEGER NOT NULL,
    -- `[[kind, name, at], …]`: `lease` and the lease's id, or `agent` and host and name as a JSON array.
    pulses TEXT    NOT NULL
) STRICT;
