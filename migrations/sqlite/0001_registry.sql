-- The registry's store on SQLite. PRAGMA application_id and user_version say whose file it is and
-- which migrations it has seen; both are set by src/store/sqlite/, not here.
--
-- Applied migrations are never edited: a change of the schema is a new file beside this one.

-- One row: which store this is, and the newest revision. The row is read and written inside the
-- transaction of every batch, so that commit order is revision order whoever the writer is.
CREATE TABLE registry (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    -- Random, made with the file. Cursors and ETags carry it.
    store    TEXT    NOT NULL,
    -- The newest revision; 0 before the first change.
    head     INTEGER NOT NULL,
    -- When the head was made, in microseconds since 1970-01-01T00:00:00Z; never goes back.
    head_at  INTEGER NOT NULL
) STRICT;

-- The journal: every change there ever was, one row a revision, without a gap.
CREATE TABLE changes (
    revision   INTEGER PRIMARY KEY,
    at         INTEGER NOT NULL,
    kind       TEXT    NOT NULL,
    -- The unique_id of the plugin, or the name of the category, that was changed.
    subject    TEXT    NOT NULL,
    -- X-Request-Id of the request that asked for it.
    request_id TEXT,
    -- The plugin's document after the change; null when it was removed or is a category's.
    document   TEXT,
    -- What else the change says: a saved configuration, a category's display name.
    detail     TEXT
) STRICT;

-- The plugins as of the head: what `changes` replays to, kept beside it for a quick start.
CREATE TABLE plugins (
    unique_id  TEXT    NOT NULL PRIMARY KEY,
    document   TEXT    NOT NULL,
    config     TEXT,
    revision   INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

-- The categories that were given a display name, as of the head.
CREATE TABLE categories (
    name         TEXT    NOT NULL PRIMARY KEY,
    display_name TEXT    NOT NULL,
    revision     INTEGER NOT NULL
) STRICT;
