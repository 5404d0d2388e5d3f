-- Commands kept with named places for values, and commands run on many connections at once.
CREATE TABLE snippets (
  id TEXT PRIMARY KEY,
  account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  label TEXT NOT NULL,
  description TEXT NOT NULL DEFAULT '',
  command TEXT NOT NULL,
  variables TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(variables)),
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL
) STRICT;

CREATE UNIQUE INDEX snippets_label_idx ON snippets (account_id, label);

CREATE TABLE fleet_runs (
  id TEXT PRIMARY KEY,
  account_id TEXT NOT NULL REFERENCES accounts (id),
  title TEXT,
  command TEXT NOT NULL,
  timeout_s REAL NOT NULL CHECK (timeout_s > 0),
  state TEXT NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'cancelled', 'interrupted')),
  created_at TEXT NOT NULL,
  ended_at TEXT
) STRICT;

CREATE INDEX fleet_runs_account_id_idx ON fleet_runs (account_id, id DESC);

CREATE INDEX fleet_runs_running_idx ON fleet_runs (state) WHERE state = 'running';

CREATE TABLE fleet_answers (
  id TEXT PRIMARY KEY,
  fleet_run_id TEXT NOT NULL REFERENCES fleet_runs (id) ON DELETE CASCADE,
  connection_id TEXT NOT NULL REFERENCES ssh_connections (id),
  session_lease_id TEXT REFERENCES session_leases (id),
  state TEXT NOT NULL DEFAULT 'waiting'
    CHECK (state IN ('waiting', 'running', 'done', 'failed', 'lost', 'cancelled', 'refused')),
  exit_status INTEGER,
  stdout BLOB NOT NULL DEFAULT x'',
  stderr BLOB NOT NULL DEFAULT x'',
  truncated INTEGER NOT NULL DEFAULT 0 CHECK (truncated IN (0, 1)),
  digest TEXT,
  duration_ms REAL,
  cause TEXT,
  message TEXT,
  next_step TEXT,
  started_at TEXT,
  ended_at TEXT,
  UNIQUE (fleet_run_id, connection_id)
) STRICT;

CREATE INDEX fleet_answers_connection_id_idx ON fleet_answers (connection_id);

CREATE INDEX fleet_answers_session_lease_id_idx ON fleet_answers (session_lease_id);
