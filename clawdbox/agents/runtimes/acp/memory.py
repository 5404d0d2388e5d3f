"""What the box remembers of a conversation with a code agent: how far it was listened to, and what that left open."""

from collections.abc import Mapping
from typing import Any

import msgspec

_MOST_CALLS = 60


class Call(msgspec.Struct):
    """A tool call as it was told so far; updates name only what changes."""

    title: str = ""
    kind: str = "other"
    status: str = "pending"
    detail: str = ""
    command: str | None = None
    directory: str | None = None
    path: str | None = None
    reason: str = ""
    unclear: str = ""  # what it names, where that is more than one thing


class Choice(msgspec.Struct):
    id: str
    label: str
    kind: str


class Asking(msgspec.Struct):
    """A permission that the agent waits for. `to` is the id of its request, as it stands in JSON."""

    to: Any
    call: Call
    choices: list[Choice]


class Prompt(msgspec.Struct):
    """The message of a turn. `stop` and `error` are what the agent answered in the end; `spent` its cost before."""

    turn_id: str
    spent: float = 0.0
    stop: str | None = None
    error: str | None = None

    @property
    def key(self) -> str:
        return f"prompt-{self.turn_id}"

    @property
    def is_open(self) -> bool:
        return self.stop is None and self.error is None


class Memory(msgspec.Struct):
    """`gen` is which start of the agent this is about; `ready` once its session is there. Unread kinds of damage count."""

    agent: str = ""
    gen: str = ""
    ready: bool = False
    offset: int = 0
    inset: int = 0  # characters of the text at `offset` that come before the line which is said again
    shown: int = 0  # of that line
    cwd: str = ""
    session: str = ""
    mode: str = ""
    cost: float = 0.0
    prompt: Prompt | None = None
    asking: dict[str, Asking] = {}
    calls: dict[str, Call] = {}
    last: str = ""  # the message or tool that was told last, so that the next one begins a paragraph
    begun: list[str] = []  # which of answer and thoughts have some text in this turn
    odd: int = 0

    def forget_old_calls(self) -> None:
        for call_id in list(self.calls)[:-_MOST_CALLS]:
            del self.calls[call_id]


class Piece(msgspec.Struct, frozen=True):
    """A text that was said: where its message begins in the log, and what had been told before it."""

    begin: int
    last: str
    begun: list[str]
    text: str


def resume_at(memory: Memory, pieces: list[Piece], line: int, shown: int) -> Memory:
    """As of the beginning of the last `line` characters; pieces before that are needed no more."""
    left = line
    for index in range(len(pieces) - 1, -1, -1):
        piece = pieces[index]
        if left <= 0:
            break
        if left <= len(piece.text):
            del pieces[:index]
            inset = len(piece.text) - left
            return msgspec.structs.replace(
                memory, offset=piece.begin, inset=inset, shown=shown, last=piece.last, begun=piece.begun
            )
        left -= len(piece.text)
    pieces.clear()
    return msgspec.structs.replace(memory, inset=0, shown=0)


def recalled(state: Mapping[str, Any]) -> Memory:
    try:
        return msgspec.convert(dict(state), Memory)
    except msgspec.ValidationError:
        return Memory()


def kept(memory: Memory) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(memory)
    return plain
