-- What plugins have cost, summed up beside the journal, and budgets; as in migrations/sqlite.

-- What a plugin has cost up to its newest change, whether it still stands or not, in USD.
CREATE TABLE meters (
    category text   COLLATE "C" NOT NULL,
    name     text   COLLATE "C" NOT NULL,
    -- As text: decimal numbers, which may be larger than 64 bits of millionths.
    low      text   NOT NULL,
    high     text   NOT NULL,
    -- When it first began to cost something, and when the newest of it ended.
    began    bigint NOT NULL,
    ended    bigint NOT NULL,
    PRIMARY KEY (category, name)
);

-- The budgets as of the head, as JSON: what their owners have set, and what has been counted.
CREATE TABLE budgets (
    id       text COLLATE "C" PRIMARY KEY,
    document text NOT NULL
);
