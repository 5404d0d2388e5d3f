"""What a turn in flight is given: whose it is, what it may come to, and what it did before."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from clawdbox.agents.gate import Pass
from clawdbox.agents.model import Conversation, Turn
from clawdbox.agents.rules import limits as limit_rules
from clawdbox.agents.runtimes.port import Runtime
from clawdbox.events import Actor


class Limits(msgspec.Struct, frozen=True):
    """Of one command: how long it may take when the runtime does not say, and how much of its output is kept."""

    timeout_s: float
    output_bytes: int


class Work(msgspec.Struct, frozen=True):
    """The turn in flight and what it is done with."""

    turn: Turn
    conversation: Conversation
    actor: Actor
    runtime: Runtime
    resumed: bool
    state: Mapping[str, Any]
    limits: limit_rules.TurnLimits
    spent: limit_rules.Spent
    said: str = ""

    @property
    def account_id(self) -> str:
        return self.conversation.account_id


Prepare = Callable[[Work, Pass, str], Awaitable[None]]  # what has to happen before an allowed command begins
