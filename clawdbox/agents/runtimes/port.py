"""The port of everything that thinks in a conversation.

A runtime is handed one turn at a time: the text, the lease it is about, and hands. The hands are all it can do: say
something, show a card, run a command on the server of the lease. They reach no shell and no file of the box itself.

A runtime ends a turn by returning (`done`) or by raising: `TurnCancelled`, which the hands raise for it, `TurnLost`
when it cannot go on because an outcome is unknown, a coded Problem for what a person can mend (`failed`).
"""

import asyncio
from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from clawdbox.agents.model import CommandState, Context


class Status(StrEnum):
    OK = "ok"
    INFO = "info"
    WARN = "warn"
    BAD = "bad"


class Row(msgspec.Struct, frozen=True):
    """A line of a card; `percent` makes it a bar."""

    label: str
    value: str
    status: Status = Status.INFO
    percent: float | None = None


class Card(msgspec.Struct, frozen=True):
    """What was read out of a server's answer."""

    title: str
    status: Status
    summary: str
    rows: tuple[Row, ...] = ()


class Suggestion(msgspec.Struct, frozen=True):
    """A next message: `text` is what is sent, `label` what stands on the button."""

    text: str
    label: str


class Answer(msgspec.Struct, frozen=True):
    """What a command came to. Foreign bytes in the output became U+FFFD; the conversation's events have them all."""

    state: CommandState
    exit_status: int | None
    stdout: str
    stderr: str
    truncated: bool = False
    duration_ms: float = 0.0


class TurnCancelled(Exception):
    """The turn is to end now."""


class TurnLost(Exception):
    """An outcome is unknown; the text says of what, for a person."""


class Hands(Protocol):
    """What a runtime may do in its turn. Everything here is an event of the conversation."""

    @property
    def cancelled(self) -> asyncio.Event:
        """Set when the turn is to end; every other call raises TurnCancelled from then on."""

    async def say(self, text: str) -> None:
        """Append to the answer: paragraphs with an empty line between them, `code` in backticks."""

    async def card(self, card: Card) -> None: ...

    async def suggest(self, items: Sequence[Suggestion]) -> None: ...

    async def run(self, command: str, title: str | None = None, timeout_s: float | None = None) -> Answer:
        """Run a command on the server of the lease, exactly as it stands, and at most once. Its output is streamed."""


class Runtime(Protocol):
    @property
    def name(self) -> str:
        """As it stands in `conversations.runtime`."""

    async def run(self, turn_text: str, context: Context, hands: Hands) -> None: ...
