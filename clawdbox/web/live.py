"""WebSockets: a line to a client, what ends it, and the feeds that follow the store."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Annotated, Any
from urllib.parse import parse_qs

import msgspec
from litestar import WebSocket, websocket
from litestar.exceptions import WebSocketDisconnect

from clawdbox import logs
from clawdbox.accounts import Principal
from clawdbox.errors import Invalid, Problem
from clawdbox.events import Hub
from clawdbox.events.sql import events_after, last_event
from clawdbox.web import sockets
from clawdbox.web.box import Box
from clawdbox.web.conversations import event_view
from clawdbox.web.events import view
from clawdbox.web.fields import MAX_SEQ, PathId
from clawdbox.web.sockets import Hangup
from clawdbox.web.visit import at, visit_of

log = logs.get("web")
Socket = WebSocket[Any, Any, Any]
MAX_TEXT = 64 * 1024
MAX_BINARY = 256 * 1024
MAX_SOCKETS = 64  # of one login at the same time
_PAGE = 200
_GONE = 0  # no close code: nobody is there to read one


class Pace(msgspec.Struct, frozen=True):
    """In seconds of real time: what tells a dead peer from a quiet one."""

    ping_every: float = 30.0
    dead_after: float = 45.0


class Heard(msgspec.Struct, frozen=True):
    """A text frame of a client; which fields it has depends on its type."""

    type: Annotated[str, msgspec.Meta(max_length=32)]
    cols: Annotated[int, msgspec.Meta(ge=1, le=1000)] | None = None
    rows: Annotated[int, msgspec.Meta(ge=1, le=1000)] | None = None
    offset: Annotated[int, msgspec.Meta(ge=0, le=MAX_SEQ)] | None = None
    take: bool = False


Hear = Callable[[Heard | bytes], Awaitable[None]]
Talk = Callable[["Line"], Awaitable[None]]


class Line:
    """An accepted WebSocket. Nothing waits in a queue of its own: who sends, waits until the client takes it."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self._pace: Pace = socket.app.state["pace"]
        self._heard_at = asyncio.get_running_loop().time()

    async def say(self, kind: str, **values: Any) -> None:
        text = msgspec.json.encode({"type": kind, **values}).decode()
        await self._send({"type": "websocket.send", "bytes": None, "text": text})

    async def send(self, data: bytes) -> None:
        await self._send({"type": "websocket.send", "bytes": data, "text": None})

    async def listen(self, hear: Hear) -> None:
        """Read until the client goes. Raises Hangup."""
        while True:
            message: Any = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                raise Hangup(_GONE, "client_gone")
            self._heard_at = math.inf  # alive, however long a server takes to swallow what was typed
            text = message.get("text")
            heard = message["bytes"] if text is None else _decode(text)
            if isinstance(heard, bytes) or heard.type not in ("ping", "pong"):
                await hear(heard)
            elif heard.type == "ping":
                await self.say("pong")
            self._heard_at = asyncio.get_running_loop().time()

    async def keep_alive(self) -> None:
        """Ask now and then, and give up on who is silent."""
        loop = asyncio.get_running_loop()
        while True:
            silent = max(0.0, loop.time() - self._heard_at)
            if silent >= self._pace.dead_after:
                raise Hangup(sockets.TOO_SLOW, "silent")
            await asyncio.sleep(min(self._pace.ping_every, self._pace.dead_after - silent))
            await self.say("ping")

    async def watch(self, box: Box, principal: Principal) -> None:
        """Hang up when the login ends: at once when it is revoked, soon when it expires."""
        with box.hub.listen(f"login:{principal.login.id}") as revoked:
            while True:
                if not await box.accounts.still_valid(principal):
                    raise Hangup(sockets.LOGIN_ENDED, "login_ended")
                try:
                    async with asyncio.timeout(self._pace.ping_every):
                        await revoked.wait()
                except TimeoutError:
                    pass
                revoked.clear()

    async def close(self, hangup: Hangup) -> None:
        if hangup.code != _GONE:
            try:
                await self._send({"type": "websocket.close", "code": hangup.code, "reason": hangup.reason})
            except Hangup:
                self._abort()

    async def _send(self, message: Any) -> None:
        try:
            async with asyncio.timeout(self._pace.dead_after):
                await self._socket.send(message)
        except TimeoutError:
            self._abort()
            raise Hangup(_GONE, "too_slow") from None
        except (OSError, RuntimeError, WebSocketDisconnect):
            raise Hangup(_GONE, "client_gone") from None

    def _abort(self) -> None:
        """Drop the connection: a peer that takes nothing would hold the buffers of a polite close for ever."""
        abort = self._socket.scope["state"].get("abort")
        if abort:
            abort()


def _decode(text: str) -> Heard:
    if len(text) > MAX_TEXT:
        raise Hangup(sockets.TOO_BIG, "too_big")
    try:
        return msgspec.json.decode(text, type=Heard)
    except (msgspec.DecodeError, RecursionError):
        raise Hangup(sockets.BAD_REQUEST, "malformed") from None


