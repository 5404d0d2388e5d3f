"""What a command puts out, cut into events of bounded size, and bounded as a whole."""

import base64
import codecs
from typing import Any

import msgspec

EVENT_BYTES = 16 * 1024
KEPT_BYTES = 1024 * 1024
_LONGEST_CHARACTER = 4
_HELD = _LONGEST_CHARACTER - 1


class Chunk(msgspec.Struct, frozen=True):
    """A piece of one stream. `size` counts its bytes; `data` holds them as `encoding` (utf-8 or base64) says."""

    stream: str
    data: str
    encoding: str
    size: int


class Splitter:
    """One stream as chunks: text where it is text, base64 for a stretch that is not. No character is torn apart."""

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def feed(self, data: bytes) -> list[Chunk]:
        step = EVENT_BYTES - _HELD
        pieces = (self._piece(data[start : start + step]) for start in range(0, len(data), step))
        return [chunk for chunk in pieces if chunk.size]

    def finish(self) -> list[Chunk]:
        """What was held back, waiting for the rest of a character."""
        held, _ = self._decoder.getstate()
        self._decoder.reset()
        return [self._binary(held)] if held else []

    def _piece(self, data: bytes) -> Chunk:
        held, _ = self._decoder.getstate()
        try:
            text = self._decoder.decode(data)
        except UnicodeDecodeError:
            self._decoder.reset()
            return self._binary(held + data)
        if "\0" in text:
            waiting, _ = self._decoder.getstate()
            whole = held + data
            return self._binary(whole[: len(whole) - len(waiting)])
        return Chunk(self._stream, text, "utf-8", len(text.encode()))

    def _binary(self, data: bytes) -> Chunk:
        return Chunk(self._stream, base64.b64encode(data).decode(), "base64", len(data))


class Transcript:
    """Both streams of one command, in the order they came; what goes beyond the cap is dropped and said so."""

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._room = kept_bytes
        self._splitters: dict[str, Splitter] = {}
        self.truncated = False

    def feed(self, stream: str, data: bytes) -> list[Chunk]:
        taken = data[: self._room]
        self._room -= len(taken)
        self.truncated = self.truncated or len(taken) < len(data)
        return self._splitters.setdefault(stream, Splitter(stream)).feed(taken)

    def finish(self) -> list[Chunk]:
        return [chunk for splitter in self._splitters.values() for chunk in splitter.finish()]


def text_pieces(text: str) -> list[str]:
    """A text as parts that each fit an event; what no UTF-8 can carry becomes a question mark."""
    sound = text.encode("utf-8", "replace").decode()
    step = EVENT_BYTES // _LONGEST_CHARACTER
    return [sound[start : start + step] for start in range(0, len(sound), step)]


class Draft(msgspec.Struct, frozen=True):
    """An event before it has a number; `size` counts the bytes that its text or output holds."""

    type: str
    payload: dict[str, Any]
    size: int = 0


def joined(last: Draft, following: Draft) -> Draft | None:
    """Two neighbours as one event, where both continue the same text or stream and fit together."""
    if last.type != following.type or last.size + following.size > EVENT_BYTES:
        return None
    match last.payload, following.payload:
        case {"text": str(before)}, {"text": str(after)} if last.type in ("text", "thought"):
            return Draft(last.type, {"text": before + after}, last.size + following.size)
        case {"data": str(before), "encoding": "utf-8"}, {"data": str(after)} if _same_place(last, following):
            return Draft(last.type, {**last.payload, "data": before + after}, last.size + following.size)
    return None


def _same_place(last: Draft, following: Draft) -> bool:
    keys = ("command_id", "stream", "encoding")
    return all(last.payload.get(key) == following.payload.get(key) for key in keys)
