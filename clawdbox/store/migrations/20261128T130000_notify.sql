-- Notifications: where an account wants to be told, what was sent there, and which events were taken for it.
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

CREATE TABLE notify_deliveries (
  id TEXT PRIMARY KEY,
  channel_id TEXT NOT NULL REFERENCES notify_channels (id) ON DELETE CASCADE,
  event_id TEXT REFERENCES events (id),
  kind TEXT NOT NULL CHECK (kind IN ('approval_waiting', 'turn_finished', 'agent_needs_answer', 'session_lost',
    'key_event', 'host_key_event', 'test')),
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

CREATE TABLE event_inbox (
  event_id TEXT NOT NULL REFERENCES events (id),
  consumer TEXT NOT NULL,
  taken_at TEXT NOT NULL,
  PRIMARY KEY (event_id, consumer)
) STRICT, WITHOUT ROWID;

-- A box that is brought up to date does not tell of what happened before.
INSERT INTO event_inbox SELECT id, 'notify', created_at FROM events ORDER BY seq DESC LIMIT 1;
