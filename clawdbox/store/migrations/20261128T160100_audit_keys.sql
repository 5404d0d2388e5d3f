-- Which master key an audit row was signed under, and what verifies it once that master key is gone.
CREATE TABLE audit_keys (
  n INTEGER PRIMARY KEY,
  key_id TEXT NOT NULL UNIQUE,
  key_enc TEXT NOT NULL,
  created_at TEXT NOT NULL
) STRICT;
-- NULL: signed under the first key of audit_keys, before rows said under which.
ALTER TABLE audit_log ADD COLUMN key_id TEXT;
