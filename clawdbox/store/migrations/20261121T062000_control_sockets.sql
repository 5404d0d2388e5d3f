-- What clients of a connection's control socket may do; a connection without a row has the defaults.
CREATE TABLE control_policies (
  connection_id TEXT PRIMARY KEY REFERENCES ssh_connections (id) ON DELETE CASCADE,
  allow_exec INTEGER NOT NULL CHECK (allow_exec IN (0, 1)),
  allow_pty INTEGER NOT NULL CHECK (allow_pty IN (0, 1)),
  allow_forward INTEGER NOT NULL CHECK (allow_forward IN (0, 1)),
  allow_proxy INTEGER NOT NULL CHECK (allow_proxy IN (0, 1)),
  allow_exit INTEGER NOT NULL CHECK (allow_exit IN (0, 1)),
  updated_at TEXT NOT NULL
) STRICT;

-- Through a control socket, shells and subsystems (sftp) run besides commands.
ALTER TABLE executions ADD COLUMN kind TEXT NOT NULL DEFAULT 'command' CHECK (kind IN ('command', 'shell', 'subsystem'));
