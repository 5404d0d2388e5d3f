"""The right to one live SSH session, its master, and what runs over it."""

from datetime import datetime
from enum import StrEnum

import msgspec


class LeaseStatus(StrEnum):
    PENDING = "pending"
    ACTIVE = "active"
    CLOSED = "closed"
    ERROR = "error"


class CloseReason(StrEnum):
    USER = "user"
    TIMEOUT = "timeout"
    ERROR = "error"
    SERVER_CLOSED = "server_closed"


class MasterState(StrEnum):
    DIALLING = "dialling"
    UP = "up"
    DRAINING = "draining"
    LOST = "lost"
    CLOSED = "closed"


class Lease(msgspec.Struct, frozen=True):
    """A row of `session_leases`. `error_detail` says more than `close_reason` can (key revoked, box stopped)."""

    id: str
    account_id: str
    connection_id: str
    keypair_id: str
    status: LeaseStatus
    agent_session_id: str | None
    started_at: datetime | None
    closed_at: datetime | None
    close_reason: CloseReason | None
    last_heartbeat_at: datetime | None
    last_activity_at: datetime | None
    error_detail: str | None
    created_at: datetime

    @property
    def is_open(self) -> bool:
        return self.status in (LeaseStatus.PENDING, LeaseStatus.ACTIVE)


class MasterView(msgspec.Struct, frozen=True):
    """The master of an open lease as a page shows it; `grace_ends_at` only while it is lost."""

    state: MasterState
    since: datetime
    redials: int
    grace_ends_at: datetime | None


class ExecAnswer(msgspec.Struct, frozen=True):
    """What a command came to. `exit_status` None: the link was lost, nobody knows."""

    execution_id: str
    exit_status: int | None
    stdout: bytes
    stderr: bytes
    truncated: bool
    timed_out: bool
    cancelled: bool
    duration_ms: float


class Terminal(msgspec.Struct, frozen=True):
    """A PTY on a lease. The bytes kept of its output are `[start_offset, end_offset)` of all it ever wrote."""

    id: str
    session_id: str
    state: str
    cols: int
    rows: int
    exit_status: int | None
    end_reason: str | None
    start_offset: int
    end_offset: int
    created_at: datetime
    ended_at: datetime | None
    kept_id: str | None = None


class KeptTerminal(msgspec.Struct, frozen=True):
    """A row of `kept_terminals`: a shell in tmux on the server, whether or not a terminal of the box shows it."""

    id: str
    account_id: str
    connection_id: str
    name: str
    state: str
    end_reason: str | None
    cols: int
    rows: int
    created_at: datetime
    ended_at: datetime | None
