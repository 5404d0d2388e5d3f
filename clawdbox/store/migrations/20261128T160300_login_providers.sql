-- Where people sign in elsewhere: the providers that the owner has set up, and the flows under way to them.
CREATE TABLE login_providers (
  id TEXT PRIMARY KEY,
  slug TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('github', 'oidc')),
  label TEXT NOT NULL,
  client_id TEXT NOT NULL,
  client_secret_enc TEXT,
  issuer TEXT NOT NULL,
  scopes TEXT NOT NULL CHECK (json_valid(scopes)),
  device_flow INTEGER NOT NULL CHECK (device_flow IN (0, 1)),
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  removed_at TEXT,
  CHECK (removed_at IS NULL OR client_secret_enc IS NULL)
) STRICT;
CREATE UNIQUE INDEX login_providers_slug_idx ON login_providers (slug) WHERE removed_at IS NULL;

-- Who is invited to have an account of their own.
CREATE TABLE invitations (
  id TEXT PRIMARY KEY,
  code_hash TEXT NOT NULL UNIQUE,
  label TEXT NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('operator', 'viewer')),
  created_by TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  created_at TEXT NOT NULL,
  expires_at TEXT NOT NULL,
  used_at TEXT,
  used_by TEXT REFERENCES accounts (id) ON DELETE SET NULL,
  withdrawn_at TEXT
) STRICT;
CREATE INDEX invitations_created_by_idx ON invitations (created_by);
CREATE INDEX invitations_used_by_idx ON invitations (used_by);

CREATE TABLE login_flows (
  id TEXT PRIMARY KEY,
  provider_id TEXT NOT NULL REFERENCES login_providers (id) ON DELETE CASCADE,
  kind TEXT NOT NULL CHECK (kind IN ('web', 'device')),
  purpose TEXT NOT NULL CHECK (purpose IN ('sign_in', 'link', 'step_up')),
  state_hash TEXT NOT NULL UNIQUE,
  login_id TEXT REFERENCES app_sessions (id) ON DELETE CASCADE,
  invitation_id TEXT REFERENCES invitations (id) ON DELETE CASCADE,
  return_to TEXT NOT NULL,
  device_code_enc TEXT,
  interval_s INTEGER,
  next_poll_at TEXT,
  created_at TEXT NOT NULL,
  expires_at TEXT NOT NULL,
  used_at TEXT,
  CHECK ((purpose = 'sign_in') = (login_id IS NULL)),
  CHECK ((kind = 'device') = (interval_s IS NOT NULL))
) STRICT;
CREATE INDEX login_flows_provider_id_idx ON login_flows (provider_id);
CREATE INDEX login_flows_login_id_idx ON login_flows (login_id);
CREATE INDEX login_flows_invitation_id_idx ON login_flows (invitation_id);
CREATE INDEX login_flows_expires_at_idx ON login_flows (expires_at);
