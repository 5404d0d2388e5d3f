"""Connections, leases and terminals."""

from clawdbox.ssh.model.connections import Connection, HostKey, KeyRemoval, TestOutcome, TestResult
from clawdbox.ssh.model.host_authorities import HostAuthority, MarkKind
from clawdbox.ssh.model.imports import ImportMark, ImportPlan, ImportRow
from clawdbox.ssh.model.leases import (
    CloseReason,
    ExecAnswer,
    KeptTerminal,
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
    "HostAuthority",
    "HostKey",
    "ImportMark",
    "ImportPlan",
    "ImportRow",
    "KeptTerminal",
    "KeyRemoval",
    "Lease",
    "LeaseStatus",
    "MarkKind",
    "MasterState",
    "MasterView",
    "Terminal",
    "TestOutcome",
    "TestResult",
]
