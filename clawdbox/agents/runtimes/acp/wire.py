"""Listening to a running agent over whatever link there is, and handing it each message once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from clawdbox.agents.runtimes.acp import scripts
from clawdbox.agents.runtimes.acp.lines import Line, Splitter
from clawdbox.agents.runtimes.acp.messages import MAX_LINE
from clawdbox.agents.runtimes.port import TurnCancelled, TurnLost
from clawdbox.errors import Conflict
from clawdbox.ssh.service.streams import LinkLost, Stream, Streams

Take = Callable[[Line], Awaitable[None]]
_MOST_HEAD = 256
UNKNOWN = (
    "Nobody knows whether the agent got the last message: the server ended in the middle of handing it over."
    " It was not sent again."
)


class AgentGone(Exception):
    """The agent's process has ended, and everything that it wrote was read."""


class Wire:
    """Of one turn. `outbox` is what is to be handed over, by key; what was, leaves it through `on_sent`."""

    def __init__(
        self,
        streams: Streams,
        account_id: str,
        lease_id: str,
        conversation_id: str,
        cancelled: asyncio.Event,
        on_sent: Callable[[str], Awaitable[None]],
    ) -> None:
        self._streams = streams
        self._account_id = account_id
        self._lease_id = lease_id
        self._conversation_id = conversation_id
        self._cancelled = cancelled
        self._on_sent = on_sent
        self._written: set[str] = set()
        self._acks = b""
        self.outbox: dict[str, str] = {}
        self.wake = asyncio.Event()

    def put(self, key: str, message: str) -> None:
        self.outbox[key] = message
        self.wake.set()

    async def ask(self, script: str, timeout_s: float) -> bytes:
        """A short script, once the link is there; it has to bear being run twice. Raises TimeoutError."""
        while True:
            try:
                return await self._streams.ask(self._account_id, self._lease_id, script, timeout_s)
            except (LinkLost, Conflict) as error:
                await self.until_up(error)

    async def listen(
        self, gen: str, offset: Callable[[], int], take: Take, until: Callable[[], bool]
    ) -> None:
        """Until `until` says so. Raises AgentGone, TurnCancelled, TurnLost, Conflict."""
        dead_at = -1
        while not until():
            script = scripts.line(self._conversation_id, gen, offset())
            try:
                async with self._streams.open(self._account_id, self._lease_id, script) as stream:
                    state, size = await self._head(stream)
                    if state == "gone" or (state == "dead" and (size <= offset() or dead_at == offset())):
                        raise AgentGone
                    dead_at = offset() if state == "dead" else -1
                    await self._serve(stream, Splitter(offset(), MAX_LINE), take, until)
            except (LinkLost, Conflict) as error:
                await self.until_up(error)

    async def until_up(self, error: Exception) -> None:
        """Wait for the link, as long as somebody wants the turn; any other trouble is raised."""
        if isinstance(error, Conflict) and error.code != "session_reconnecting":
            if error.code == "session_not_active":
                await self._cancelled.wait()  # the lease has ended, which the turn is about to hear
                raise TurnCancelled
            raise error
        await self.or_cancelled(self._streams.until_up(self._account_id, self._lease_id))

    async def or_cancelled(self, work: Awaitable[Any]) -> None:
        working: asyncio.Future[Any] = asyncio.ensure_future(work)
        cancelling: asyncio.Future[Any] = asyncio.ensure_future(self._cancelled.wait())
        try:
            await asyncio.wait({working, cancelling}, return_when=asyncio.FIRST_COMPLETED)
            if self._cancelled.is_set():
                raise TurnCancelled
            try:
                working.result()
            except Conflict as conflict:
                await self.until_up(conflict)
        finally:
            working.cancel()
            cancelling.cancel()

    async def _head(self, stream: Stream) -> tuple[str, int]:
        """`alive 123`, and what came with it goes back."""
        head = b""
        while b"\n" not in head:
            piece = await stream.read()
            if piece is None:
                raise LinkLost("The link ended.")
            if piece[0] == "stdout":
                head += piece[1]
            if len(head) > _MOST_HEAD and b"\n" not in head[:_MOST_HEAD]:
                raise Conflict("stream_refused", "The server answered something that cannot be understood.")
        line, _, rest = head.partition(b"\n")
        if rest:
            stream.give_back(("stdout", rest))
        state, _, size = line.decode("ascii", "replace").partition(" ")
        return state, int(size) if size.isdigit() else 0

    async def _serve(self, stream: Stream, splitter: Splitter, take: Take, until: Callable[[], bool]) -> None:
        self._written.clear()
        self._acks = b""
        reading: asyncio.Future[Any] | None = None
        cancelling: asyncio.Future[Any] = asyncio.ensure_future(self._cancelled.wait())
        waking: asyncio.Future[Any] = asyncio.ensure_future(self.wake.wait())
        try:
            while not until():
                await self._hand_over(stream)
                reading = reading or asyncio.ensure_future(stream.read())
                await asyncio.wait({reading, cancelling, waking}, return_when=asyncio.FIRST_COMPLETED)
                if self._cancelled.is_set():
                    raise TurnCancelled
                if waking.done():
                    waking = asyncio.ensure_future(self.wake.wait())
                if not reading.done():
                    continue
                piece, reading = reading.result(), None
                if piece is None:
                    return
                await self._heard(piece, splitter, take, until)
        finally:
            for task in (reading, cancelling, waking):
                if task is not None:
                    task.cancel()

    async def _hand_over(self, stream: Stream) -> None:
        self.wake.clear()
        for key, message in list(self.outbox.items()):
            if key not in self._written:
                self._written.add(key)
                await stream.write(f"{key}\n{message}\n".encode())

    async def _heard(
        self, piece: tuple[str, bytes], splitter: Splitter, take: Take, until: Callable[[], bool]
    ) -> None:
        name, data = piece
        if name == "stdout":
            for line in splitter.feed(data):
                if until():
                    return  # what follows is read the next time
                await take(line)
            return
        *lines, self._acks = (self._acks + data).split(b"\n")
        self._acks = self._acks[-_MOST_HEAD:]
        for ack in lines:
            word, _, key = ack.decode("ascii", "replace").partition(" ")
            if key not in self.outbox:
                continue
            if word == "unknown":
                raise TurnLost(UNKNOWN)
            if word in ("sent", "again"):
                del self.outbox[key]
                await self._on_sent(key)
