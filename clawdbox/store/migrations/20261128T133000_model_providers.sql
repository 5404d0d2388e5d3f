-- Where models are asked: a service, or a program of one's own, with the key that it wants.

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
