"""When a turn may start, what may be said in it, and how it ends."""

import hashlib
import unicodedata
from typing import Any

from clawdbox.agents.model import CommandState, TurnEnding, TurnState
from clawdbox.errors import Conflict, Invalid
from clawdbox.ssh.model import CloseReason, ExecAnswer, Lease, LeaseStatus

MAX_TEXT = 8000
_ALLOWED_CONTROLS = {"\n", "\t"}

# state → states it may become
TRANSITIONS: dict[TurnState, frozenset[TurnState]] = {
    TurnState.RUNNING: frozenset({TurnState.DONE, TurnState.FAILED, TurnState.CANCELLED, TurnState.LOST}),
    TurnState.DONE: frozenset(),
    TurnState.FAILED: frozenset(),
    TurnState.CANCELLED: frozenset(),
    TurnState.LOST: frozenset(),
}

# why a lease ended → what becomes of its running turn
ON_LEASE_END: dict[CloseReason | None, tuple[TurnState, str]] = {
    CloseReason.USER: (TurnState.CANCELLED, "The session was closed."),
    CloseReason.TIMEOUT: (TurnState.CANCELLED, "The session was closed after its idle time-out."),
    CloseReason.ERROR: (TurnState.LOST, "The session ended before the answer was complete."),
    CloseReason.SERVER_CLOSED: (
        TurnState.LOST,
        "The link to the server was lost before the answer was complete.",
    ),
    None: (TurnState.LOST, "The session ended before the answer was complete."),
}

# how a turn ended → what is said of a command of it whose own end was never seen
OPEN_COMMAND: dict[TurnState, CommandState] = {
    TurnState.DONE: CommandState.LOST,
    TurnState.FAILED: CommandState.LOST,
    TurnState.CANCELLED: CommandState.CANCELLED,
    TurnState.LOST: CommandState.LOST,
}

AGENTS_STOPPED = "The agents were stopped."
BOX_STOPPED = "The box was stopped."
CONNECTION_REMOVED = TurnEnding(
    TurnState.CANCELLED, "The server was removed while this waited for a session."
)
CRASHED = TurnEnding(
    TurnState.LOST,
    "The box ended in the middle of this. What was running then may have finished or not; nothing was run again.",
)
BROKEN = TurnEnding(
    TurnState.FAILED, "The box made a mistake here; its log says which. Send it again to try once more."
)
UNSAVED = (
    "The answer could not be saved, so it was stopped. Send it again once the box can write to its disk."
)


def check_text(text: str) -> None:
    """Raises Invalid unless this is 1 to 8000 characters with no controls but line breaks and tabs."""
    if not text.strip():
        raise Invalid("text", "Write something first.")
    if len(text) > MAX_TEXT:
        raise Invalid("text", f"Use at most {MAX_TEXT} characters; this has {len(text)}.")
    if any(unicodedata.category(char) in ("Cc", "Cs") and char not in _ALLOWED_CONTROLS for char in text):
        raise Invalid("text", "Leave out control characters; line breaks and tabs are fine.")


def check_start(lease: Lease | None, running_turn_id: str | None) -> Lease:
    """The lease that a new turn works on. Raises Conflict when there is none, or another turn runs."""
    if lease is None or lease.status is not LeaseStatus.ACTIVE:
        raise Conflict("session_not_active", "No session is open on this connection. Start one to go on.")
    check_idle(running_turn_id)
    return lease


def check_idle(running_turn_id: str | None) -> None:
    """Raises Conflict while a turn runs."""
    if running_turn_id is not None:
        raise Conflict(
            "turn_running",
            "The previous message is still being answered. Wait for it, or cancel it first.",
            turn_id=running_turn_id,
        )


def may_become(state: TurnState, following: TurnState) -> bool:
    """The first end of a turn stands: nothing follows it."""
    return following in TRANSITIONS[state]


def on_lease_end(lease: Lease) -> TurnEnding:
    """How the running turn of a lease ends with it, and why."""
    state, why = ON_LEASE_END[lease.close_reason]
    return TurnEnding(state, f"{why} {lease.error_detail}" if lease.error_detail else why)


def command_state(answer: ExecAnswer) -> CommandState:
    if answer.cancelled:
        return CommandState.CANCELLED
    if answer.timed_out:
        return CommandState.TIMED_OUT
    return CommandState.LOST if answer.exit_status is None else CommandState.DONE


def trace(text: str) -> dict[str, Any]:
    """What the audit trail says of a message: enough to prove which one it was, not what it said."""
    return {"sha256": hashlib.sha256(text.encode()).hexdigest(), "length": len(text)}
