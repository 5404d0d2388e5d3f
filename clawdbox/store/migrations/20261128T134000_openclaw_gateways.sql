-- OpenClaw gateways: where they are, and by what each of them knows this box.
CREATE TABLE openclaw_gateways (
  id TEXT PRIMARY KEY,
  account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  label TEXT NOT NULL,
  url TEXT NOT NULL,
  way TEXT NOT NULL DEFAULT 'direct' CHECK (way IN ('direct', 'forward')),
  connection_id TEXT REFERENCES ssh_connections (id),
  auth TEXT NOT NULL DEFAULT 'none' CHECK (auth IN ('none', 'token', 'password')),
  token_enc TEXT,
  device_id TEXT NOT NULL,
  device_key_enc TEXT,
  device_token_enc TEXT,
  state TEXT NOT NULL DEFAULT 'untested' CHECK (state IN ('untested', 'pairing', 'ready', 'refused', 'unreachable')),
  pairing_request_id TEXT,
  problem TEXT,
  version TEXT,
  checked_at TEXT,
  created_at TEXT NOT NULL,
  removed_at TEXT,
  CHECK ((way = 'forward') = (connection_id IS NOT NULL)),
  CHECK ((auth = 'none') = (token_enc IS NULL) OR removed_at IS NOT NULL),
  CHECK ((device_key_enc IS NULL) = (removed_at IS NOT NULL)),
  CHECK (state = 'pairing' OR pairing_request_id IS NULL)
) STRICT;
CREATE UNIQUE INDEX openclaw_gateways_label_idx ON openclaw_gateways (account_id, label) WHERE removed_at IS NULL;
