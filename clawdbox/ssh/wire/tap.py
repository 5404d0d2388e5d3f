"""Stands between the socket and asyncssh until the login is over: sees what was said first, and caps how much.

asyncssh neither tells a web server from a wrong version nor limits what a server may send before the login. Put in
through asyncssh's public `tunnel` argument, the tap counts and looks, and then steps out of the way of the bytes.
"""

import asyncio
import socket
from typing import Any, cast

_HEAD = 512
_MOST_BEFORE_VERSION = 64 * 1024
_MOST_BEFORE_LOGIN = 1024 * 1024


class SaidTooMuch(Exception):
    """The server sent more before the login than any SSH server needs to."""


class Tap(asyncio.Protocol):
    """Forwards every event to asyncssh's protocol; keeps the first bytes and the version line."""

    def __init__(self, inner: asyncio.Protocol) -> None:
        self._inner = inner
        self._transport: asyncio.Transport | None = None
        self._line = b""
        self.head = b""
        self.version: str | None = None
        self.received = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        if len(self.head) < _HEAD:
            self.head = (self.head + data)[:_HEAD]
        if self.version is None:
            self._look_for_version(data)
        if self.received > (_MOST_BEFORE_LOGIN if self.version else _MOST_BEFORE_VERSION):
            self._inner.connection_lost(SaidTooMuch())
        else:
            self._inner.data_received(data)

    def _look_for_version(self, data: bytes) -> None:
        lines = (self._line + data).split(b"\n")
        self._line = lines.pop()[-8192:]
        for line in lines:
            if line.startswith(b"SSH-"):
                self.version = line.decode("ascii", "replace").strip()
                return

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def step_aside(self) -> None:
        """After the login, bytes go to asyncssh directly."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.set_protocol(self._inner)


class SocketTunnel:
    """Gives asyncssh a socket that is already connected, with a tap in between."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.tap: Tap | None = None

    async def create_connection(
        self, session_factory: Any, remote_host: str, remote_port: int
    ) -> tuple[Any, Any]:
        inner = session_factory()
        self.tap = tap = Tap(inner)
        transport, _ = await asyncio.get_running_loop().create_connection(lambda: tap, sock=self._sock)
        return transport, inner

    def close(self) -> None:
        self._sock.close()

    async def wait_closed(self) -> None:
        return None
