"""The fall-back master: the system's own `ssh` (setting `master = "openssh"`), for exec, terminal and test only."""

from clawdbox.ssh.wire.openssh.dial import dial
from clawdbox.ssh.wire.openssh.folder import missing, sweep

__all__ = ["dial", "missing", "sweep"]
