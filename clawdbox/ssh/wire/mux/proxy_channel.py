"""A channel of a proxy's client: its windows in both directions, and what it has asked for so far (RFC 4254)."""

import asyncio
from collections import deque
from collections.abc import Awaitable
from enum import IntEnum
from typing import Protocol

from clawdbox.ssh.wire.link import Wanted
from clawdbox.ssh.wire.mux.packets import Malformed, Reader, string, u32
from clawdbox.ssh.wire.mux.session import Session

WINDOW = 512 * 1024  # what a client may send before it is read
_LARGEST = 32 * 1024
_MOST_ENV = 256
_STDERR = 1


class Message(IntEnum):
    GLOBAL_REQUEST = 80
    REQUEST_FAILURE = 82
    OPEN = 90
    OPEN_CONFIRMATION = 91
    OPEN_FAILURE = 92
    WINDOW_ADJUST = 93
    DATA = 94
    EXTENDED_DATA = 95
    EOF = 96
    CLOSE = 97
    CHANNEL_REQUEST = 98
    CHANNEL_SUCCESS = 99
    CHANNEL_FAILURE = 100


def framed(kind: int, *parts: bytes) -> bytes:
    """A packet between a proxy and its client: length, no padding, type, payload."""
    body = b"".join((bytes((0, kind)), *parts))
    return u32(len(body)) + body


class Send(Protocol):
    def __call__(self, kind: int, *parts: bytes) -> Awaitable[None]: ...


class Channel:
    """It is also the input of the session that runs on it; `out` and `err` are the outputs."""

    def __init__(self, send: Send, own: int, theirs: int, window: int, most: int) -> None:
        self.id = own
        self.theirs = theirs
        self.gone = asyncio.Event()
        self.begun = False
        self.session: Session | None = None
        self.out = _Out(self, None)
        self.err = _Out(self, _STDERR)
        self._send = send
        self._credit = window
        self._most = max(min(most, _LARGEST), 1)
        self._credited = asyncio.Event()
        self._input: deque[bytes] = deque()
        self._fed = asyncio.Event()
        self._all = False
        self._granted = WINDOW
        self._read = 0
        self._env: dict[bytes, bytes] = {}
        self._term = b"dumb"
        self._size = (80, 24, 0, 0)
        self._modes: dict[int, int] = {}
        self._has_pty = False

    async def confirm(self) -> None:
        await self._send(
            Message.OPEN_CONFIRMATION, u32(self.theirs), u32(self.id), u32(WINDOW), u32(_LARGEST)
        )

    # what the client sends

    def fed(self, data: bytes) -> None:
        self._granted -= len(data)
        if self._granted < 0:
            raise Malformed("more than the window allows")
        self._input.append(data)
        self._fed.set()

    def fed_all(self) -> None:
        self._all = True
        self._fed.set()

    def credit(self, size: int) -> None:
        self._credit += size
        self._credited.set()

    async def read(self) -> bytes:
        """The input, b"" at its end."""
        while not self._input:
            if self._all:
                return b""
            self._fed.clear()
            await self._fed.wait()
        data = self._input.popleft()
        self._read += len(data)
        if self._read >= WINDOW // 2:
            size, self._read = self._read, 0
            self._granted += size
            await self._send(Message.WINDOW_ADJUST, u32(self.theirs), u32(size))
        return data

    def close(self) -> None:
        """Its end is told by the proxy."""

    async def put(self, stream: int | None, data: bytes) -> None:
        """To the client, as far as its window allows."""
        view = memoryview(data)
        while view:
            while self._credit <= 0:
                if self.gone.is_set():
                    raise BrokenPipeError
                self._credited.clear()
                await self._credited.wait()
            piece = bytes(view[: min(self._credit, self._most)])
            view = view[len(piece) :]
            self._credit -= len(piece)
            if stream is None:
                await self._send(Message.DATA, u32(self.theirs), string(piece))
            else:
                await self._send(Message.EXTENDED_DATA, u32(self.theirs), u32(stream), string(piece))

    # what it asks for

    def set_up(self, kind: bytes, reader: Reader) -> bool:
        """A request before or beside the command; False for one that is not obeyed."""
        if kind == b"env" and len(self._env) < _MOST_ENV:
            name = reader.string()
            self._env[name] = reader.string()
        elif kind == b"pty-req":
            self._term = reader.string()
            self._size = (reader.u32(), reader.u32(), reader.u32(), reader.u32())
            self._modes = _modes(Reader(reader.string()))
            self._has_pty = True
        elif kind == b"window-change" and self.session is not None:
            self.session.resize(reader.u32(), reader.u32())
        elif kind == b"signal" and self.session is not None:
            self.session.signal(reader.text())
        else:
            return False
        return True

    def wanted(self, kind: bytes, reader: Reader) -> Wanted:
        return Wanted(
            command=(reader.string() or None) if kind == b"exec" else None,
            subsystem=reader.text() if kind == b"subsystem" else None,
            pty=self._has_pty,
            term=self._term,
            size=self._size,
            modes=self._modes,
            env=self._env,
        )


class _Out:
    def __init__(self, channel: Channel, stream: int | None) -> None:
        self._channel = channel
        self._stream = stream

    async def write(self, data: bytes) -> None:
        await self._channel.put(self._stream, data)

    def write_some(self, data: bytes) -> int:
        return 0

    def close(self) -> None:
        """Its end is told by the proxy."""


def _modes(reader: Reader) -> dict[int, int]:
    found: dict[int, int] = {}
    while reader.left and 0 < (opcode := reader.byte()) < 160:
        found[opcode] = reader.u32()
    return found
