-- The registry's store on PostgreSQL, in the schema `plugin_registry`; the tables mean what those of
-- migrations/sqlite mean. The table `migrations`, which says what was applied, is made by src/store/postgres/migrate.rs.
--
-- Applied migrations are never edited: a change of the schema is a new file beside this one.

-- One row: which store this is, and the newest revision. It is locked from the beginning of every batch to its
-- commit, so that commit order is revision order, whichever replica writes.
CREATE TABLE registry (
    id      smallint PRIMARY KEY CHECK (id = 1),
    -- Random, made with the store. Cursors and ETags carry it.
    store   text   NOT NULL,
    -- The newest revision; 0 before the first change.
    head    bigint NOT NULL,
    -- When the head was made, in microseconds since 1970-01-01T00:00:00Z; never goes back.
    head_at bigint NOT NULL,
    -- Every change after this revision is kept; of those before, only what stands.
    horizon bigint NOT NULL
) WITH (fillfactor = 10);

-- The journal: one row a revision.
CREATE TABLE changes (
    revision    bigint PRIMARY KEY,
    at          bigint NOT NULL,
    kind        text   NOT NULL,
    -- The unique_id of the plugin, or the name of the category, that was changed.
    subject     text   COLLATE "C" NOT NULL,
    -- X-Request-Id of the request that asked for it.
    request_id  text,
    -- The plugin's document after the change, as text: jsonb would change its numbers and the order of its keys.
    document    text,
    -- What else the change says: a saved configuration, a category's display name.
    detail      text,
    -- When the plugin was registered; null where `document` is.
    created_at  bigint,
    -- A plugin and a category may have the same name.
    of_category boolean NOT NULL GENERATED ALWAYS AS (kind = 'category.named') STORED
);

CREATE INDEX changes_of_subject ON changes (subject, of_category, revision);

-- The plugins as of the head: what `changes` replays to.
CREATE TABLE plugins (
    unique_id  text   COLLATE "C" PRIMARY KEY,
    document   text   NOT NULL,
    config     text,
    revision   bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);

-- The categories that were given a display name, as of the head.
CREATE TABLE categories (
    name         text   COLLATE "C" PRIMARY KEY,
    display_name text   NOT NULL,
    revision     bigint NOT NULL
);

-- Webhooks: who is told of changes by HTTP, and how far each has come. They are no part of the journal.
CREATE TABLE webhooks (
    id                text   COLLATE "C" PRIMARY KEY,
    -- What its owner has set, as JSON; without the secret.
    document          text   NOT NULL,
    -- What deliveries are signed with: `whsec_` and base64. It must be kept as it is, for signing needs it.
    secret            text   NOT NULL,
    -- Every change up to this revision was delivered, or is of no concern to it.
    position          bigint NOT NULL,
    -- How often the delivery after `position` has failed, and since when.
    failures          bigint NOT NULL,
    first_failed_at   bigint,
    next_attempt_at   bigint,
    last_error        text,
    -- The HTTP status of the newest attempt, when it was answered at all.
    last_status       integer,
    last_delivered_at bigint,
    -- When it was given up; null while deliveries go on.
    parked_at         bigint
);
