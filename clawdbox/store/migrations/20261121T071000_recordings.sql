-- What a terminal showed, kept in sealed files beside the database, and who wants that.

CREATE TABLE recordings (
  id TEXT PRIMARY KEY,
  account_id TEXT NOT NULL REFERENCES accounts (id),
  connection_id TEXT NOT NULL REFERENCES ssh_connections (id),
  session_lease_id TEXT NOT NULL REFERENCES session_leases (id),
  terminal_id TEXT NOT NULL REFERENCES terminals (id),
  title TEXT NOT NULL,
  why TEXT NOT NULL CHECK (why IN ('asked', 'policy')),
  state TEXT NOT NULL DEFAULT 'recording' CHECK (state IN ('recording', 'done', 'cut', 'broken', 'deleted')),
  end_reason TEXT,
  cols INTEGER NOT NULL,
  rows INTEGER NOT NULL,
  duration_ms INTEGER,
  size_bytes INTEGER,
  key_enc TEXT,
  started_at TEXT NOT NULL,
  ended_at TEXT,
  deleted_at TEXT,
  CHECK ((state = 'recording') = (ended_at IS NULL)),
  CHECK ((state = 'deleted') = (key_enc IS NULL))
) STRICT;
CREATE UNIQUE INDEX recordings_running_idx ON recordings (terminal_id) WHERE state = 'recording';
CREATE INDEX recordings_account_id_idx ON recordings (account_id, started_at DESC) WHERE state <> 'deleted';
CREATE INDEX recordings_connection_id_idx ON recordings (connection_id, started_at DESC) WHERE state <> 'deleted';

CREATE TABLE recording_policies (
  account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  connection_id TEXT REFERENCES ssh_connections (id) ON DELETE CASCADE,
  record TEXT CHECK (record IN ('never', 'ask', 'always')),
  updated_at TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX recording_policies_default_idx ON recording_policies (account_id) WHERE connection_id IS NULL;
CREATE UNIQUE INDEX recording_policies_connection_id_idx ON recording_policies (connection_id)
  WHERE connection_id IS NOT NULL;
