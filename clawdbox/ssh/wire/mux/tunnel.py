"""One connection through the server (`ssh -W`): no session of its, so it stands in no queue."""

import asyncio
from collections.abc import Callable

import asyncssh

from clawdbox.ssh.wire.link import Link
from clawdbox.ssh.wire.model import ChannelRefused
from clawdbox.ssh.wire.mux.packets import STREAM_LOCAL
from clawdbox.ssh.wire.mux.session import In, Out, first
from clawdbox.ssh.wire.text import one_line

_CHUNK = 64 * 1024
Ends = tuple["asyncssh.SSHReader[bytes]", "asyncssh.SSHWriter[bytes]"]


async def open_tunnel(link: Link, host: str, port: int) -> Ends:
    """Raises ChannelRefused and LinkLost."""
    try:
        if port == STREAM_LOCAL:
            return await link.connection.open_unix_connection(host, encoding=None)
        return await link.connection.open_connection(host, port, encoding=None)
    except asyncssh.Error as error:
        raise ChannelRefused(
            f"The server did not connect to {one_line(host)}: {one_line(str(error))}."
        ) from None


async def join(
    ends: Ends, stdin: In, stdout: Out, touch: Callable[[], None], stop: asyncio.Event, gone: asyncio.Event
) -> None:
    """Bytes in both directions until the server's side ends, the lease does (`stop`), or the client (`gone`)."""
    reader, writer = ends
    up = asyncio.ensure_future(_up(writer, stdin, touch))
    down = asyncio.ensure_future(_down(reader, stdout, touch))
    try:
        await first(down, {"stop": stop, "gone": gone})
    finally:
        for task in (up, down):
            task.cancel()
        await asyncio.gather(up, down, return_exceptions=True)
        writer.close()


async def _up(writer: "asyncssh.SSHWriter[bytes]", stdin: In, touch: Callable[[], None]) -> None:
    try:
        while data := await stdin.read():
            touch()
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except (OSError, asyncssh.Error):
        return  # the other direction tells how it ended


async def _down(reader: "asyncssh.SSHReader[bytes]", stdout: Out, touch: Callable[[], None]) -> None:
    try:
        while data := await reader.read(_CHUNK):
            touch()
            await stdout.write(data)
    except (OSError, asyncssh.Error):
        return
