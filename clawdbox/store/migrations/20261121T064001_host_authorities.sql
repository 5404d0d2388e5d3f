-- Certificate authorities whose host certificates an account trusts, and host keys that it trusts no more.

CREATE TABLE host_authorities (
  id TEXT PRIMARY KEY,
  account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  kind TEXT NOT NULL DEFAULT 'authority' CHECK (kind IN ('authority', 'revoked')),
  label TEXT NOT NULL,
  patterns TEXT NOT NULL,
  key_type TEXT NOT NULL,
  public_key TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  created_at TEXT NOT NULL,
  removed_at TEXT
) STRICT;
CREATE UNIQUE INDEX host_authorities_living_idx ON host_authorities (account_id, kind, fingerprint, patterns) WHERE removed_at IS NULL;

ALTER TABLE ssh_connections ADD COLUMN host_authority_id TEXT REFERENCES host_authorities (id);
CREATE INDEX ssh_connections_host_authority_id_idx ON ssh_connections (host_authority_id) WHERE host_authority_id IS NOT NULL;
