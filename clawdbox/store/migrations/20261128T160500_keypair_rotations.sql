-- A keypair is exchanged for a new one, server by server; what stands here is what a restart goes on from.
CREATE TABLE keypair_rotations (
  id TEXT PRIMARY KEY,
  account_id TEXT NOT NULL REFERENCES accounts (id),
  old_keypair_id TEXT NOT NULL REFERENCES agent_keypairs (id),
  new_keypair_id TEXT NOT NULL REFERENCES agent_keypairs (id),
  state TEXT NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'stalled', 'rotated', 'revoked', 'cancelled')),
  created_at TEXT NOT NULL,
  rotated_at TEXT,
  revoke_at TEXT,
  ended_at TEXT
) STRICT;
CREATE INDEX keypair_rotations_account_id_idx ON keypair_rotations (account_id, id DESC);
CREATE UNIQUE INDEX keypair_rotations_old_idx ON keypair_rotations (old_keypair_id) WHERE state <> 'cancelled';
CREATE INDEX keypair_rotations_new_idx ON keypair_rotations (new_keypair_id);
CREATE INDEX keypair_rotations_open_idx ON keypair_rotations (state);
CREATE TABLE keypair_rotation_steps (
  id TEXT PRIMARY KEY,
  keypair_rotation_id TEXT NOT NULL REFERENCES keypair_rotations (id) ON DELETE CASCADE,
  connection_id TEXT NOT NULL REFERENCES ssh_connections (id),
  state TEXT NOT NULL DEFAULT 'waiting'
    CHECK (state IN ('waiting', 'installing', 'installed', 'switched', 'failed', 'skipped', 'removing', 'removed', 'left')),
  is_edited INTEGER NOT NULL DEFAULT 0 CHECK (is_edited IN (0, 1)),
  cause TEXT,
  message TEXT,
  next_step TEXT,
  updated_at TEXT NOT NULL,
  UNIQUE (keypair_rotation_id, connection_id)
) STRICT;
CREATE INDEX keypair_rotation_steps_connection_id_idx ON keypair_rotation_steps (connection_id);