async def serve(socket: Socket, talk: Talk, hear: Hear) -> None:
    """Accept, then talk and listen until one side has had enough, the login ends, or the box stops."""
    box, principal = at(socket)
    visit, crowd = visit_of(socket.scope), socket.app.state["crowd"]
    await socket.accept()
    visit.status = 101
    line = Line(socket)
    crowd[principal.login.id] += 1
    try:
        if crowd[principal.login.id] > MAX_SOCKETS:
            hangup = Hangup(sockets.RATE_LIMITED, "too_many_sockets")
        else:
            hangup = await _converse(line, box, principal, talk, hear)
    finally:
        crowd[principal.login.id] -= 1
    visit.code = hangup.reason
    await line.close(hangup)


async def _converse(line: Line, box: Box, principal: Principal, talk: Talk, hear: Hear) -> Hangup:
    async def say_all() -> None:
        await talk(line)
        raise Hangup(sockets.NORMAL, "ended")

    async def until_stop() -> None:
        await box.stopping.wait()
        raise Hangup(sockets.RESTART, "box_stopping")

    try:
        async with asyncio.TaskGroup() as group:
            for job in (
                line.listen(hear),
                line.keep_alive(),
                line.watch(box, principal),
                until_stop(),
                say_all(),
            ):
                group.create_task(job)
    except ExceptionGroup as errors:
        return _reason(errors)
    return Hangup(sockets.NORMAL, "ended")


def _reason(errors: ExceptionGroup[Exception]) -> Hangup:
    """Of several reasons the first that is one; what nobody foresaw is logged."""
    for error in errors.exceptions:
        if isinstance(error, Hangup):
            return error
        if isinstance(error, Problem):
            return Hangup(sockets.code_of(error), error.code)
    log.error("web.socket_failed", exc_info=errors.exceptions[0])
    return Hangup(sockets.FAILED, "internal_error")


async def refuse(socket: Socket, problem: Problem) -> None:
    await socket.accept()
    visit_of(socket.scope).code = problem.code
    await socket.close(sockets.code_of(problem), problem.code)


def query_of(socket: Socket) -> dict[str, str]:
    text = socket.scope["query_string"].decode("latin-1")
    return {name: values[-1] for name, values in parse_qs(text, keep_blank_values=True).items()}


def after_of(query: dict[str, str]) -> int | None:
    """Raises Invalid."""
    return number_of(query, "after")


def number_of(query: dict[str, str], name: str) -> int | None:
    """Raises Invalid."""
    text = query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 19 or int(text) > MAX_SEQ:
        raise Invalid(name, "Give the last number you have, or leave it out.")
    return int(text)


class Eyes:
    """Whether somebody has this feed on a screen. A page that goes into the background says `away`, since its socket may
    live on there; and `here` when it is back."""

    def __init__(self, hub: Hub, key: str) -> None:
        self._hub = hub
        self._key = key
        self._looking = ExitStack()

    def __enter__(self) -> None:
        self._open()

    def __exit__(self, *_: object) -> None:
        self._looking.close()

    async def hear(self, heard: Heard | bytes) -> None:
        """Anything else is let pass."""
        if isinstance(heard, Heard) and heard.type in ("away", "here"):
            self._looking.close()
            if heard.type == "here":
                self._open()

    def _open(self) -> None:
        self._looking.enter_context(self._hub.listen(self._key))


async def deaf(_heard: Heard | bytes) -> None:
    """A feed has nothing to be told but pings and pongs; anything else is let pass."""


@websocket("/events/live", opt={"action": "events.follow"})
async def follow_events(socket: Socket) -> None:
    """What is new, as it happens; with `after`, first what was missed."""
    box, who = at(socket)
    try:
        after = after_of(query_of(socket))
    except Problem as problem:
        await refuse(socket, problem)
        return

    eyes = Eyes(box.hub, f"present:{who.account_id}")

    async def talk(line: Line) -> None:
        with eyes, box.hub.listen(f"account:{who.account_id}") as news:
            last = await box.store.read(lambda r: last_event(r, who.account_id))
            seq = last if after is None else after
            await line.say("ready", last_seq=last)
            while True:
                news.clear()
                events = await box.store.read(
                    lambda r, seq=seq: events_after(r, who.account_id, seq, _PAGE)  # type: ignore[misc]
                )
                for event in events:
                    await line.say("event", event=view(event))
                    seq = event.seq
                if len(events) < _PAGE:
                    await news.wait()

    await serve(socket, talk, eyes.hear)


@websocket("/conversations/{conversation_id:str}/live", opt={"action": "conversation.follow"})
async def follow_conversation(socket: Socket, conversation_id: PathId) -> None:
    """The conversation's events from `after` on, then each as it happens."""
    box, who = at(socket)
    try:
        after = after_of(query_of(socket))
        conversation = await box.conversations.get(who.account_id, conversation_id)
    except Problem as problem:
        await refuse(socket, problem)
        return

    eyes = Eyes(box.hub, f"watched:{conversation_id}")

    async def talk(line: Line) -> None:
        with eyes, box.hub.listen(f"conversation:{conversation_id}") as news:
            last = (await box.conversations.facts(conversation)).last_seq
            seq = last if after is None else after
            await line.say("ready", last_seq=last)
            while True:
                news.clear()
                events = await box.conversations.events(who.account_id, conversation_id, seq, _PAGE)
                for event in events:
                    await line.say("event", event=event_view(event))
                    seq = event.seq
                if len(events) < _PAGE:
                    await news.wait()

    await serve(socket, talk, eyes.hear)
