-- Terminals that go on in tmux on the server: they belong to the connection, and any lease on it may carry them.
CREATE TABLE kept_terminals (
  id TEXT PRIMARY KEY,
  account_id TEXT NOT NULL REFERENCES accounts (id),
  connection_id TEXT NOT NULL REFERENCES ssh_connections (id),
  name TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT 'kept' CHECK (state IN ('kept', 'ended')),
  end_reason TEXT,
  cols INTEGER NOT NULL,
  rows INTEGER NOT NULL,
  created_at TEXT NOT NULL,
  ended_at TEXT
) STRICT;
CREATE INDEX kept_terminals_connection_id_idx ON kept_terminals (connection_id) WHERE state = 'kept';

ALTER TABLE terminals ADD COLUMN kept_terminal_id TEXT REFERENCES kept_terminals (id);
