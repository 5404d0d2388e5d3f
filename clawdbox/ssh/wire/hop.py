"""From a link to a jump host to a stream that ends at the next server: a direct-tcpip channel (RFC 4254, 7.2)."""

import asyncio
from time import perf_counter
from typing import Any, cast

import asyncssh

from clawdbox.net import jumped_host_verdict
from clawdbox.ssh.wire import diagnose
from clawdbox.ssh.wire.link import Link
from clawdbox.ssh.wire.model import LinkLost, Target
from clawdbox.ssh.wire.tap import Tap


class Stream(asyncssh.SSHTCPSession[bytes]):
    """The channel's end on this side. What comes before the tap is there waits for it."""

    def __init__(self) -> None:
        self._early: list[bytes] = []
        self._ended: list[Exception | None] = []
        self._tap: Tap | None = None
        self.chan: asyncssh.SSHTCPChannel[bytes] | None = None

    def connection_made(self, chan: asyncssh.SSHTCPChannel[bytes]) -> None:
        self.chan = chan

    def data_received(self, data: bytes, datatype: int | None) -> None:
        if self._tap is None:
            self._early.append(data)
        else:
            self._tap.data_received(data)

    def eof_received(self) -> bool:
        return False  # an SSH server that stops sending has gone: the channel closes

    def connection_lost(self, exc: Exception | None) -> None:
        if self._tap is None:
            self._ended.append(exc)
        else:
            self._tap.connection_lost(exc)

    def pause_writing(self) -> None:
        if self._tap is not None:
            self._tap.pause_writing()

    def resume_writing(self) -> None:
        if self._tap is not None:
            self._tap.resume_writing()

    def give_to(self, tap: Tap) -> None:
        """From now on everything goes to `tap`, at first what came before."""
        assert self.chan is not None
        self._tap = tap
        tap.connection_made(cast(asyncio.BaseTransport, self.chan))  # as asyncssh itself uses it
        for data in self._early:
            tap.data_received(data)
        for exc in self._ended:
            tap.connection_lost(exc)
        self._early = []


class HopTunnel:
    """Gives asyncssh a stream through a jump host, with a tap in between."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.tap: Tap | None = None

    async def create_connection(
        self, session_factory: Any, remote_host: str, remote_port: int
    ) -> tuple[Any, Any]:
        inner = session_factory()
        self.tap = Tap(inner)
        self._stream.give_to(self.tap)
        return self._stream.chan, inner

    def close(self) -> None:
        if self._stream.chan is not None:
            self._stream.chan.abort()

    async def wait_closed(self) -> None:
        return None


async def connect(link: Link, target: Target, timeout: float) -> tuple[HopTunnel, float]:
    """A stream to `target` as the jump host of `link` sees it, within `timeout` seconds; with it, how long the jump
    host took to make it. Raises DialFailure.

    The jump host looks the name up, in its own network: see `net.jumped_host_verdict` for what is judged here.
    """
    reason = jumped_host_verdict(target.host, target.port)
    if reason is not None:
        raise diagnose.address_refused(target, [reason], loopback_would_help=False)
    stream = Stream()
    begun = perf_counter()
    try:
        async with asyncio.timeout(timeout):
            await link.connection.create_connection(lambda: stream, target.host, target.port)
    except (asyncssh.Error, OSError, LinkLost) as error:  # TimeoutError is an OSError
        raise diagnose.no_way(target, error) from None
    return HopTunnel(stream), perf_counter() - begun
