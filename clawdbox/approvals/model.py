"""Approvals and standing grants as they are stored."""

from datetime import datetime
from enum import StrEnum

import msgspec


class Kind(StrEnum):
    """`command` and `file` are run by the box once allowed; a `question` is answered to the agent that asks."""

    COMMAND = "command"
    FILE = "file"
    QUESTION = "question"


class State(StrEnum):
    PENDING = "pending"
    ALLOWED = "allowed"
    DENIED = "denied"
    EXPIRED = "expired"
    VOID = "void"


class Option(msgspec.Struct, frozen=True):
    """One way to answer a question. `kind` is allow_once, allow_always, reject_once or reject_always (ACP's words)."""

    id: str
    label: str
    kind: str

    @property
    def allows(self) -> bool:
        return self.kind.startswith("allow")


class Bound(msgspec.Struct, frozen=True):
    """What an answer is good for, and nothing else: these exact bytes, there, as that user, in that directory.

    `place` is where the connection leads: host and port, and those of its jump hosts.
    """

    kind: Kind
    connection_id: str
    username: str
    directory: str
    command: str
    klass: str
    place: str = ""


class Asked(msgspec.Struct, frozen=True):
    """A question before it has a row. `reason` and `detail` are the agent's own words."""

    account_id: str
    connection_id: str
    session_lease_id: str
    conversation_id: str
    turn_id: str
    call_id: str
    kind: Kind
    title: str
    username: str
    klass: str
    why: tuple[str, ...]
    command: str | None = None
    directory: str = ""
    cannot_be_undone: str | None = None
    reason: str = ""
    detail: str = ""
    options: tuple[Option, ...] = ()
    place: str = ""


class Approval(msgspec.Struct, frozen=True, rename={"klass": "class"}):
    """`answered_by` is the login that answered first; None when time or the end of the work did. `digest` binds it."""

    id: str
    account_id: str
    connection_id: str
    session_lease_id: str
    conversation_id: str
    turn_id: str
    call_id: str
    kind: Kind
    title: str
    command: str | None
    directory: str
    username: str
    klass: str
    digest: str
    why: tuple[str, ...]
    cannot_be_undone: str | None
    reason: str
    detail: str
    options: tuple[Option, ...]
    state: State
    option_id: str | None
    answered_by: str | None
    answered_at: datetime | None
    void_reason: str | None
    expires_at: datetime
    used_at: datetime | None
    created_at: datetime


class Grant(msgspec.Struct, frozen=True, rename={"klass": "class"}):
    """This exact command may run without asking until its session ends."""

    id: str
    account_id: str
    connection_id: str
    session_lease_id: str
    approval_id: str
    command: str
    klass: str
    digest: str
    used_count: int
    created_at: datetime
    ended_at: datetime | None
    end_reason: str | None
