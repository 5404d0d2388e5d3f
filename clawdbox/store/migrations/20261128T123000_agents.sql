-- Agents that ask first: several conversations on a connection, turns that wait, approvals and what they let pass.
CREATE TABLE conversations_new (
  id TEXT PRIMARY KEY,
  account_id TEXT NOT NULL REFERENCES accounts (id),
  connection_id TEXT NOT NULL REFERENCES ssh_connections (id),
  title TEXT,
  runtime TEXT NOT NULL DEFAULT 'runbook',
  runtime_options TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(runtime_options)),
  agent_session_id TEXT NOT NULL,
  created_at TEXT NOT NULL,
  last_used_at TEXT NOT NULL,
  archived_at TEXT
) STRICT;
INSERT INTO conversations_new
  SELECT id, account_id, connection_id, NULL, runtime, '{}', agent_session_id, created_at, created_at, NULL
  FROM conversations;
DROP TABLE conversations;
ALTER TABLE conversations_new RENAME TO conversations;
CREATE INDEX conversations_account_id_idx ON conversations (account_id);
CREATE INDEX conversations_connection_id_idx ON conversations (connection_id, last_used_at DESC);

-- What a runtime has to know to go on: the history of a model, the place in a stream.
CREATE TABLE runtime_states (
  conversation_id TEXT PRIMARY KEY REFERENCES conversations (id),
  state TEXT NOT NULL CHECK (json_valid(state)),
  updated_at TEXT NOT NULL
) STRICT;

ALTER TABLE turns ADD COLUMN waits_for TEXT CHECK (waits_for IN ('approval', 'session'));
ALTER TABLE turns ADD COLUMN delivered_at TEXT;
ALTER TABLE turns ADD COLUMN input_tokens INTEGER;
ALTER TABLE turns ADD COLUMN output_tokens INTEGER;
ALTER TABLE turns ADD COLUMN cost_usd REAL;

ALTER TABLE ssh_connections ADD COLUMN tier TEXT NOT NULL DEFAULT 'production'
  CHECK (tier IN ('production', 'staging', 'lab'));
ALTER TABLE ssh_connections ADD COLUMN judge_people INTEGER NOT NULL DEFAULT 0 CHECK (judge_people IN (0, 1));

ALTER TABLE account_settings ADD COLUMN agent_mode TEXT
  CHECK (agent_mode IN ('ask_everything', 'read_freely', 'unattended'));
ALTER TABLE account_settings ADD COLUMN turn_max_commands INTEGER CHECK (turn_max_commands > 0);
ALTER TABLE account_settings ADD COLUMN turn_max_tokens INTEGER CHECK (turn_max_tokens > 0);
ALTER TABLE account_settings ADD COLUMN turn_max_cost_usd REAL CHECK (turn_max_cost_usd > 0);
ALTER TABLE account_settings ADD COLUMN turn_max_s INTEGER CHECK (turn_max_s > 0);
ALTER TABLE account_settings ADD COLUMN unattended_commands INTEGER CHECK (unattended_commands > 0);

CREATE TABLE approvals (
  id TEXT PRIMARY KEY,
  account_id TEXT NOT NULL REFERENCES accounts (id),
  connection_id TEXT NOT NULL REFERENCES ssh_connections (id),
  session_lease_id TEXT NOT NULL REFERENCES session_leases (id),
  conversation_id TEXT NOT NULL REFERENCES conversations (id),
  turn_id TEXT NOT NULL REFERENCES turns (id),
  call_id TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('command', 'file', 'question')),
  title TEXT NOT NULL,
  command TEXT,
  directory TEXT NOT NULL DEFAULT '',
  username TEXT NOT NULL,
  class TEXT NOT NULL,
  digest TEXT NOT NULL,
  why TEXT NOT NULL CHECK (json_valid(why)),
  cannot_be_undone TEXT,
  reason TEXT NOT NULL DEFAULT '',
  detail TEXT NOT NULL DEFAULT '',
  options TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(options)),
  state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'allowed', 'denied', 'expired', 'void')),
  option_id TEXT,
  answered_by TEXT REFERENCES app_sessions (id),
  answered_at TEXT,
  void_reason TEXT,
  expires_at TEXT NOT NULL,
  used_at TEXT,
  created_at TEXT NOT NULL,
  CHECK ((state = 'pending') = (answered_at IS NULL)),
  CHECK (used_at IS NULL OR state = 'allowed')
) STRICT;
CREATE UNIQUE INDEX approvals_call_idx ON approvals (turn_id, call_id);
CREATE INDEX approvals_account_id_idx ON approvals (account_id, id DESC);
CREATE INDEX approvals_pending_idx ON approvals (expires_at) WHERE state = 'pending';

-- "Allow this exact command until the session ends."
CREATE TABLE approval_grants (
  id TEXT PRIMARY KEY,
  account_id TEXT NOT NULL REFERENCES accounts (id),
  connection_id TEXT NOT NULL REFERENCES ssh_connections (id),
  session_lease_id TEXT NOT NULL REFERENCES session_leases (id),
  approval_id TEXT NOT NULL REFERENCES approvals (id),
  command TEXT NOT NULL,
  class TEXT NOT NULL,
  digest TEXT NOT NULL,
  used_count INTEGER NOT NULL DEFAULT 0,
  created_at TEXT NOT NULL,
  ended_at TEXT,
  end_reason TEXT CHECK (end_reason IN ('withdrawn', 'session_ended', 'agents_stopped'))
) STRICT;
CREATE UNIQUE INDEX approval_grants_living_idx ON approval_grants (session_lease_id, digest) WHERE ended_at IS NULL;
CREATE INDEX approval_grants_account_id_idx ON approval_grants (account_id) WHERE ended_at IS NULL;
