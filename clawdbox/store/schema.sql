-- The sum of migrations/*.sql, for reading. Made by `make schema`; a test compares the two.

CREATE TABLE schema_migrations (version TEXT PRIMARY KEY, applied_at TEXT NOT NULL) STRICT;

CREATE TABLE box_meta (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT;

CREATE TABLE accounts (
  id TEXT PRIMARY KEY,
  display_name TEXT NOT NULL,
  email TEXT,
  role TEXT NOT NULL DEFAULT 'owner' CHECK (role IN ('owner', 'operator', 'viewer')),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
  last_seen_at TEXT,
  is_active INTEGER NOT NULL DEFAULT 1 CHECK (is_active IN (0, 1))
) STRICT;

CREATE TABLE account_settings (
  account_id TEXT PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
  idle_timeout_s INTEGER CHECK (idle_timeout_s > 0),
  max_leases INTEGER CHECK (max_leases > 0),
  updated_at TEXT NOT NULL
, agent_mode TEXT
  CHECK (agent_mode IN ('ask_everything', 'read_freely', 'unattended')), turn_max_commands INTEGER CHECK (turn_max_commands > 0), turn_max_tokens INTEGER CHECK (turn_max_tokens > 0), turn_max_cost_usd REAL CHECK (turn_max_cost_usd > 0), turn_max_s INTEGER CHECK (turn_max_s > 0), unattended_commands INTEGER CHECK (unattended_commands > 0)) STRICT;

CREATE TABLE oauth_identities (
  id TEXT PRIMARY KEY,
  account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  provider TEXT NOT NULL,
  provider_user_id TEXT NOT NULL,
  provider_username TEXT,
  provider_email TEXT,
  access_token TEXT,
  refresh_token TEXT,
  token_expires_at TEXT,
  scopes TEXT CHECK (scopes IS NULL OR json_valid(scopes)),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
  UNIQUE (provider, provider_user_id)
) STRICT;

CREATE INDEX oauth_identities_account_id_idx ON oauth_identities (account_id);

CREATE TABLE agent_keypairs (
  id TEXT PRIMARY KEY,
  account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  label TEXT NOT NULL DEFAULT 'default',
  algorithm TEXT NOT NULL DEFAULT 'ed25519',
  public_key TEXT NOT NULL,
  private_key_enc TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
  rotated_at TEXT,
  revoked_at TEXT,
  is_active INTEGER NOT NULL DEFAULT 1 CHECK (is_active IN (0, 1)),
  CHECK (revoked_at IS NULL OR is_active = 0)
) STRICT;

CREATE UNIQUE INDEX agent_keypairs_living_label_idx ON agent_keypairs (account_id, label) WHERE is_active = 1;

CREATE TABLE ssh_connections (
  id TEXT PRIMARY KEY,
  account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  keypair_id TEXT NOT NULL REFERENCES agent_keypairs (id),
  label TEXT NOT NULL,
  host TEXT NOT NULL,
  port INTEGER NOT NULL DEFAULT 22 CHECK (port BETWEEN 1 AND 65535),
  username TEXT NOT NULL,
  host_key_fingerprint TEXT,
  host_key_type TEXT,
  host_key_pinned_at TEXT,
  offered_fingerprint TEXT,
  offered_key_type TEXT,
  offered_at TEXT,
  last_tested_at TEXT,
  last_test_result TEXT CHECK (last_test_result IN ('ok', 'failed', 'timeout', 'host_key_mismatch')),
  last_test_message TEXT,
  last_latency_ms REAL,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
  deleted_at TEXT
, jump_connection_id TEXT REFERENCES ssh_connections (id) CHECK (jump_connection_id <> id), host_authority_id TEXT REFERENCES host_authorities (id), tier TEXT NOT NULL DEFAULT 'production'
  CHECK (tier IN ('production', 'staging', 'lab')), judge_people INTEGER NOT NULL DEFAULT 0 CHECK (judge_people IN (0, 1))) STRICT;

CREATE UNIQUE INDEX ssh_connections_living_label_idx ON ssh_connections (account_id, label) WHERE deleted_at IS NULL;

CREATE INDEX ssh_connections_keypair_id_idx ON ssh_connections (keypair_id);

CREATE TABLE session_leases (
  id TEXT PRIMARY KEY,
  account_id TEXT NOT NULL REFERENCES accounts (id),
  connection_id TEXT NOT NULL REFERENCES ssh_connections (id),
  keypair_id TEXT NOT NULL REFERENCES agent_keypairs (id),
  status TEXT NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'active', 'closed', 'error')),
  agent_session_id TEXT,
  started_at TEXT,
  closed_at TEXT,
  close_reason TEXT CHECK (close_reason IN ('user', 'timeout', 'error', 'server_closed')),
  last_heartbeat_at TEXT,
  last_activity_at TEXT,
  error_detail TEXT,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
  CHECK ((status IN ('closed', 'error')) = (closed_at IS NOT NULL))
) STRICT;

CREATE INDEX session_leases_account_id_idx ON session_leases (account_id, created_at DESC);

CREATE INDEX session_leases_connection_id_idx ON session_leases (connection_id);

CREATE INDEX session_leases_keypair_id_idx ON session_leases (keypair_id);

CREATE INDEX session_leases_living_idx ON session_leases (status, last_heartbeat_at)
  WHERE status IN ('pending', 'active');

CREATE TABLE app_sessions (
  id TEXT PRIMARY KEY,
  account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  token_hash TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL DEFAULT 'browser' CHECK (kind IN ('browser', 'token')),
  scope TEXT NOT NULL DEFAULT 'full' CHECK (scope IN ('full', 'metrics')),
  device_name TEXT,
  ip_address TEXT,
  user_agent TEXT,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
  expires_at TEXT NOT NULL,
  last_used_at TEXT,
  revoked_at TEXT
, method TEXT NOT NULL DEFAULT 'pairing'
  CHECK (method IN ('pairing', 'token', 'github', 'oidc', 'passkey', 'recovery_code')), verified_at TEXT) STRICT;

CREATE INDEX app_sessions_account_id_idx ON app_sessions (account_id);

CREATE TABLE pairing_codes (
  id TEXT PRIMARY KEY,
  account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  code_hash TEXT NOT NULL UNIQUE,
  created_at TEXT NOT NULL,
  expires_at TEXT NOT NULL,
  used_at TEXT,
  used_by TEXT REFERENCES app_sessions (id)
, at_the_box INTEGER NOT NULL DEFAULT 0 CHECK (at_the_box IN (0, 1))) STRICT;

CREATE INDEX pairing_codes_account_id_idx ON pairing_codes (account_id);

CREATE TABLE turns (
  id TEXT PRIMARY KEY,
  conversation_id TEXT NOT NULL REFERENCES conversations (id),
  session_lease_id TEXT NOT NULL REFERENCES session_leases (id),
  text TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'failed', 'cancelled', 'lost')),
  error TEXT,
  created_at TEXT NOT NULL,
  ended_at TEXT
, waits_for TEXT CHECK (waits_for IN ('approval', 'session')), delivered_at TEXT, input_tokens INTEGER, output_tokens INTEGER, cost_usd REAL) STRICT;

CREATE UNIQUE INDEX turns_running_idx ON turns (conversation_id) WHERE state = 'running';

CREATE INDEX turns_conversation_id_idx ON turns (conversation_id);

CREATE TABLE conversation_events (
  conversation_id TEXT NOT NULL REFERENCES conversations (id),
  seq INTEGER NOT NULL,
  turn_id TEXT,
  type TEXT NOT NULL,
  payload TEXT NOT NULL CHECK (json_valid(payload)),
  created_at TEXT NOT NULL,
  PRIMARY KEY (conversation_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE executions (
  id TEXT PRIMARY KEY,
  account_id TEXT NOT NULL REFERENCES accounts (id),
  session_lease_id TEXT NOT NULL REFERENCES session_leases (id),
  turn_id TEXT REFERENCES turns (id),
  command TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT 'started' CHECK (state IN ('started', 'done', 'lost', 'cancelled', 'timed_out')),
  exit_status INTEGER,
  duration_ms REAL,
  truncated INTEGER NOT NULL DEFAULT 0 CHECK (truncated IN (0, 1)),
  started_at TEXT NOT NULL,
  ended_at TEXT
, kind TEXT NOT NULL DEFAULT 'command' CHECK (kind IN ('command', 'shell', 'subsystem'))) STRICT;

CREATE INDEX executions_session_lease_id_idx ON executions (session_lease_id);

CREATE INDEX executions_started_idx ON executions (state) WHERE state = 'started';

CREATE TABLE terminals (
  id TEXT PRIMARY KEY,
  account_id TEXT NOT NULL REFERENCES accounts (id),
  connection_id TEXT NOT NULL REFERENCES ssh_connections (id),
  session_lease_id TEXT NOT NULL REFERENCES session_leases (id),
  state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'ended')),
  cols INTEGER NOT NULL,
  rows INTEGER NOT NULL,
  exit_status INTEGER,
  end_reason TEXT,
  created_at TEXT NOT NULL,
  ended_at TEXT
, kept_terminal_id TEXT REFERENCES kept_terminals (id)) STRICT;

CREATE INDEX terminals_session_lease_id_idx ON terminals (session_lease_id);

CREATE TABLE events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  account_id TEXT REFERENCES accounts (id),
  type TEXT NOT NULL,
  subject_type TEXT NOT NULL,
  subject_id TEXT,
  payload TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(payload)),
  created_at TEXT NOT NULL
) STRICT;

CREATE INDEX events_account_id_idx ON events (account_id, seq);

CREATE TABLE audit_log (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  account_id TEXT REFERENCES accounts (id),
  actor TEXT,
  action TEXT NOT NULL,
  target_type TEXT,
  target_id TEXT,
  ip_address TEXT,
  result TEXT CHECK (result IN ('ok', 'failed')),
  detail TEXT CHECK (detail IS NULL OR json_valid(detail)),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
  mac TEXT NOT NULL
, key_id TEXT) STRICT;

CREATE INDEX audit_log_account_id_idx ON audit_log (account_id);

CREATE INDEX audit_log_created_at_idx ON audit_log (created_at DESC);

CREATE TRIGGER audit_log_is_append_only_update BEFORE UPDATE ON audit_log
  BEGIN SELECT RAISE (ABORT, 'audit_log is append-only'); END;

CREATE TABLE idempotency_keys (
  account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  key TEXT NOT NULL,
  request_hash TEXT NOT NULL,
  status INTEGER,
  body TEXT,
  created_at TEXT NOT NULL,
  PRIMARY KEY (account_id, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_keys_created_at_idx ON idempotency_keys (created_at);

CREATE TABLE control_policies (
  connection_id TEXT PRIMARY KEY REFERENCES ssh_connections (id) ON DELETE CASCADE,
  allow_exec INTEGER NOT NULL CHECK (allow_exec IN (0, 1)),
  allow_pty INTEGER NOT NULL CHECK (allow_pty IN (0, 1)),
  allow_forward INTEGER NOT NULL CHECK (allow_forward IN (0, 1)),
  allow_proxy INTEGER NOT NULL CHECK (allow_proxy IN (0, 1)),
  allow_exit INTEGER NOT NULL CHECK (allow_exit IN (0, 1)),
  updated_at TEXT NOT NULL
) STRICT;

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

CREATE INDEX ssh_connections_jump_connection_id_idx ON ssh_connections (jump_connection_id) WHERE jump_connection_id IS NOT NULL;

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

CREATE INDEX ssh_connections_host_authority_id_idx ON ssh_connections (host_authority_id) WHERE host_authority_id IS NOT NULL;

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

CREATE TABLE "conversations" (
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

CREATE INDEX conversations_account_id_idx ON conversations (account_id);

CREATE INDEX conversations_connection_id_idx ON conversations (connection_id, last_used_at DESC);

CREATE TABLE runtime_states (
  conversation_id TEXT PRIMARY KEY REFERENCES conversations (id),
  state TEXT NOT NULL CHECK (json_valid(state)),
  updated_at TEXT NOT NULL
) STRICT;

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

CREATE TABLE notify_channels (
  id TEXT PRIMARY KEY,
  account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  login_id TEXT REFERENCES app_sessions (id),
  kind TEXT NOT NULL CHECK (kind IN ('webpush', 'ntfy', 'email', 'webhook')),
  label TEXT NOT NULL,
  target_enc TEXT,
  endpoint_hash TEXT,
  kinds TEXT NOT NULL CHECK (json_valid(kinds)),
  with_command INTEGER NOT NULL DEFAULT 0 CHECK (with_command IN (0, 1)),
  enabled INTEGER NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  last_ok_at TEXT,
  failing_since TEXT,
  removed_at TEXT,
  CHECK ((kind = 'webpush') = (login_id IS NOT NULL)),
  CHECK ((kind = 'webpush') = (endpoint_hash IS NOT NULL)),
  CHECK ((removed_at IS NULL) = (target_enc IS NOT NULL))
) STRICT;

CREATE INDEX notify_channels_account_id_idx ON notify_channels (account_id);

CREATE INDEX notify_channels_login_id_idx ON notify_channels (login_id) WHERE login_id IS NOT NULL;

CREATE UNIQUE INDEX notify_channels_endpoint_idx ON notify_channels (endpoint_hash)
  WHERE endpoint_hash IS NOT NULL AND removed_at IS NULL;

CREATE TABLE event_inbox (
  event_id TEXT NOT NULL REFERENCES events (id),
  consumer TEXT NOT NULL,
  taken_at TEXT NOT NULL,
  PRIMARY KEY (event_id, consumer)
) STRICT, WITHOUT ROWID;

CREATE TABLE model_providers (
  id TEXT PRIMARY KEY,
  account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  label TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('openai', 'anthropic')),
  base_url TEXT NOT NULL,
  model TEXT NOT NULL,
  api_key_enc TEXT,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  removed_at TEXT,
  CHECK (removed_at IS NULL OR api_key_enc IS NULL)
) STRICT;

CREATE UNIQUE INDEX model_providers_label_idx ON model_providers (account_id, label) WHERE removed_at IS NULL;

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

CREATE TABLE passkeys (
  id TEXT PRIMARY KEY,
  account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  credential_id TEXT NOT NULL UNIQUE,
  public_key TEXT NOT NULL,
  sign_count INTEGER NOT NULL CHECK (sign_count >= 0),
  rp_id TEXT NOT NULL,
  label TEXT NOT NULL,
  backed_up INTEGER NOT NULL CHECK (backed_up IN (0, 1)),
  created_at TEXT NOT NULL,
  last_used_at TEXT
) STRICT;

CREATE INDEX passkeys_account_id_idx ON passkeys (account_id);

CREATE TABLE recovery_codes (
  id TEXT PRIMARY KEY,
  account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  code_hash TEXT NOT NULL UNIQUE,
  created_at TEXT NOT NULL,
  used_at TEXT
) STRICT;

CREATE INDEX recovery_codes_account_id_idx ON recovery_codes (account_id);

CREATE TABLE audit_keys (
  n INTEGER PRIMARY KEY,
  key_id TEXT NOT NULL UNIQUE,
  key_enc TEXT NOT NULL,
  created_at TEXT NOT NULL
) STRICT;

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

CREATE TABLE incidents (
  id TEXT PRIMARY KEY,
  account_id TEXT NOT NULL REFERENCES accounts (id),
  kind TEXT NOT NULL CHECK (kind IN ('failed_logins', 'host_key_changed')),
  subject TEXT NOT NULL,
  detail TEXT NOT NULL CHECK (json_valid(detail)),
  times INTEGER NOT NULL DEFAULT 1,
  first_at TEXT NOT NULL,
  last_at TEXT NOT NULL,
  seen_at TEXT
) STRICT;

CREATE UNIQUE INDEX incidents_open_idx ON incidents (account_id, kind, subject) WHERE seen_at IS NULL;

CREATE INDEX incidents_account_id_idx ON incidents (account_id, last_at DESC);

CREATE TABLE "notify_deliveries" (
  id TEXT PRIMARY KEY,
  channel_id TEXT NOT NULL REFERENCES notify_channels (id) ON DELETE CASCADE,
  event_id TEXT REFERENCES events (id),
  kind TEXT NOT NULL CHECK (kind IN ('approval_waiting', 'turn_finished', 'agent_needs_answer', 'session_lost',
    'key_event', 'host_key_event', 'incident', 'test')),
  folded TEXT CHECK (folded IS NULL OR json_valid(folded)),
  state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sent', 'failed', 'gave_up')),
  attempts INTEGER NOT NULL DEFAULT 0,
  next_try_at TEXT,
  last_error TEXT,
  created_at TEXT NOT NULL,
  sent_at TEXT,
  CHECK ((state = 'pending') = (next_try_at IS NOT NULL)),
  CHECK ((state = 'sent') = (sent_at IS NOT NULL)),
  CHECK ((kind = 'test') = (event_id IS NULL))
) STRICT;

CREATE UNIQUE INDEX notify_deliveries_event_idx ON notify_deliveries (channel_id, event_id);

CREATE INDEX notify_deliveries_due_idx ON notify_deliveries (next_try_at) WHERE state = 'pending';

CREATE INDEX notify_deliveries_created_at_idx ON notify_deliveries (created_at);

CREATE INDEX notify_deliveries_event_id_idx ON notify_deliveries (event_id) WHERE event_id IS NOT NULL;

CREATE TABLE audit_archives (
  last_id INTEGER PRIMARY KEY,
  first_id INTEGER NOT NULL,
  month TEXT NOT NULL,
  file_name TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  last_mac TEXT NOT NULL,
  key_id TEXT,
  created_at TEXT NOT NULL,
  mac TEXT NOT NULL,
  removed_at TEXT,
  CHECK (first_id <= last_id)
) STRICT;

CREATE TRIGGER audit_log_is_append_only_delete BEFORE DELETE ON audit_log
  WHEN OLD.id > (SELECT coalesce(max(last_id), 0) FROM audit_archives)
  BEGIN SELECT RAISE (ABORT, 'audit_log is append-only'); END;
