-- Ports of a server that are reached through a session: on the box's loopback, or in a browser.
CREATE TABLE forwards (
  id TEXT PRIMARY KEY,
  account_id TEXT NOT NULL REFERENCES accounts (id),
  connection_id TEXT NOT NULL REFERENCES ssh_connections (id),
  session_lease_id TEXT NOT NULL REFERENCES session_leases (id),
  kind TEXT NOT NULL CHECK (kind IN ('local', 'web')),
  target_host TEXT NOT NULL,
  target_port INTEGER NOT NULL CHECK (target_port BETWEEN 1 AND 65535),
  scheme TEXT CHECK (scheme IN ('http', 'https')),
  host_header TEXT,
  any_certificate INTEGER NOT NULL DEFAULT 0 CHECK (any_certificate IN (0, 1)),
  bound_port INTEGER CHECK (bound_port BETWEEN 1 AND 65535),
  state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'ended')),
  end_reason TEXT,
  connections INTEGER NOT NULL DEFAULT 0,
  bytes_in INTEGER NOT NULL DEFAULT 0,
  bytes_out INTEGER NOT NULL DEFAULT 0,
  created_at TEXT NOT NULL,
  ended_at TEXT
) STRICT;
CREATE INDEX forwards_session_lease_id_idx ON forwards (session_lease_id);
CREATE INDEX forwards_web_port_idx ON forwards (bound_port, id) WHERE kind = 'web' AND bound_port IS NOT NULL;
