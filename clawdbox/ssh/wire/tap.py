"""Stands between the socket and asyncssh: sees what was said first, and caps how much may come before the login.

asyncssh neither tells a web server from a wrong version nor limits what a server may send before the login. The tap
is put in through asyncssh's public `tunnel` argument. It also hands bytes on in small pieces: stock asyncssh copies all
that it holds for each packet that it takes, so that 256 KiB of tiny packets in one piece would stop the event loop for
seconds. A quickened connection (`fast`) has no need of that once it is encrypted.
"""

import asyncio
import socket
from typing import Any

_HEAD = 16 * 1024
_MOST_BEFORE_VERSION = 64 * 1024
_MOST_BEFORE_LOGIN = 256 * 1024
_PIECE = 16 * 1024


class SaidTooMuch(Exception):
    """The server sent more before the login than any SSH server needs to."""


class Tap(asyncio.Protocol):
    """Forwards every event to asyncssh's protocol; keeps the first bytes and the version line."""

    def __init__(self, inner: asyncio.Protocol) -> None:
        self._inner = inner
        self._line = b""
        self.head = b""
        self.version: str | None = None
        self.received = 0
        self.logged_in = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if not self.logged_in and self._is_too_much(data):
            self._inner.connection_lost(SaidTooMuch())
            return
        if self.logged_in and getattr(self._inner, "takes_any_size", False):
            self._inner.data_received(data)
            return
        for start in range(0, len(data), _PIECE):
            self._inner.data_received(data[start : start + _PIECE])

    def _is_too_much(self, data: bytes) -> bool:
        self.received += len(data)
        if len(self.head) < _HEAD:
            self.head = (self.head + data)[:_HEAD]
        if self.version is None:
            self._look_for_version(data)
        return self.received > (_MOST_BEFORE_LOGIN if self.version else _MOST_BEFORE_VERSION)

    def _look_for_version(self, data: bytes) -> None:
        lines = (self._line + data).split(b"\n")
        self._line = lines.pop()[-8192:]
        for line in lines:
            if line.startswith(b"SSH-"):
                self.version = line.decode("ascii", "replace").strip()
                return

    def after_version(self) -> bytes:
        """The first bytes after the version line, as far as they were kept."""
        start = self.head.find(b"\nSSH-") + 1
        line, _, rest = self.head[start:].partition(b"\n")
        return rest if line.startswith(b"SSH-") else b""

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()


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
