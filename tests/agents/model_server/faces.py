"""The three protocols as one shape: how an answer begins, goes on and ends, frame by frame, and what an error is."""

from collections.abc import Iterator
from typing import Any, Protocol

import msgspec

from tests.agents.model_server.parts import Fault, Refusal, Reply, Text, Think, Tool

Json = dict[str, Any]
PIECE = 24  # characters of a tool's arguments in one frame


class Face(Protocol):
    """Of one answer. Every item that it yields is written and flushed on its own."""

    def begin(self, reply: Reply) -> Iterator[bytes]: ...
    def part(self, part: Text | Think | Tool) -> Iterator[bytes]: ...
    def ping(self) -> Iterator[bytes]: ...
    def fault(self, fault: Fault) -> Iterator[bytes]: ...
    def end(self, reply: Reply) -> Iterator[bytes]: ...
    def whole(self, reply: Reply) -> Json:
        """The same answer, not streamed."""

    def refusal(self, refusal: Refusal) -> Json: ...


def encoded(value: Any) -> bytes:
    return msgspec.json.encode(value)


def pieces(text: str) -> Iterator[str]:
    for start in range(0, max(len(text), 1), PIECE):
        yield text[start : start + PIECE]
