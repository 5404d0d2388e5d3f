"""What becomes of a change that the server undoes by itself unless somebody confirms that they are still in."""

from datetime import datetime
from enum import StrEnum

import msgspec

from clawdbox.errors import Conflict


class RevertState(StrEnum):
    """`unguarded`: the server has no timer, so nothing undoes the change. `unknown`: it could not be asked."""

    ARMING = "arming"
    ARMED = "armed"
    UNGUARDED = "unguarded"
    CONFIRMED = "confirmed"
    REVERTED = "reverted"
    UNKNOWN = "unknown"


# state → states it may become
TRANSITIONS: dict[RevertState, frozenset[RevertState]] = {
    RevertState.ARMING: frozenset({RevertState.ARMED, RevertState.UNGUARDED, RevertState.UNKNOWN}),
    RevertState.ARMED: frozenset({RevertState.CONFIRMED, RevertState.REVERTED, RevertState.UNKNOWN}),
    RevertState.UNGUARDED: frozenset(),
    RevertState.CONFIRMED: frozenset(),
    RevertState.REVERTED: frozenset(),
    RevertState.UNKNOWN: frozenset({RevertState.CONFIRMED, RevertState.REVERTED}),
}


class Revert(msgspec.Struct, frozen=True):
    """`what` is for a person: what is put back. `due_at` is when the server does it."""

    id: str
    account_id: str
    connection_id: str
    turn_id: str
    command: str
    what: str
    state: RevertState
    detail: str
    due_at: datetime | None
    created_at: datetime
    ended_at: datetime | None

    @property
    def is_open(self) -> bool:
        return self.state in (RevertState.ARMING, RevertState.ARMED, RevertState.UNKNOWN)


def check_confirm(revert: Revert) -> None:
    """Raises Conflict where there is nothing to keep."""
    if revert.state is RevertState.REVERTED:
        raise Conflict(
            "revert_done", "The server has undone this change already, since nobody confirmed it in time."
        )
    if revert.state is RevertState.UNGUARDED:
        raise Conflict("revert_unguarded", "Nothing undoes this change, so there is nothing to confirm.")


def said(stdout: str) -> str:
    """The last word that a script of the guard says: `armed`, `unsupported`, `disarmed`, `reverted`, `pending`, `none`."""
    words = stdout.split()
    return words[-1].lower() if words else ""


def after_arming(exit_status: int | None, stdout: str) -> RevertState:
    if exit_status == 0 and said(stdout) == "armed":
        return RevertState.ARMED
    return RevertState.UNKNOWN if exit_status is None else RevertState.UNGUARDED


def after_asking(exit_status: int | None, stdout: str) -> RevertState:
    """What the server says of a timer that should have run out, or was told to stop."""
    match said(stdout) if exit_status == 0 else "":
        case "reverted":
            return RevertState.REVERTED
        case "disarmed":
            return RevertState.CONFIRMED
        case "pending":
            return RevertState.ARMED
    return RevertState.UNKNOWN
