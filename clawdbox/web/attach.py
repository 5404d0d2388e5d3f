"""The terminal's WebSocket: bytes by offset out of the ring, numbered input in. No database in between."""

import asyncio
import re
from typing import TYPE_CHECKING, Any

from litestar import websocket

from clawdbox.errors import Invalid, Problem
from clawdbox.ids import new_token
from clawdbox.ssh.model import Terminal
from clawdbox.web import sockets
from clawdbox.web.fields import MAX_SEQ, PathId
from clawdbox.web.live import Heard, Line, Socket, after_of, query_of, refuse, serve
from clawdbox.web.sockets import Hangup
from clawdbox.web.visit import at

if TYPE_CHECKING:
    from clawdbox.ssh.service.terminals import LiveTerminal

CREDIT = 1_048_576
_FRAME = 65_536
_CLIENT = re.compile(r"[A-Za-z0-9_-]{1,64}")


@websocket("/sessions/{session_id:str}/terminals/{terminal_id:str}/attach", opt={"action": "terminal.attach"})
async def attach(socket: Socket, session_id: PathId, terminal_id: PathId) -> None:
    """See a terminal and type into it. `after` is the offset up to which the client has its output."""
    box, who = at(socket)
    try:
        query = query_of(socket)
        after, client = after_of(query), _client_of(query)
        terminal = await box.terminals.live(who.account_id, session_id, terminal_id)
    except Problem as problem:
        await refuse(socket, problem)
        return
    if isinstance(terminal, Terminal):
        await serve(socket, lambda line: _tell_end(line, terminal, after), _nobody_types)
        return
    screen = Screen(terminal, client, after, may_type=who.account.role != "viewer")
    await serve(socket, screen.talk, screen.hear)


class Screen:
    """One client's view of a living terminal. `_offset` is what was sent to it, `_received` what it says it has."""

    def __init__(self, live: "LiveTerminal", client: str, after: int | None, *, may_type: bool) -> None:
        self._live = live
        self._client = client
        self._may_type = may_type
        start = live.ring.start if after is None else min(after, live.ring.end)
        self._offset = self._received = start
        self._size = (live.view.cols, live.view.rows)
        self._line: Line | None = None
        self._wake = asyncio.Event()

    async def talk(self, line: Line) -> None:
        with self._live.listen() as signal:
            self._wake = signal
            await self._hello(line)
            self._line = line
            while True:
                signal.clear()
                await self._tell_size(line)
                if not await self._send_some(line):
                    if not self._live.is_open and self._offset >= self._live.ring.end:
                        await _say_ended(line, self._live.view)
                        return
                    await signal.wait()

    async def hear(self, heard: Heard | bytes) -> None:
        if isinstance(heard, bytes):
            await self._type(heard)
        elif heard.type == "resize" and heard.cols is not None and heard.rows is not None:
            self._need_right()
            await self._live.resize(heard.cols, heard.rows)
        elif heard.type == "received" and heard.offset is not None:
            self._received = max(self._received, min(heard.offset, self._offset))
            self._wake.set()
        else:
            raise Hangup(sockets.BAD_REQUEST, "malformed")

    async def _type(self, frame: bytes) -> None:
        self._need_right()
        seq = int.from_bytes(frame[:8], "big")
        if len(frame) < 8 or not 1 <= seq <= MAX_SEQ:
            raise Hangup(sockets.BAD_REQUEST, "malformed")
        taken = await self._live.type(self._client, seq, frame[8:])
        if self._line is not None:
            await self._line.say("ack", seq=taken)

    def _need_right(self) -> None:
        if not self._may_type:
            raise Hangup(sockets.FORBIDDEN, "role_forbidden")

    async def _hello(self, line: Line) -> None:
        await _say_hello(line, self._live.view, self._live.last_input(self._client))

    async def _tell_size(self, line: Line) -> None:
        view = self._live.view
        if self._size != (view.cols, view.rows):
            self._size = (view.cols, view.rows)
            await line.say("size", cols=view.cols, rows=view.rows)

    async def _send_some(self, line: Line) -> bool:
        """A frame, as far as the client's credit goes; whether there may be more."""
        ring = self._live.ring
        if self._offset < ring.start:
            await line.say("gap", **{"from": self._offset, "to": ring.start})
            self._offset = self._received = ring.start
        room = self._received + CREDIT - self._offset
        data = ring.read(self._offset, min(_FRAME, room)) if room > 0 else b""
        if not data:
            return False
        await line.send(self._offset.to_bytes(8, "big") + data)
        self._offset += len(data)
        return True


async def _tell_end(line: Line, terminal: Terminal, after: int | None) -> None:
    """A terminal whose bytes are gone, as after a restart of the box: say so, and what became of it.

    How much it wrote after `after` is not known, so the gap has no end.
    """
    await _say_hello(line, terminal, 0)
    await line.say("gap", **{"from": after or 0, "to": None})
    await _say_ended(line, terminal)


async def _nobody_types(_heard: Heard | bytes) -> None:
    """It has ended: input has nowhere to go."""


async def _say_hello(line: Line, terminal: Terminal, input_seq: int) -> None:
    values: dict[str, Any] = {
        "start_offset": terminal.start_offset,
        "end_offset": terminal.end_offset,
        "cols": terminal.cols,
        "rows": terminal.rows,
        "input_seq": input_seq,
        "state": terminal.state,
    }
    await line.say("hello", **values)


async def _say_ended(line: Line, terminal: Terminal) -> None:
    await line.say("ended", exit_status=terminal.exit_status, end_reason=terminal.end_reason)


def _client_of(query: dict[str, str]) -> str:
    """Whose input numbers these are. Raises Invalid."""
    client = query.get("client") or new_token()
    if not _CLIENT.fullmatch(client):
        raise Invalid("client", "Use at most 64 letters, digits, dashes and underscores.")
    return client
