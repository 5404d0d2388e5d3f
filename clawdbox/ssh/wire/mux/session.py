"""One session of a client: its three streams joined to a channel of the link."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from clawdbox.ssh.wire.channels import ExecChannel
from clawdbox.ssh.wire.ending import end
from clawdbox.ssh.wire.link import Link, Wanted
from clawdbox.ssh.wire.model import LinkLost
from clawdbox.ssh.wire.mux import tty
from clawdbox.ssh.wire.mux.escape import Escapes
from clawdbox.ssh.wire.session import ByteSession

LOST = "The link to the server was lost. Whether the command finished is not known."
ENDED = "The session was closed."
_MOST_HELD = 1024 * 1024  # of both outputs together, for a reader who is slow
_LOOK_S = 0.5  # how often the size of a terminal is looked at, where no SIGWINCH arrives
_GRACE_S = 2.0
_SIGNAL_NUMBERS = {"HUP": 1, "INT": 2, "QUIT": 3, "ABRT": 6, "KILL": 9, "SEGV": 11, "PIPE": 13, "TERM": 15}


class Ended(msgspec.Struct, frozen=True):
    """`code` is what `ssh` exits with, `text` what it says before; the others are for the row in `executions`."""

    code: int
    state: str
    exit_status: int | None
    text: str | None = None


class Follow(msgspec.Struct, frozen=True):
    """A terminal of the client whose size is to be followed; `winch` is set when a SIGWINCH came."""

    terminal: int
    winch: asyncio.Event


class In(Protocol):
    async def read(self) -> bytes:
        """The next bytes, b"" at the end. Raises OSError."""

    def close(self) -> None: ...


class Out(Protocol):
    async def write(self, data: bytes) -> None:
        """Raises OSError once nobody reads."""

    def write_some(self, data: bytes) -> int:
        """How much went out at once. Raises OSError."""

    def close(self) -> None: ...


class Streams(msgspec.Struct, frozen=True):
    stdin: In
    stdout: Out
    stderr: Out

    def close(self) -> None:
        for stream in (self.stdin, self.stdout, self.stderr):
            stream.close()


class Session:
    """Runs once."""

    def __init__(
        self,
        link: Link,
        wanted: Wanted,
        streams: Streams,
        touch: Callable[[], None],
        escape: int | None = None,
    ) -> None:
        self._link = link
        self._wanted = wanted
        self._streams = streams
        self._escapes = Escapes(escape if wanted.pty else None)
        self._touch = touch
        self._outs = {"stdout": _Out(streams.stdout), "stderr": _Out(streams.stderr)}
        self._room = asyncio.Event()
        self._escaped = asyncio.Event()
        self._channel: ByteSession | None = None
        self.sent = False

    def resize(self, cols: int, rows: int) -> None:
        if self._channel is not None:
            self._channel.resize(cols, rows)

    def signal(self, name: str) -> None:
        if self._channel is not None:
            self._channel.signal(name)

    async def run(self, stop: asyncio.Event, gone: asyncio.Event, follow: "Follow | None" = None) -> Ended:
        """To the end of the command, of the lease (`stop`), or of the client (`gone`). Raises ChannelRefused."""
        with self._link.at_work():
            opening = asyncio.ensure_future(self._link.open_session(self._wanted, self._mark_sent))
            try:
                stopped = await first(opening, {"stop": stop, "gone": gone})
            except LinkLost:
                return Ended(255, "lost" if self.sent else "cancelled", None, LOST)
            except BaseException:
                opening.cancel()
                raise
            if stopped is not None:
                opening.cancel()
                await asyncio.wait({opening})
                if opening.cancelled() or opening.exception() is not None:
                    return Ended(255, "cancelled", None, ENDED if stopped == "stop" else None)
            channel = self._channel = opening.result()
            try:
                return await self._joined(channel, stop, gone, follow)
            finally:
                channel.close()

    def _mark_sent(self) -> None:
        self.sent = True

    async def _joined(
        self, channel: ByteSession, stop: asyncio.Event, gone: asyncio.Event, follow: "Follow | None"
    ) -> Ended:
        out = asyncio.ensure_future(self._output(channel))
        helpers = [asyncio.ensure_future(self._input(channel))]
        if follow is not None:
            helpers.append(asyncio.ensure_future(_follow_size(channel, follow)))
        try:
            stopped = await first(out, {"stop": stop, "gone": gone, "escape": self._escaped})
            if stopped is None:
                return self._told(channel)
            return await self._cut(channel, out, stopped)
        finally:
            for task in (out, *helpers):
                task.cancel()
            await asyncio.gather(out, *helpers, return_exceptions=True)

    async def _cut(self, channel: ByteSession, out: "asyncio.Future[None]", stopped: str) -> Ended:
        """`stop` ends the command as the box ends its own; a client that has gone hangs up, and no more than that."""
        if stopped != "stop":
            channel.signal("HUP")
            return Ended(255, "cancelled", None)
        if channel.command is None:
            channel.signal("HUP")
        else:
            await end(self._link, ExecChannel(channel, channel.command, False), _GRACE_S)
        channel.close()
        await asyncio.wait({out}, timeout=_GRACE_S)
        return Ended(255, "cancelled", None, ENDED)

    def _told(self, channel: ByteSession) -> Ended:
        if channel.exit_status is not None:
            return Ended(channel.exit_status, "done", channel.exit_status)
        if channel.exit_signal is not None:
            number = _SIGNAL_NUMBERS.get(channel.exit_signal, 0)
            return Ended(255, "done", 128 + number)
        if self._link.is_alive:
            return Ended(255, "lost", None, "The server ended this without an exit status.")
        return Ended(255, "lost", None, LOST)

    # output: the two streams wait for their readers apart from each other, as in ssh's own master

    async def _output(self, channel: ByteSession) -> None:
        writers = [asyncio.ensure_future(self._write(out)) for out in self._outs.values()]
        try:
            while (piece := await channel.next()) is not None:
                self._touch()
                name, data = piece
                self._outs[name].take(data)
                await self._lead_on(channel)
            for out in self._outs.values():
                out.end()
            await asyncio.gather(*writers)
        finally:
            for writer in writers:
                writer.cancel()

    async def _lead_on(self, channel: ByteSession) -> None:
        if self._outs["stdout"].broken:
            channel.no_more_output()
        while sum(out.held for out in self._outs.values()) > _MOST_HELD:
            self._room.clear()
            await self._room.wait()

    async def _write(self, out: "_Out") -> None:
        while await out.write_next():
            self._room.set()
        self._room.set()

    # input

    async def _input(self, channel: ByteSession) -> None:
        try:
            while data := await self._streams.stdin.read():
                self._touch()
                typed = self._escapes.feed(data)
                await self._obey_escapes(channel)
                if typed:
                    channel.write(typed)
                    await channel.drain()
        except (BrokenPipeError, asyncio.CancelledError):
            return
        except OSError:
            pass  # a terminal that hung up, or what was never meant to be read
        channel.write_eof()

    async def _obey_escapes(self, channel: ByteSession) -> None:
        if self._escapes.shown:
            shown, self._escapes.shown = self._escapes.shown, b""
            self._outs["stderr"].take(shown)
        while self._escapes.breaks:
            self._escapes.breaks -= 1
            channel.send_break()
        if self._escapes.ended:
            self._escaped.set()


class _Out:
    """What waits to be written to one stream of the client."""

    def __init__(self, stream: Out) -> None:
        self._stream = stream
        self._chunks: deque[bytes] = deque()
        self._arrived = asyncio.Event()
        self._writing = False
        self._ended = False
        self.broken = False
        self.held = 0

    def take(self, data: bytes) -> None:
        """At once, if the reader is quick; otherwise behind what waits."""
        if self.broken:
            return
        if not self._chunks and not self._writing:
            try:
                data = data[self._stream.write_some(data) :]
            except OSError:
                self._break()
                return
        if data:
            self._chunks.append(data)
            self.held += len(data)
            self._arrived.set()

    def end(self) -> None:
        self._ended = True
        self._arrived.set()

    async def write_next(self) -> bool:
        """False once everything is written and nothing more comes."""
        while not self._chunks:
            if self._ended:
                return False
            self._arrived.clear()
            await self._arrived.wait()
        data = self._chunks.popleft()
        self._writing = True
        try:
            await self._stream.write(data)
        except OSError:
            self._break()
        finally:
            self._writing = False
        self.held = max(self.held - len(data), 0)
        return True

    def _break(self) -> None:
        self.broken = True
        self._chunks.clear()
        self.held = 0


async def _follow_size(channel: ByteSession, follow: Follow) -> None:
    known = tty.size(follow.terminal)
    while True:
        try:
            async with asyncio.timeout(_LOOK_S):
                await follow.winch.wait()
        except TimeoutError:
            pass
        follow.winch.clear()
        now = tty.size(follow.terminal)
        if now != known and now[0] and now[1]:
            known = now
            channel.resize(now[0], now[1])


async def first(work: "asyncio.Future[Any]", events: dict[str, asyncio.Event]) -> str | None:
    """What comes first: the end of `work` (None; its error is raised), or the name of an event."""
    waits: dict[str, asyncio.Future[Any]] = {
        name: asyncio.ensure_future(event.wait()) for name, event in events.items()
    }
    try:
        await asyncio.wait({work, *waits.values()}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            work.result()
            return None
        return next(name for name, wait in waits.items() if wait.done())
    finally:
        for wait in waits.values():
            wait.cancel()
