"""A TCP connection that the server makes for the box (`direct-tcpip`, RFC 4254, section 7.2)."""

import asyncio
from contextlib import suppress

import asyncssh
from asyncssh.constants import OPEN_ADMINISTRATIVELY_PROHIBITED

from clawdbox.ssh.wire.link import Link
from clawdbox.ssh.wire.model import ChannelRefused, LinkLost
from clawdbox.ssh.wire.text import one_line

# Twice this is what one connection whose reader has stopped can hold: the channel's window, and what was taken of it.
WINDOW = 256 * 1024
OPENING_S = 30.0


class TargetRefused(ChannelRefused):
    """The server is there, but makes no such connection. `forbidden`: it makes none at all, or none to this place."""

    def __init__(self, message: str, *, forbidden: bool) -> None:
        super().__init__(message)
        self.forbidden = forbidden


class TcpChannel:
    """Both halves end on their own: `end` says that nothing more is written, and reading goes on."""

    def __init__(
        self, link: Link, reader: asyncssh.SSHReader[bytes], writer: asyncssh.SSHWriter[bytes]
    ) -> None:
        self._link = link
        self._reader = reader
        self._writer = writer

    async def read(self, most: int = 64 * 1024) -> bytes:
        """What has come, or b"" once the other side has ended. ConnectionResetError when the link broke off."""
        try:
            data = await self._reader.read(most)
        except (asyncssh.Error, OSError):
            raise ConnectionResetError from None
        if not data and not self._link.is_alive:
            raise ConnectionResetError
        return data

    async def write(self, data: bytes) -> None:
        """Waits until the server takes it. ConnectionError when the other side takes nothing any more."""
        try:
            self._writer.write(data)
            await self._writer.drain()
        except (asyncssh.Error, OSError):
            raise BrokenPipeError from None

    def end(self) -> None:
        with suppress(asyncssh.Error, OSError):  # it has ended already
            self._writer.write_eof()

    @property
    def is_readable(self) -> bool:
        """Whether there is anything to read, were it the end."""
        return self._reader.at_eof() or self._writer.is_closing()

    def close(self) -> None:
        """At once, both ways; what was not yet sent is dropped."""
        self._writer.channel.abort()


async def open_tcp(link: Link, host: str, port: int) -> TcpChannel:
    """Connect from the server to `host`:`port`, as the server understands that name.

    Raises TargetRefused, and LinkLost when there is no connection to the server.
    """
    try:
        connection = link.connection
    except ChannelRefused as refusal:  # a link that has no such channels
        raise TargetRefused(str(refusal), forbidden=True) from None
    opening = asyncio.ensure_future(
        connection.open_connection(
            host, port, orig_host="127.0.0.1", orig_port=0, encoding=None, window=WINDOW
        )
    )
    try:
        async with asyncio.timeout(OPENING_S):
            reader, writer = await asyncio.shield(opening)
    except asyncssh.ChannelOpenError as error:
        if not link.is_alive:
            raise LinkLost("The connection ended.") from None
        raise _refusal(error, host, port) from None
    except TimeoutError:
        opening.add_done_callback(_close_late)
        raise TargetRefused(f"Nothing answered at {host}, port {port}, in time.", forbidden=False) from None
    except asyncio.CancelledError:
        opening.add_done_callback(_close_late)
        raise
    except (asyncssh.Error, OSError):
        raise LinkLost("The connection ended.") from None
    return TcpChannel(link, reader, writer)


def _close_late(
    opening: "asyncio.Future[tuple[asyncssh.SSHReader[bytes], asyncssh.SSHWriter[bytes]]]",
) -> None:
    """Nobody waits for it any more: a channel that comes all the same must not stay open."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result()[1].channel.abort()


def _refusal(error: asyncssh.ChannelOpenError, host: str, port: int) -> TargetRefused:
    if error.code == OPEN_ADMINISTRATIVELY_PROHIBITED:
        return TargetRefused(
            f"The server forbids forwarding to {host}, port {port}. Its administrator allows it with "
            "AllowTcpForwarding yes (and PermitOpen) in sshd_config, or the key without no-port-forwarding.",
            forbidden=True,
        )
    said = one_line(error.reason).rstrip(".")[:200]
    return TargetRefused(f"Nothing answers on the server at {host}, port {port} ({said}).", forbidden=False)
