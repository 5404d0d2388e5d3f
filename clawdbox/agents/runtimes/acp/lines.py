"""A log cut into lines, each with the offset behind it; a line without end costs no memory. Pure."""

from collections.abc import Iterator

import msgspec


class Line(msgspec.Struct, frozen=True):
    """`data` is None for a line that was too long, of which `head` is the beginning."""

    data: bytes | None
    end: int
    head: bytes = b""


class Splitter:
    def __init__(self, offset: int, most: int) -> None:
        self._begin = offset
        self._most = most
        self._pieces: list[bytes] = []
        self._size = 0
        self._head = b""
        self._long = False

    def feed(self, data: bytes) -> Iterator[Line]:
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            self._add(data[start:end])
            yield self._line()
            start = end + 1
        self._add(data[start:])

    def _add(self, piece: bytes) -> None:
        self._size += len(piece)
        if not self._long:
            self._pieces.append(piece)
            if self._size > self._most:
                self._long = True
                self._head = b"".join(self._pieces)[:4096]
                self._pieces.clear()

    def _line(self) -> Line:
        self._begin += self._size + 1
        line = Line(None if self._long else b"".join(self._pieces), self._begin, self._head)
        self._pieces, self._size, self._head, self._long = [], 0, b"", False
        return line
