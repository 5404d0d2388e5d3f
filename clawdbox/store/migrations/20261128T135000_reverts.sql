-- Changes that could lock a person out, and that the server undoes by itself unless somebody confirms.
CREATE TABLE reverts (
  id TEXT PRIMARY KEY,
  account_id TEXT NOT NULL REFERENCES accounts (id),
  connection_id TEXT NOT NULL REFERENCES ssh_connections (id),
  turn_id TEXT NOT NULL REFERENCES turns (id),
  command TEXT NOT NULL,
  what TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT 'arming'
    CHECK (state IN ('arming', 'armed', 'unguarded', 'confirmed', 'reverted', 'unknown')),
  detail TEXT NOT NULL DEFAULT '',
  due_at TEXT,
  created_at TEXT NOT NULL,
  ended_at TEXT
) STRICT;
CREATE INDEX reverts_connection_id_idx ON reverts (connection_id, id DESC);
CREATE INDEX reverts_armed_idx ON reverts (due_at) WHERE state IN ('arming', 'armed');
