"""When an approval may be answered, what its answer is good for, and for how long."""

import hashlib
from datetime import datetime, timedelta

import msgspec

from clawdbox.approvals.model import Approval, Asked, Bound, Kind, Option, State
from clawdbox.errors import Conflict, Invalid

MAX_TITLE = 200
MAX_WORDS = 4000  # of the agent's own reason and detail

# state → states it may become
TRANSITIONS: dict[State, frozenset[State]] = {
    State.PENDING: frozenset({State.ALLOWED, State.DENIED, State.EXPIRED, State.VOID}),
    State.ALLOWED: frozenset({State.VOID}),  # while it is not used
    State.DENIED: frozenset(),
    State.EXPIRED: frozenset(),
    State.VOID: frozenset(),
}

# classes whose exact command may be allowed until the session ends; the others are asked each time
GRANTABLE = frozenset({"read", "change", "privileged", "destructive"})

WORDS: dict[State, str] = {
    State.ALLOWED: "It was allowed.",
    State.DENIED: "It was denied.",
    State.EXPIRED: "Nobody answered in time, which means no.",
    State.VOID: "It is no longer needed.",
}


CHANGED = (
    "What was asked about is no longer the same: the server, the user or the place is another one. Ask again."
)


def digest(bound: Bound) -> str:
    """SHA-256 over the canonical JSON of what an answer is bound to."""
    return hashlib.sha256(msgspec.json.encode(bound, order="deterministic")).hexdigest()


def bound_of(asked: Asked) -> Bound:
    return Bound(
        kind=asked.kind,
        connection_id=asked.connection_id,
        username=asked.username,
        directory=asked.directory,
        command=asked.command if asked.command is not None else f"{asked.call_id}\0{asked.title}",
        klass=asked.klass,
        place=asked.place,
    )


def made(asked: Asked, approval_id: str, now: datetime, ttl: timedelta) -> Approval:
    return Approval(
        id=approval_id,
        account_id=asked.account_id,
        connection_id=asked.connection_id,
        session_lease_id=asked.session_lease_id,
        conversation_id=asked.conversation_id,
        turn_id=asked.turn_id,
        call_id=asked.call_id,
        kind=asked.kind,
        title=asked.title[:MAX_TITLE],
        command=asked.command,
        directory=asked.directory,
        username=asked.username,
        klass=asked.klass,
        digest=digest(bound_of(asked)),
        why=asked.why,
        cannot_be_undone=asked.cannot_be_undone,
        reason=asked.reason[:MAX_WORDS],
        detail=asked.detail[:MAX_WORDS],
        options=asked.options,
        state=State.PENDING,
        option_id=None,
        answered_by=None,
        answered_at=None,
        void_reason=None,
        expires_at=now + ttl,
        used_at=None,
        created_at=now,
    )


def check_open(approval: Approval, now: datetime) -> None:
    """Raises Conflict unless it still waits for an answer."""
    if approval.state is State.PENDING and now < approval.expires_at:
        return
    if approval.state in (State.EXPIRED, State.PENDING):
        raise Conflict(
            "approval_expired", "Nobody answered this in time, which means no. The agent was told so.",
            state=State.EXPIRED,
        )  # fmt: skip
    if approval.state is State.VOID:
        raise Conflict(
            "approval_void",
            f"This needs no answer any more. {approval.void_reason or ''}".strip(),
            state=State.VOID,
        )
    raise Conflict(
        "approval_answered",
        f"This was {approval.state} already, and the first answer counts.",
        state=approval.state,
        answered_by=approval.answered_by,
    )


def choose(approval: Approval, allow: bool, option_id: str | None) -> Option | None:
    """The agent's own option that an answer means. Raises Invalid for one that it did not offer."""
    if option_id is not None:
        for option in approval.options:
            if option.id == option_id:
                if option.allows is not allow:
                    raise Invalid(
                        "option_id", "This choice does not fit the decision. Look at the question again."
                    )
                return option
        raise Invalid("option_id", "The agent did not offer this choice. Look at the question again.")
    return next((option for option in approval.options if option.allows is allow), None)


def may_grant(approval: Approval) -> bool:
    return approval.command is not None and approval.kind is not Kind.FILE and approval.klass in GRANTABLE


def check_grant(approval: Approval) -> None:
    """Raises Invalid where only a single use can be allowed."""
    if not may_grant(approval):
        raise Invalid("grant", "This can only be allowed once: it is asked again each time.")


def usable(approval: Approval, wanted: str, now: datetime, ttl: timedelta) -> bool:
    """Whether an answer lets exactly this pass now; `wanted` is the digest of what is about to happen."""
    return (
        approval.state is State.ALLOWED
        and approval.used_at is None
        and approval.digest == wanted
        and approval.answered_at is not None
        and now < approval.answered_at + ttl
    )


def answered_before(approval: Approval, bound: Bound) -> bool:
    """Whether this very question was allowed and the answer handed out: asked again, it is answered again.

    What it lets happen is the asker's, who asks once for each thing it does.
    """
    return (
        approval.state is State.ALLOWED and approval.used_at is not None and approval.digest == digest(bound)
    )


def why_not(approval: Approval, bound: Bound) -> str:
    """For the agent and the person: why this may not happen."""
    if approval.state is State.ALLOWED and approval.digest != digest(bound):
        return CHANGED
    if approval.state is State.VOID and approval.void_reason:
        return approval.void_reason
    if approval.state is State.ALLOWED:
        return "It was allowed, but too long ago to count."
    return WORDS.get(approval.state, "It was not allowed.")
