-- A connection may be reached through another one of the same account (OpenSSH's ProxyJump).

ALTER TABLE ssh_connections ADD COLUMN jump_connection_id TEXT REFERENCES ssh_connections (id) CHECK (jump_connection_id <> id);
CREATE INDEX ssh_connections_jump_connection_id_idx ON ssh_connections (jump_connection_id) WHERE jump_connection_id IS NOT NULL;
