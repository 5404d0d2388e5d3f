-- What somebody should look at: logins that failed too often, a server that shows another host key.
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

-- A new kind of notification: the table is made anew, since SQLite cannot change a CHECK.
CREATE TABLE notify_deliveries_new (
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

INSERT INTO notify_deliveries_new SELECT id, channel_id, event_id, kind, folded, state, attempts, next_try_at, last_error,
  created_at, sent_at FROM notify_deliveries;

DROP TABLE notify_deliveries;

ALTER TABLE notify_deliveries_new RENAME TO notify_deliveries;

CREATE UNIQUE INDEX notify_deliveries_event_idx ON notify_deliveries (channel_id, event_id);

CREATE INDEX notify_deliveries_due_idx ON notify_deliveries (next_try_at) WHERE state = 'pending';

CREATE INDEX notify_deliveries_created_at_idx ON notify_deliveries (created_at);

CREATE INDEX notify_deliveries_event_id_idx ON notify_deliveries (event_id) WHERE event_id IS NOT NULL;

-- Who is told of host keys is told of incidents.
UPDATE notify_channels SET kinds = json_insert(kinds, '$[#]', 'incident')
  WHERE EXISTS (SELECT 1 FROM json_each(kinds) WHERE value = 'host_key_event');
