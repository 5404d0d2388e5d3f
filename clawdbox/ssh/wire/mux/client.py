"""What one client of a control socket asks for, one thing after another.

`ssh` dials by itself when a session or a forward is refused in the protocol's own words. So a session is refused by
opening it, writing the reason to its standard error and ending it with 255; a forward by an answer that `ssh` gives up
on. The other refusals (`-W`, `-O exit|stop|proxy|cancel`) make it give up anyway, and show their sentence.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import msgspec

from clawdbox.ssh.rules.control import Request, Use
from clawdbox.ssh.wire.link import Wanted
from clawdbox.ssh.wire.model import ChannelRefused, LinkLost
from clawdbox.ssh.wire.mux import packets, tty
from clawdbox.ssh.wire.mux.desk import Desk, Permit, Refused
from clawdbox.ssh.wire.mux.fds import Stream, adopt
from clawdbox.ssh.wire.mux.forwards import Forwards, told
from clawdbox.ssh.wire.mux.line import Line
from clawdbox.ssh.wire.mux.packets import Answer, Kind, Reader, packet, string, u32
from clawdbox.ssh.wire.mux.poller import Poller
from clawdbox.ssh.wire.mux.proxy import Proxy
from clawdbox.ssh.wire.mux.session import LOST, Ended, Follow, Session, Streams
from clawdbox.ssh.wire.mux.tunnel import join, open_tunnel
from clawdbox.ssh.wire.mux.winch import Winch
from clawdbox.ssh.wire.text import one_line

T = TypeVar("T")
IDLE_S = 30.0  # a client that wants nothing for so long is sent away
_SAY_S = 2.0  # for a sentence to a client that does not read
_SESSION_ID = 1  # one a connection


class Gone(Exception):
    """The client has hung up."""


class Client:
    def __init__(
        self, line: Line, pid: int, desk: Desk, poller: Poller, winch: Winch, forwards: Forwards
    ) -> None:
        self._line = line
        self._pid = pid
        self._desk = desk
        self._poller = poller
        self._winch = winch
        self._forwards = forwards
        self._gone = asyncio.Event()
        self._verbs: dict[int, Callable[[int, Reader], Awaitable[bool]]] = {
            Kind.NEW_SESSION: self._session,
            Kind.ALIVE_CHECK: self._alive,
            Kind.TERMINATE: self._terminate,
            Kind.OPEN_FORWARD: self._open_forward,
            Kind.CLOSE_FORWARD: self._close_forward,
            Kind.NEW_STDIO_FORWARD: self._stdio_forward,
            Kind.STOP_LISTENING: self._stop_listening,
            Kind.PROXY: self._proxy,
        }

    async def serve(self) -> None:
        """Until the client has gone, or has got what it came for. Raises Malformed and TimeoutError."""
        with suppress(ConnectionError, Gone):
            async with asyncio.timeout(IDLE_S):
                await self._line.send(packets.hello())
                first = await self._line.packet()
            if first is None:
                return
            packets.check_hello(first)
            while await self._next():
                pass

    async def _next(self) -> bool:
        async with asyncio.timeout(IDLE_S):
            data = await self._line.packet()
        if data is None:
            return False
        reader = Reader(data)
        kind, request_id = reader.u32(), reader.u32()
        verb = self._verbs.get(kind)
        if verb is None:
            await self._answer(Answer.FAILURE, request_id, string("The box does not know this request."))
            return True
        return await verb(request_id, reader)

    async def _answer(self, kind: int, request_id: int, *more: bytes) -> None:
        async with asyncio.timeout(IDLE_S):
            await self._line.send(packet(kind, u32(request_id), *more))

    async def _admit(self, request: Request) -> Permit:
        """Raises Refused, and Gone when the client does not wait for the answer."""
        return await self._unless_gone(self._desk.admit(request))

    async def _unless_gone(self, work: Awaitable[T]) -> T:
        """For as long as the client is not to speak."""
        doing = asyncio.ensure_future(work)
        leaving = asyncio.ensure_future(self._line.gone())
        try:
            await asyncio.wait({doing, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if doing.done():
                return doing.result()
            raise Gone
        finally:
            for task in (doing, leaving):
                task.cancel()
            await asyncio.wait({doing, leaving})
            if not doing.cancelled():
                doing.exception()

    # small requests

    async def _alive(self, request_id: int, _reader: Reader) -> bool:
        await self._answer(Answer.ALIVE, request_id, u32(os.getpid()))
        return True

    async def _terminate(self, request_id: int, _reader: Reader) -> bool:
        return await self._act(request_id, Request(Use.EXIT, pid=self._pid), self._desk.end_lease)

    async def _stop_listening(self, request_id: int, _reader: Reader) -> bool:
        return await self._act(request_id, Request(Use.STOP, pid=self._pid), self._desk.stop_listening)

    async def _act(self, request_id: int, request: Request, act: Callable[[], Awaitable[None]]) -> bool:
        try:
            permit = await self._admit(request)
        except Refused as refusal:
            await self._answer(Answer.PERMISSION_DENIED, request_id, string(str(refusal)))
            return True
        await permit.finish("done")
        await self._answer(Answer.OK, request_id)
        await act()
        return True

    # forwards

    async def _open_forward(self, request_id: int, reader: Reader) -> bool:
        wish = packets.forward_wish(reader)
        request = Request(Use.FORWARD, target=told(wish), pid=self._pid)
        try:
            permit = await self._admit(request)
        except Refused:
            await self._answer(Answer.REFUSED_FORWARD, request_id)
            return False
        state = "cancelled"
        try:
            port = await self._forwards.open(permit.link, wish, permit.touch)
            state = "done"
        except (ChannelRefused, LinkLost):
            await self._answer(Answer.REFUSED_FORWARD, request_id)
            return False
        finally:
            await permit.finish(state)
        if wish.kind == 2 and wish.listen_port == 0:
            await self._answer(Answer.REMOTE_PORT, request_id, u32(port))
        else:
            await self._answer(Answer.OK, request_id)
        return True

    async def _close_forward(self, request_id: int, reader: Reader) -> bool:
        wish = packets.forward_wish(reader)
        try:
            permit = await self._admit(Request(Use.CANCEL_FORWARD, target=told(wish), pid=self._pid))
        except Refused as refusal:
            await self._answer(Answer.PERMISSION_DENIED, request_id, string(str(refusal)))
            return True
        found = await self._forwards.cancel(wish)
        await permit.finish("done" if found else "cancelled")
        if found:
            await self._answer(Answer.OK, request_id)
        else:
            await self._answer(Answer.FAILURE, request_id, string("port not found"))
        return True

    async def _stdio_forward(self, request_id: int, reader: Reader) -> bool:
        host, port = packets.stdio_wish(reader)
        target = one_line(host) if port == packets.STREAM_LOCAL else f"{one_line(host)}:{port}"
        stdin, stdout = self._adopt(await self._descriptors(2))
        try:
            permit = await self._admit(Request(Use.STDIO_FORWARD, target=target, pid=self._pid))
            await self._tunnel(permit, request_id, (host, port), stdin, stdout)
        except Refused as refusal:
            await self._answer(Answer.PERMISSION_DENIED, request_id, string(str(refusal)))
        finally:
            stdin.close()
            stdout.close()
        return False

    async def _tunnel(
        self, permit: Permit, request_id: int, to: tuple[str, int], stdin: Stream, stdout: Stream
    ) -> None:
        state = "cancelled"
        try:
            ends = await self._unless_gone(open_tunnel(permit.link, *to))
            await self._answer(Answer.SESSION_OPENED, request_id, u32(_SESSION_ID))
            async with self._watching():
                await join(ends, stdin, stdout, permit.touch, permit.stop, self._gone)
            state = "done"
        except (ChannelRefused, LinkLost) as refusal:
            await self._answer(Answer.FAILURE, request_id, string(str(refusal)))
        finally:
            await asyncio.shield(permit.finish(state))

    async def _proxy(self, request_id: int, _reader: Reader) -> bool:
        try:
            permit = await self._admit(Request(Use.PROXY, pid=self._pid))
        except Refused as refusal:
            await self._answer(Answer.PERMISSION_DENIED, request_id, string(str(refusal)))
            return True
        try:
            await self._answer(Answer.PROXY, request_id)
            await Proxy(self._line, self._desk, self._pid).run(permit.stop)
        finally:
            await asyncio.shield(permit.finish("done"))
        return False

    # sessions

    async def _session(self, request_id: int, reader: Reader) -> bool:
        wish = packets.session_wish(reader)
        numbers = await self._descriptors(3)
        # Before SESSION_OPENED: the client makes its terminal raw as soon as it hears that.
        wanted = _wanted(wish, tty.modes(numbers[0]), tty.size(numbers[0]))
        streams = Streams(*self._adopt(numbers))
        if self._desk.bare:
            streams.stdin.close()
            wanted, streams = _bare(wanted, streams)
        try:
            await self._carried(request_id, wish, wanted, streams)
        finally:
            streams.close()
        return False

    async def _carried(
        self, request_id: int, wish: packets.SessionWish, wanted: Wanted, streams: Streams
    ) -> None:
        opened = self._answer(Answer.SESSION_OPENED, request_id, u32(_SESSION_ID))
        try:
            permit = await self._admit(request_of(wanted, self._pid))
        except Refused as refusal:
            await opened
            await self._leave(streams, Ended(255, "cancelled", None, str(refusal)), wanted.pty)
            return
        except BaseException:
            opened.close()
            raise
        session = Session(permit.link, wanted, streams, permit.touch, wish.escape)
        ended: Ended | None = None
        try:
            await opened
            ended = await self._ended(session, permit, wanted, streams)
            await self._leave(streams, ended, wanted.pty)
        finally:
            if ended is None:
                ended = Ended(255, "lost" if session.sent else "cancelled", None)
            await asyncio.shield(permit.finish(ended.state, ended.exit_status))

    async def _ended(self, session: Session, permit: Permit, wanted: Wanted, streams: Streams) -> Ended:
        async with self._watching():
            return await self._followed(session, permit, wanted, streams)

    async def _followed(self, session: Session, permit: Permit, wanted: Wanted, streams: Streams) -> Ended:
        with self._winch.listen() as winch:
            terminal = streams.stdin.number if isinstance(streams.stdin, Stream) else -1
            follow = Follow(terminal, winch) if wanted.pty and os.isatty(terminal) else None
            try:
                return await session.run(permit.stop, self._gone, follow)
            except ChannelRefused as refusal:
                hint = " `ssh -T` does without a terminal." if wanted.pty else ""
                return Ended(255, "cancelled", None, f"{refusal}{hint}")
            except LinkLost:
                return Ended(255, "cancelled", None, LOST)

    async def _leave(self, streams: Streams, ended: Ended, pty: bool) -> None:
        """The streams are closed before EXIT is sent, so that whoever waits for their end is not kept waiting."""
        if ended.text:
            line_end = "\r\n" if pty else "\n"
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(_SAY_S):
                    await streams.stderr.write(f"clawdbox: {ended.text}{line_end}".encode())
        streams.close()
        async with asyncio.timeout(IDLE_S):
            await self._line.send(packet(Answer.EXIT_MESSAGE, u32(_SESSION_ID), u32(ended.code)))
        self._line.close()

    @asynccontextmanager
    async def _watching(self) -> AsyncIterator[None]:
        """While a session runs, `_gone` is set when the client hangs up."""
        watch = asyncio.ensure_future(self._line.gone())
        watch.add_done_callback(lambda _: self._gone.set())
        try:
            yield
        finally:
            watch.cancel()
            # Seen to end before the line is closed: it would stop watching a number that is somebody else's by then.
            await asyncio.wait({watch})

    async def _descriptors(self, count: int) -> list[int]:
        found: list[int] = []
        try:
            async with asyncio.timeout(IDLE_S):
                while len(found) < count:
                    found.append(await self._line.descriptor())
        except BaseException:
            for number in found:
                os.close(number)
            raise
        return found

    def _adopt(self, numbers: list[int]) -> list[Stream]:
        return [adopt(number, self._poller, write=index > 0) for index, number in enumerate(numbers)]


def _wanted(wish: packets.SessionWish, modes: dict[int, int], size: tuple[int, int, int, int]) -> Wanted:
    return Wanted(
        command=wish.command if wish.command and not wish.subsystem else None,
        subsystem=wish.command.decode("utf-8", "replace") if wish.subsystem else None,
        pty=wish.pty,
        term=wish.term,
        size=size,
        modes=modes,
        env=dict(item.split(b"=", 1) for item in wish.env),
    )


def request_of(wanted: Wanted, pid: int) -> Request:
    """What the person's policy, and whoever is asked, are to judge."""
    if wanted.subsystem is not None:
        return Request(Use.SUBSYSTEM, wanted.subsystem, wanted.pty, pid=pid)
    if wanted.command is None:
        return Request(Use.SHELL, None, wanted.pty, pid=pid)
    text = wanted.command.decode("utf-8", "backslashreplace")
    return Request(Use.COMMAND, text, wanted.pty, pid=pid, exact=text.encode() == wanted.command)


class _Nothing:
    """A standard input that is at its end."""

    async def read(self) -> bytes:
        return b""

    def close(self) -> None:
        pass


def _bare(wanted: Wanted, streams: Streams) -> tuple[Wanted, Streams]:
    return msgspec.structs.replace(wanted, env={}), Streams(_Nothing(), streams.stdout, streams.stderr)
