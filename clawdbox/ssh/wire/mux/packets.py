"""The packets of OpenSSH's PROTOCOL.mux, version 4, as its mux.c has them: every "bool" and port is a uint32."""

import struct
from enum import IntEnum

import msgspec

VERSION = 4
MAX_PACKET = 256 * 1024
STREAM_LOCAL = 0xFFFFFFFE  # in place of a port: the host is the path of a Unix socket
NO_ESCAPE = 0xFFFFFFFF


class Kind(IntEnum):
    HELLO = 0x00000001
    NEW_SESSION = 0x10000002
    ALIVE_CHECK = 0x10000004
    TERMINATE = 0x10000005
    OPEN_FORWARD = 0x10000006
    CLOSE_FORWARD = 0x10000007
    NEW_STDIO_FORWARD = 0x10000008
    STOP_LISTENING = 0x10000009
    PROXY = 0x1000000F


class Answer(IntEnum):
    OK = 0x80000001
    PERMISSION_DENIED = 0x80000002
    FAILURE = 0x80000003
    EXIT_MESSAGE = 0x80000004
    ALIVE = 0x80000005
    SESSION_OPENED = 0x80000006
    REMOTE_PORT = 0x80000007
    TTY_ALLOC_FAIL = 0x80000008
    PROXY = 0x8000000F
    # Ours. A client that asked for a forward dials by itself after DENIED or FAILURE; an answer that it does not
    # know makes it give up, and shows this number.
    REFUSED_FORWARD = 0x80000403


class Malformed(Exception):
    """What came is no packet of this protocol."""


class Reader:
    """Takes a packet apart. Raises Malformed at its end."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)

    def take(self, size: int) -> bytes:
        if size > len(self._data):
            raise Malformed("a packet ends too early")
        piece, self._data = self._data[:size], self._data[size:]
        return bytes(piece)

    def byte(self) -> int:
        return self.take(1)[0]

    def u32(self) -> int:
        return int(struct.unpack(">I", self.take(4))[0])

    def string(self) -> bytes:
        return self.take(self.u32())

    def text(self) -> str:
        return self.string().decode("utf-8", "replace")

    @property
    def left(self) -> int:
        return len(self._data)


def u32(value: int) -> bytes:
    return struct.pack(">I", value & 0xFFFFFFFF)


def string(value: bytes | str) -> bytes:
    data = value.encode("utf-8", "replace") if isinstance(value, str) else value
    return u32(len(data)) + data


def packet(kind: int, *parts: bytes) -> bytes:
    """With its length in front."""
    body = b"".join((u32(kind), *parts))
    return u32(len(body)) + body


def hello() -> bytes:
    return packet(Kind.HELLO, u32(VERSION))


def check_hello(data: bytes) -> None:
    reader = Reader(data)
    if reader.u32() != Kind.HELLO or reader.u32() != VERSION:
        raise Malformed("no HELLO of version 4")


class SessionWish(msgspec.Struct, frozen=True):
    """MUX_C_NEW_SESSION. `escape` is the code of the escape character, None without one."""

    pty: bool
    subsystem: bool
    escape: int | None
    term: bytes
    command: bytes
    env: tuple[bytes, ...]


class ForwardWish(msgspec.Struct, frozen=True):
    """MUX_C_OPEN_FWD and MUX_C_CLOSE_FWD. A port of STREAM_LOCAL makes the host beside it a path."""

    kind: int
    listen_host: str
    listen_port: int
    connect_host: str
    connect_port: int


def session_wish(reader: Reader) -> SessionWish:
    reader.string()  # reserved
    pty, _x11, _agent, subsystem = (bool(reader.u32()) for _ in range(4))
    escape = reader.u32()
    term, command = reader.string(), reader.string()
    env = []
    while reader.left:
        env.append(reader.string())
    known = escape if escape < 256 else None
    return SessionWish(pty, subsystem, known, term, command, tuple(item for item in env if b"=" in item))


def forward_wish(reader: Reader) -> ForwardWish:
    return ForwardWish(reader.u32(), reader.text(), reader.u32(), reader.text(), reader.u32())


def stdio_wish(reader: Reader) -> tuple[str, int]:
    reader.string()  # reserved
    return reader.text(), reader.u32()
