"""An asciicast that is sealed while it is written. Everything here waits for the disk: it runs on a thread."""

import codecs
import errno
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Self

from clawdbox.ssh.rules import cast
from clawdbox.vault import Secret, StreamReader, StreamWriter
from clawdbox.vault.rules.stream import MAX_PLAIN

_PIECE = 32_768  # characters of a line: JSON makes at most six bytes of one, so a line fits into a chunk
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Output(NamedTuple):
    seconds: float
    data: bytes


class Resize(NamedTuple):
    seconds: float
    cols: int
    rows: int


class CastFile:
    """A chunk of the stream holds whole lines, so that a cut never leaves half of one."""

    def __init__(self, writer: StreamWriter) -> None:
        self._writer = writer
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._at = 0.0

    @classmethod
    def create(cls, path: Path, key: Secret, name: str, header: bytes) -> Self:
        writer = StreamWriter.create(path, key, name)
        try:
            writer.append(header)
        except OSError:
            writer.close()
            raise
        return cls(writer)

    @property
    def size(self) -> int:
        return self._writer.size

    def write(self, pieces: list[Output | Resize]) -> None:
        """Raises OSError, after which only `finish` is left."""
        for chunk in _packed(self._lines(pieces)):
            self._writer.append(chunk)

    def sync(self) -> None:
        """What was written survives a power cut. Raises OSError."""
        self._writer.sync()

    def finish(self, seconds: float, words: str | None) -> None:
        """The end, with a marker that says why when the terminal goes on without the recording."""
        rest = self._decode(b"", True)
        lines = [cast.output(self._later(seconds), rest)] if rest else []
        if words:
            lines.append(cast.marker(self._later(seconds), words))
        self._writer.finish(b"".join(lines))

    def close(self) -> None:
        self._writer.close()

    def _lines(self, pieces: list[Output | Resize]) -> Iterator[bytes]:
        for piece in pieces:
            if isinstance(piece, Resize):
                yield cast.resize(self._later(piece.seconds), piece.cols, piece.rows)
                continue
            text = self._decode(piece.data)
            for at in range(0, len(text), _PIECE):
                yield cast.output(self._later(piece.seconds), text[at : at + _PIECE])

    def _later(self, seconds: float) -> float:
        self._at = max(self._at, seconds)
        return self._at


class Rescued(NamedTuple):
    """What a crash had left of a file. `was_cut` is False when only its row had not heard of the end."""

    was_cut: bool
    seconds: float
    size: int


def rescue(path: Path, key: Secret, name: str, words: str) -> Rescued:
    """Give a file that a crash left an end that says so. Raises Unavailable when it does not open, and OSError."""
    with StreamReader(path, key, name) as reader:
        seconds = max((_last_time(chunk) for chunk in reader), default=0.0)
        if reader.is_finished:
            return Rescued(reader.was_cut, seconds, reader.size)
    writer = StreamWriter.resume(path, key, name)
    try:
        writer.finish(cast.marker(seconds, words))
    finally:
        writer.close()
    return Rescued(True, seconds, writer.size)


def is_no_room(error: OSError) -> bool:
    return error.errno in _NO_ROOM


def _last_time(chunk: bytes) -> float:
    return cast.seconds_of(chunk.rstrip(b"\n").rpartition(b"\n")[2]) or 0.0


def _packed(lines: Iterator[bytes]) -> Iterator[bytes]:
    chunk: list[bytes] = []
    size = 0
    for line in lines:
        if size + len(line) > MAX_PLAIN:
            yield b"".join(chunk)
            chunk, size = [], 0
        chunk.append(line)
        size += len(line)
    if chunk:
        yield b"".join(chunk)
