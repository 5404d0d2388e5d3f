-- How a login came about, and when its person last proved to be there; whether a pairing link was printed by the box itself.
ALTER TABLE app_sessions ADD COLUMN method TEXT NOT NULL DEFAULT 'pairing'
  CHECK (method IN ('pairing', 'token', 'github', 'oidc', 'passkey', 'recovery_code'));
ALTER TABLE app_sessions ADD COLUMN verified_at TEXT;
UPDATE app_sessions SET method = 'token' WHERE kind = 'token';
ALTER TABLE pairing_codes ADD COLUMN at_the_box INTEGER NOT NULL DEFAULT 0 CHECK (at_the_box IN (0, 1));
