-- Signs of life: when a lease was renewed, when an agent was heard of. They are no part of the journal, and are
-- written without waiting for the disk; processes on one file hear of each other's through them.
CREATE TABLE pulses (
    -- `lease` or `agent`.
    kind TEXT    NOT NULL,
    -- The lease's id; or host and name of the agent, as a JSON array.
    name TEXT    NOT NULL,
    -- Microseconds since 1970-01-01T00:00:00Z.
    at   INTEGER NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
