"""An SSH server whose SFTP is played by the test: asyncssh's own server, with another `SFTPServer` behind it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncssh

from clawdbox.ssh.wire.dial import Pin, dial
from clawdbox.ssh.wire.link import Link
from tests.ssh.keys import Keypair, local

Play = Callable[[asyncio.StreamReader, Any], Awaitable[None]]


class _Anyone(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return False


@asynccontextmanager
async def serving(sftp: Any, root: Path | None = None) -> AsyncIterator[int]:
    """The port of a server whose SFTP is `sftp` (a subclass of asyncssh.SFTPServer) in `root`."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    chroot = str(root).encode() if root else None
    server = await asyncssh.create_server(
        _Anyone,
        "127.0.0.1",
        0,
        server_host_keys=[key],
        sftp_factory=lambda chan: sftp(chan, chroot),
        encoding=None,
    )
    _pins[server.get_port()] = Pin(key.get_fingerprint(), "ssh-ed25519")
    try:
        yield server.get_port()
    finally:
        server.close()
        await server.wait_closed()


_pins: dict[int, Pin] = {}


@asynccontextmanager
async def linked(port: int, through: int | None = None) -> AsyncIterator[Link]:
    link = await dial(local(through or port), _pins[port], Keypair.make().private)
    try:
        yield link
    finally:
        await link.close()


class _Raw(asyncssh.SSHServerSession[bytes]):
    """A session in which the test itself plays the subsystem."""

    def __init__(self, play: Play) -> None:
        self._play = play
        self._reader = asyncio.StreamReader()
        self._task: asyncio.Future[None] | None = None
        self._chan: asyncssh.SSHServerChannel[bytes] | None = None

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._chan = chan

    def subsystem_requested(self, subsystem: str) -> bool:
        return subsystem == "sftp"

    def session_started(self) -> None:
        self._task = asyncio.ensure_future(self._run())

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self._reader.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._reader.feed_eof()

    async def _run(self) -> None:
        assert self._chan is not None
        try:
            await self._play(self._reader, self._chan)
        except (OSError, EOFError):
            pass
        finally:
            self._chan.close()


@asynccontextmanager
async def raw(play: Play) -> AsyncIterator[int]:
    """The port of a server whose subsystem `sftp` is the coroutine function `play(reader, writer)`, in bytes."""
    key = asyncssh.generate_private_key("ssh-ed25519")

    class Server(_Anyone):
        def session_requested(self) -> _Raw:
            return _Raw(play)

    server = await asyncssh.create_server(Server, "127.0.0.1", 0, server_host_keys=[key], encoding=None)
    _pins[server.get_port()] = Pin(key.get_fingerprint(), "ssh-ed25519")
    try:
        yield server.get_port()
    finally:
        server.close()
        await server.wait_closed()
