-- The journal is read by users: by subject, and from any revision on. Times need no index: they
-- never go back, so that a search by halves finds them.

-- A plugin and a category may have the same name.
CREATE INDEX changes_of_subject ON changes (subject, (kind = 'category.named'), revision);

-- When the plugin was registered, in microseconds since 1970-01-01T00:00:00Z; null where `document` is.
ALTER TABLE changes ADD COLUMN created_at INTEGER;

UPDATE changes SET created_at = (
    SELECT max(first.at) FROM changes AS first
    WHERE first.subject = changes.subject AND first.revision <= changes.revision AND first.kind = 'plugin.registered'
      AND (first.kind = 'category.named') = 0
) WHERE document IS NOT NULL;


-- Every change after this revision is kept; of those before, only what stands.
ALTER TABLE registry ADD COLUMN horizon INTEGER NOT NULL DEFAULT 0;
