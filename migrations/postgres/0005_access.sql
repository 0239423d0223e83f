-- Who may do what, and who has done what: see migrations/sqlite/0008_access.sql.

-- Who has asked for the change; null when the registry has made it by itself, or before this was kept.
ALTER TABLE changes ADD COLUMN principal text;

CREATE TABLE tokens (
    id           text   COLLATE "C" PRIMARY KEY,
    name         text   COLLATE "C" NOT NULL,
    role         text   NOT NULL,
    scope        text,
    hash         text,
    created_at   bigint NOT NULL,
    created_by   text,
    expires_at   bigint,
    last_used_at bigint,
    revoked_at   bigint
);

CREATE UNIQUE INDEX tokens_by_name ON tokens (name) WHERE revoked_at IS NULL;
