-- What plugins have cost, summed up beside the journal, which does not go back for ever; and budgets.

-- What a plugin has cost up to its newest change, whether it still stands or not. Amounts are decimal numbers of USD
-- as text: they may be larger than 64 bits of millionths. Times are microseconds since 1970-01-01T00:00:00Z.
CREATE TABLE meters (
    category TEXT    NOT NULL,
    name     TEXT    NOT NULL,
    low      TEXT    NOT NULL,
    high     TEXT    NOT NULL,
    -- When it first began to cost something, and when the newest of it ended.
    began    INTEGER NOT NULL,
    ended    INTEGER NOT NULL,
    PRIMARY KEY (category, name)
) STRICT;

-- The budgets as of the head, as JSON: what their owners have set, and what has been counted.
CREATE TABLE budgets (
    id       TEXT NOT NULL PRIMARY KEY,
    document TEXT NOT NULL
) STRICT;
