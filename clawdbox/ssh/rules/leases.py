"""The life of a lease (document 02, lifecycle of session_leases; document 05, sections 5.2 to 5.4)."""

from datetime import datetime, timedelta

import msgspec

from clawdbox.errors import Conflict
from clawdbox.ssh.model import CloseReason, Connection, Lease, LeaseStatus, MasterState, MasterView

# status → statuses it may become
TRANSITIONS: dict[LeaseStatus, frozenset[LeaseStatus]] = {
    LeaseStatus.PENDING: frozenset({LeaseStatus.ACTIVE, LeaseStatus.CLOSED, LeaseStatus.ERROR}),
    LeaseStatus.ACTIVE: frozenset({LeaseStatus.CLOSED, LeaseStatus.ERROR}),
    LeaseStatus.CLOSED: frozenset(),
    LeaseStatus.ERROR: frozenset(),
}

# state of a master → states it may become
MASTER_TRANSITIONS: dict[MasterState, frozenset[MasterState]] = {
    MasterState.DIALLING: frozenset({MasterState.UP, MasterState.LOST, MasterState.CLOSED}),
    MasterState.UP: frozenset({MasterState.LOST, MasterState.DRAINING, MasterState.CLOSED}),
    MasterState.LOST: frozenset({MasterState.DIALLING, MasterState.CLOSED}),
    MasterState.DRAINING: frozenset({MasterState.CLOSED}),
    MasterState.CLOSED: frozenset(),
}

KEY_REVOKED = "The key of this session was revoked."
ACCOUNT_DISABLED = "The account was disabled."
BOX_STOPPED = "The box was stopped."
BOX_CRASHED = "The box ended without closing this session (a crash, a kill or a power cut)."
NO_HEARTBEAT = "The session gave no sign of life."
NOT_BACK = "The link to the server was lost and did not come back in time."
NEVER_UP = "The connection was never established."
IDLE = "Nothing happened in this session for its idle time-out."


class Ending(msgspec.Struct, frozen=True):
    reason: CloseReason
    detail: str | None = None


class Limits(msgspec.Struct, frozen=True):
    """Times after which a lease ends."""

    idle: timedelta
    grace: timedelta
    dead: timedelta


class LeaseFacts(msgspec.Struct, frozen=True):
    """What the janitor knows of a lease: `master` is None when no master of this process holds it."""

    lease: Lease
    master: MasterView | None
    last_activity: datetime
    key_revoked: bool
    account_active: bool


def check_start(connection: Connection, open_leases: int, max_leases: int) -> None:
    """Raises Conflict when the connection was never tested, or the account has all its leases in use."""
    if connection.state != "tested":
        raise Conflict(
            "connection_untested",
            "Test this connection first: the test shows the server's host key, which you accept before the first session.",
        )
    if open_leases >= max_leases:
        raise Conflict(
            "lease_limit_reached",
            f"You have {open_leases} of {max_leases} sessions open. Close one, or raise the limit in Settings.",
            open_sessions=open_leases,
            limit=max_leases,
        )


def closed_meanwhile() -> Conflict:
    return Conflict("session_not_active", "This session was closed while it was being started.")


def check_still_active(lease: Lease) -> None:
    """For work over a lease that was active when the work was asked for. Raises Conflict."""
    if lease.status is not LeaseStatus.ACTIVE:
        raise Conflict("session_not_active", "This session has just ended. Start a new one to go on.")


def moved(lease: Lease, status: LeaseStatus) -> Lease:
    """The lease in its next status. Raises Conflict for a step that the table does not have."""
    if status not in TRANSITIONS[lease.status]:
        raise Conflict("session_not_active", f"This session is {lease.status}. Start a new one to go on.")
    return msgspec.structs.replace(lease, status=status)


def activated(lease: Lease, agent_session_id: str, now: datetime) -> Lease:
    return msgspec.structs.replace(
        moved(lease, LeaseStatus.ACTIVE),
        agent_session_id=agent_session_id,
        started_at=now,
        last_heartbeat_at=now,
        last_activity_at=now,
    )


def ended(lease: Lease, ending: Ending, now: datetime) -> Lease:
    """A lease that ended for the reason `error` has the status `error`, every other one is `closed`."""
    status = LeaseStatus.ERROR if ending.reason is CloseReason.ERROR else LeaseStatus.CLOSED
    return msgspec.structs.replace(
        moved(lease, status), closed_at=now, close_reason=ending.reason, error_detail=ending.detail
    )


def verdict(facts: LeaseFacts, limits: Limits, now: datetime) -> Ending | None:
    """Why the janitor ends a lease, or None.

    A master that this process is redialling has its grace; a lease that nobody holds ends once its last
    heartbeat is older than `dead`.
    """
    lease, master = facts.lease, facts.master
    if facts.key_revoked:
        return Ending(CloseReason.ERROR, KEY_REVOKED)
    if not facts.account_active:
        return Ending(CloseReason.ERROR, ACCOUNT_DISABLED)
    if master and master.grace_ends_at and now >= master.grace_ends_at:
        return Ending(CloseReason.SERVER_CLOSED, NOT_BACK)
    if lease.status is LeaseStatus.ACTIVE and now - facts.last_activity >= limits.idle:
        return Ending(CloseReason.TIMEOUT, IDLE)
    heard = lease.last_heartbeat_at or lease.created_at
    in_grace = master is not None and master.grace_ends_at is not None
    if not in_grace and now - heard > limits.dead:
        return Ending(CloseReason.ERROR, NO_HEARTBEAT if lease.status is LeaseStatus.ACTIVE else NEVER_UP)
    return None


def redial_delay(attempt: int, jitter: float) -> float:
    """Seconds before the redial of that number (0, 1, 2 …): doubling from 1 to 30, spread by `jitter` in [0, 1)."""
    return float(min(30.0, 2.0 ** min(attempt, 5)) * (0.5 + jitter))
