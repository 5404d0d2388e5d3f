"""What a scripted model answers: parts in their order, some of which only decide when, or whether, the rest comes."""

import asyncio
import threading
from typing import Any

import msgspec


class Text(msgspec.Struct, frozen=True):
    """One delta of the answer."""

    text: str


class Think(msgspec.Struct, frozen=True):
    """One delta of what it thinks before it answers."""

    text: str


class Tool(msgspec.Struct, frozen=True):
    """A call of a tool. `arguments` as text are sent as they stand, so that they may be no JSON at all."""

    name: str
    arguments: dict[str, Any] | str
    id: str | None = None

    @property
    def json(self) -> str:
        if isinstance(self.arguments, str):
            return self.arguments
        return msgspec.json.encode(self.arguments).decode()


class Ping(msgspec.Struct, frozen=True):
    """A sign of life that says nothing."""


class Stall(msgspec.Struct, frozen=True):
    """Nothing more comes, and the connection stays open until the client, or the server, ends it."""


class Cut(msgspec.Struct, frozen=True):
    """The connection breaks here, without the stream's own end."""


class Quit(msgspec.Struct, frozen=True):
    """The answer ends here as HTTP wants it, but without the stream's own end: what a proxy that gives up looks like."""


class Fault(msgspec.Struct, frozen=True):
    """An error in the middle of a stream, as these services send it with status 200."""

    message: str = "Overloaded"
    kind: str = "overloaded_error"


class Gate:
    """What stands behind it is sent once a test opens it."""

    def __init__(self) -> None:
        self._reached = threading.Event()
        self._opened = threading.Event()

    def open(self) -> None:
        self._opened.set()

    @property
    def is_open(self) -> bool:
        return self._opened.is_set()

    def arrive(self) -> None:
        """Said by the server: all that stands before it was sent."""
        self._reached.set()

    def until_reached(self, timeout: float = 30.0) -> None:
        assert self._reached.wait(timeout), "the model server never came to this gate"

    async def reached(self, timeout: float = 30.0) -> None:
        await asyncio.to_thread(self.until_reached, timeout)


Part = Text | Think | Tool | Ping | Stall | Cut | Quit | Fault | Gate


class Reply(msgspec.Struct, frozen=True):
    """`stop` is why it ended, in the words of the protocol; None for its word for "done" or "calls tools"."""

    parts: tuple[Part, ...]
    input_tokens: int = 11
    output_tokens: int = 7
    stop: str | None = None

    def only(self, kind: type[Any]) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, kind))

    @property
    def tools(self) -> tuple[Tool, ...]:
        return tuple(part for part in self.parts if isinstance(part, Tool))


class Refusal(msgspec.Struct, frozen=True):
    """An answer that is an HTTP error. `kind` is the protocol's own word for it; None for the usual one."""

    status: int
    message: str = "This request was refused by the script."
    kind: str | None = None
    retry_after: str | None = None


def reply(
    *parts: Part | str, input_tokens: int = 11, output_tokens: int = 7, stop: str | None = None
) -> Reply:
    """Strings are deltas of text."""
    known = tuple(Text(part) if isinstance(part, str) else part for part in parts)
    return Reply(known, input_tokens, output_tokens, stop)
