"""`ssh -O proxy`: the client speaks the connection protocol itself (RFC 4254), and several channels at once.

None of its packets reaches the server. Each channel is taken apart here and opened anew over the link, so that a
command is judged and written down as any other, and nothing a client sends can harm the connection of the rest.
"""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress

from clawdbox.ssh.rules.control import Request, Use
from clawdbox.ssh.wire.link import Wanted
from clawdbox.ssh.wire.model import ChannelRefused, LinkLost
from clawdbox.ssh.wire.mux.desk import Desk, Permit, Refused
from clawdbox.ssh.wire.mux.line import Line
from clawdbox.ssh.wire.mux.packets import STREAM_LOCAL, Malformed, Reader, string, u32
from clawdbox.ssh.wire.mux.proxy_channel import Channel, Message, framed
from clawdbox.ssh.wire.mux.session import ENDED, LOST, Ended, Session, Streams, first
from clawdbox.ssh.wire.mux.tunnel import join, open_tunnel
from clawdbox.ssh.wire.text import one_line

MOST_CHANNELS = 64
_QUEUE = 64  # packets that wait for a client who reads slowly
_PROHIBITED, _CONNECT_FAILED, _UNKNOWN_TYPE, _SHORTAGE = 1, 2, 3, 4


class Proxy:
    def __init__(self, line: Line, desk: Desk, pid: int) -> None:
        self._line = line
        self._desk = desk
        self._pid = pid
        self._channels: dict[int, Channel] = {}
        self._next_id = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._out: asyncio.Queue[bytes] = asyncio.Queue(_QUEUE)

    async def run(self, stop: asyncio.Event) -> None:
        """Until the client hangs up or the lease ends. Raises Malformed."""
        writer = asyncio.ensure_future(self._write())
        reader = asyncio.ensure_future(self._read())
        try:
            await first(asyncio.ensure_future(_either(writer, reader)), {"stop": stop})
        finally:
            for channel in self._channels.values():
                channel.gone.set()
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=5)
            for task in (writer, reader, *self._tasks):
                task.cancel()
            await asyncio.gather(writer, reader, *self._tasks, return_exceptions=True)

    async def send(self, kind: int, *parts: bytes) -> None:
        await self._out.put(framed(kind, *parts))

    async def _write(self) -> None:
        with suppress(ConnectionError):
            while True:
                await self._line.send(await self._out.get())

    async def _read(self) -> None:
        while (data := await self._line.packet()) is not None:
            reader = Reader(data)
            reader.byte()  # the length of a padding that is not there
            await self._one(reader.byte(), reader)

    async def _one(self, kind: int, reader: Reader) -> None:
        if kind == Message.OPEN:
            await self._open(reader)
        elif kind == Message.GLOBAL_REQUEST:
            reader.string()
            if reader.byte():  # keepalives want an answer; a forward to the client is not offered here
                await self.send(Message.REQUEST_FAILURE)
        elif Message.WINDOW_ADJUST <= kind <= Message.CHANNEL_REQUEST:
            channel = self._channels.get(reader.u32())
            if channel is not None:
                await self._for_channel(channel, kind, reader)

    async def _for_channel(self, channel: Channel, kind: int, reader: Reader) -> None:
        match kind:
            case Message.WINDOW_ADJUST:
                channel.credit(reader.u32())
            case Message.DATA:
                channel.fed(reader.string())
            case Message.EOF:
                channel.fed_all()
            case Message.CLOSE:
                channel.gone.set()
                if not channel.begun:
                    await self._closed(channel)
            case Message.CHANNEL_REQUEST:
                await self._request(channel, reader)

    # opening

    async def _open(self, reader: Reader) -> None:
        kind, theirs, window, most = reader.string(), reader.u32(), reader.u32(), reader.u32()
        if len(self._channels) >= MOST_CHANNELS:
            await self._refuse(theirs, _SHORTAGE, "Too many channels.")
            return
        channel = Channel(self.send, self._next_id, theirs, window, most)
        self._next_id += 1
        if kind == b"session":
            self._channels[channel.id] = channel
            await channel.confirm()
        elif kind == b"direct-tcpip":
            self._begin(channel, self._tunnel(channel, reader.text(), reader.u32()))
        elif kind == b"direct-streamlocal@openssh.com":
            self._begin(channel, self._tunnel(channel, reader.text(), STREAM_LOCAL))
        else:
            await self._refuse(theirs, _UNKNOWN_TYPE, "The box does not know this kind of channel.")

    async def _refuse(self, theirs: int, code: int, text: str) -> None:
        await self.send(Message.OPEN_FAILURE, u32(theirs), u32(code), string(text), string(""))

    def _begin(self, channel: Channel, work: Awaitable[None]) -> None:
        channel.begun = True
        self._channels[channel.id] = channel
        task = asyncio.ensure_future(self._to_its_end(channel, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _to_its_end(self, channel: Channel, work: Awaitable[None]) -> None:
        try:
            await work
        finally:
            self._channels.pop(channel.id, None)

    async def _closed(self, channel: Channel) -> None:
        self._channels.pop(channel.id, None)
        await self.send(Message.CLOSE, u32(channel.theirs))

    async def _tunnel(self, channel: Channel, host: str, port: int) -> None:
        target = one_line(host) if port == STREAM_LOCAL else f"{one_line(host)}:{port}"
        try:
            permit = await self._admit(channel, Request(Use.STDIO_FORWARD, target=target, pid=self._pid))
        except Refused as refusal:
            await self._refuse(channel.theirs, _PROHIBITED, str(refusal))
            return
        if permit is None:
            return
        state = "cancelled"
        try:
            ends = await open_tunnel(permit.link, host, port)
            await channel.confirm()
            await join(ends, channel, channel.out, permit.touch, permit.stop, channel.gone)
            await self.send(Message.EOF, u32(channel.theirs))
            await self.send(Message.CLOSE, u32(channel.theirs))
            state = "done"
        except (ChannelRefused, LinkLost) as refusal:
            await self._refuse(channel.theirs, _CONNECT_FAILED, str(refusal))
        finally:
            await asyncio.shield(permit.finish(state))

    # sessions

    async def _request(self, channel: Channel, reader: Reader) -> None:
        kind, wants_answer = reader.string(), bool(reader.byte())
        if kind in (b"exec", b"shell", b"subsystem"):
            if channel.begun:
                raise Malformed("a second command on one channel")
            wanted = channel.wanted(kind, reader)
            self._begin(channel, self._session(channel, wanted, wants_answer))
            return
        known = channel.set_up(kind, reader)
        if wants_answer:
            answer = Message.CHANNEL_SUCCESS if known else Message.CHANNEL_FAILURE
            await self.send(answer, u32(channel.theirs))

    async def _admit(self, channel: Channel, request: Request) -> Permit | None:
        """None when the client closes the channel meanwhile. Raises Refused."""
        asking = asyncio.ensure_future(self._desk.admit(request))
        if await first(asking, {"gone": channel.gone}) is None:
            return asking.result()
        asking.cancel()
        await asyncio.wait({asking})
        return None

    async def _session(self, channel: Channel, wanted: Wanted, wants_answer: bool) -> None:
        ended: Ended | None = None
        permit: Permit | None = None
        session: Session | None = None
        try:
            permit = await self._admit(channel, _request_of(wanted, self._pid))
            if wants_answer:
                await self.send(Message.CHANNEL_SUCCESS, u32(channel.theirs))
            if permit is not None:
                streams = Streams(channel, channel.out, channel.err)
                session = channel.session = Session(permit.link, wanted, streams, permit.touch)
                ended = await session.run(permit.stop, channel.gone)
        except Refused as refusal:
            if wants_answer:
                await self.send(Message.CHANNEL_SUCCESS, u32(channel.theirs))
            ended = Ended(255, "cancelled", None, str(refusal))
        except ChannelRefused as refusal:
            ended = Ended(255, "cancelled", None, str(refusal))
        except LinkLost:
            ended = Ended(255, "cancelled", None, LOST)
        finally:
            if permit is not None:
                if ended is None:
                    sent = session is not None and session.sent
                    ended = Ended(255, "lost" if sent else "cancelled", None, ENDED)
                await asyncio.shield(permit.finish(ended.state, ended.exit_status))
        await self._leave(channel, ended or Ended(255, "cancelled", None, ENDED))

    async def _leave(self, channel: Channel, ended: Ended) -> None:
        if ended.text and not channel.gone.is_set():
            with suppress(OSError):
                await channel.err.write(f"clawdbox: {ended.text}\r\n".encode())
        number = u32(channel.theirs)
        await self.send(Message.CHANNEL_REQUEST, number, string("exit-status"), bytes(1), u32(ended.code))
        await self.send(Message.EOF, number)
        await self.send(Message.CLOSE, number)


def _request_of(wanted: Wanted, pid: int) -> Request:
    from clawdbox.ssh.wire.mux.client import request_of

    return request_of(wanted, pid)


async def _either(*work: "asyncio.Future[None]") -> None:
    done, _ = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
    for one in done:
        one.result()
