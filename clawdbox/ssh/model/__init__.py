"""Connections, leases and terminals."""

from clawdbox.ssh.model.connections import Connection, HostKey, KeyRemoval, TestOutcome, TestResult
from clawdbox.ssh.model.leases import (
    CloseReason,
    ExecAnswer,
    Lease,
    LeaseStatus,
    MasterState,
    MasterView,
    Terminal,
)

__all__ = [
    "CloseReason",
    "Connection",
    "ExecAnswer",
    "HostKey",
    "KeyRemoval",
    "Lease",
    "LeaseStatus",
    "MasterState",
    "MasterView",
    "Terminal",
    "TestOutcome",
    "TestResult",
]
