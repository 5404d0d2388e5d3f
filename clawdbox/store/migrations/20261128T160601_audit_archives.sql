-- Audit rows of months long past lie in signed files; this says which, and where the chain goes on from.
CREATE TABLE audit_archives (
  last_id INTEGER PRIMARY KEY,
  first_id INTEGER NOT NULL,
  month TEXT NOT NULL,
  file_name TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  last_mac TEXT NOT NULL,
  key_id TEXT,
  created_at TEXT NOT NULL,
  mac TEXT NOT NULL,
  removed_at TEXT,
  CHECK (first_id <= last_id)
) STRICT;

-- What lies in an archive may leave the table, and nothing else.
DROP TRIGGER audit_log_is_append_only_delete;

CREATE TRIGGER audit_log_is_append_only_delete BEFORE DELETE ON audit_log
  WHEN OLD.id > (SELECT coalesce(max(last_id), 0) FROM audit_archives)
  BEGIN SELECT RAISE (ABORT, 'audit_log is append-only'); END;
