"""Conversations, turns and the events they consist of."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec


class TurnState(StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"


class WaitsFor(StrEnum):
    APPROVAL = "approval"
    SESSION = "session"


class CommandState(StrEnum):
    """How a command of a turn ended; `lost` when nobody knows."""

    DONE = "done"
    LOST = "lost"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"


class Conversation(msgspec.Struct, frozen=True):
    """A chat on a connection; `agent_session_id` is the runtime's own id of it, `runtime_options` what it was given."""

    id: str
    account_id: str
    connection_id: str
    title: str | None
    runtime: str
    runtime_options: dict[str, Any]
    agent_session_id: str
    created_at: datetime
    last_used_at: datetime
    archived_at: datetime | None


class TurnUsage(msgspec.Struct, frozen=True):
    """Tokens and cost, as far as the runtime told; of a turn, or of all turns of a conversation."""

    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None


class ConversationFacts(msgspec.Struct, frozen=True):
    """What changes about a conversation: the lease that carries it now, its last event, its running turn."""

    session_id: str | None
    last_seq: int
    running_turn_id: str | None
    waits_for: WaitsFor | None
    usage: TurnUsage


class Turn(msgspec.Struct, frozen=True):
    """`waits_for` says what a running turn cannot go on without; `session_lease_id` is the lease that carries it now."""

    id: str
    conversation_id: str
    session_lease_id: str
    text: str
    state: TurnState
    error: str | None
    created_at: datetime
    ended_at: datetime | None
    waits_for: WaitsFor | None = None
    delivered_at: datetime | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None


class TurnEnding(msgspec.Struct, frozen=True):
    """`error` is a sentence for a person; None when there is nothing to add to the state."""

    state: TurnState
    error: str | None = None


class ConversationEvent(msgspec.Struct, frozen=True):
    """One thing that happened in a conversation; `seq` counts 1, 2, 3 … within it, without holes."""

    conversation_id: str
    seq: int
    turn_id: str | None
    type: str
    payload: dict[str, Any]
    created_at: datetime


class Context(msgspec.Struct, frozen=True):
    """What a runtime is told of the lease it works on (document 05, section 5.1)."""

    connection_id: str
    host: str
    port: int
    username: str
    keypair_id: str
    session_lease_id: str
