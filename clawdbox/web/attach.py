"""The terminal's WebSocket: bytes by offset out of the ring, numbered input in. No database in between."""

import asyncio
import re
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import websocket

from clawdbox.errors import Invalid, Problem
from clawdbox.ids import new_token
from clawdbox.ssh.model import Terminal
from clawdbox.web import sockets
from clawdbox.web.fields import MAX_SEQ, PathId
from clawdbox.web.live import Heard, Line, Socket, after_of, number_of, query_of, refuse, serve
from clawdbox.web.sockets import Hangup
from clawdbox.web.visit import at

if TYPE_CHECKING:
    from clawdbox.ssh.service.live_terminal import LiveTerminal
    from clawdbox.ssh.service.scrollback import Scrollback

CREDIT = 1_048_576
TAIL = 262_144
LEAST_LAG = 65_536
_FRAME = 65_536
_LINE = 4096
_FLOOD = 4096
_GATHER_S = 0.008
_CLIENT = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Wanted(msgspec.Struct, frozen=True):
    """The query of an attach. `most` is how many bytes a client would rather skip than lag behind by."""

    client: str
    after: int | None
    most: int | None
    view: bool


@websocket("/sessions/{session_id:str}/terminals/{terminal_id:str}/attach", opt={"action": "terminal.attach"})
async def attach(socket: Socket, session_id: PathId, terminal_id: PathId) -> None:
    """See a terminal and type into it. `after` is the offset up to which the client has its output."""
    box, who = at(socket)
    try:
        wanted = _wanted(query_of(socket))
        terminal = await box.terminals.live(who.account_id, session_id, terminal_id)
    except Problem as problem:
        await refuse(socket, problem)
        return
    if isinstance(terminal, Terminal):
        await serve(socket, lambda line: _tell_end(line, terminal, wanted.after), _nobody_types)
        return
    may_type = who.account.role != "viewer" and not wanted.view
    screen = Screen(terminal, wanted, may_type=may_type, device=who.login.device_name or "")
    await serve(socket, screen.talk, screen.hear)


class Screen:
    """One client's view of a living terminal. `_offset` is what was sent to it, `_received` what it says it has."""

    def __init__(self, live: "LiveTerminal", wanted: Wanted, *, may_type: bool, device: str) -> None:
        self._live = live
        self._device = device
        self._client = wanted.client
        self._most = wanted.most
        self._may_type = may_type
        ring = live.ring
        start = _newest(ring) if wanted.after is None else min(wanted.after, ring.end)
        self._offset = self._received = start
        self._size = self._size_now()
        self._away = live.is_away
        self._flooded_at = 0.0
        self._line: Line | None = None
        self._wake = asyncio.Event()

    async def talk(self, line: Line) -> None:
        attended = self._live.attended(self._client, self._device) if self._may_type else self._live.listen()
        with attended as signal:
            self._wake = signal
            await self._hello(line)
            self._line = line
            while True:
                signal.clear()
                await self._tell_standing(line)
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
            self._live.wish(self._client, heard.cols, heard.rows, take=heard.take)
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
        _, _, yours, device = self._size
        more = {"offset": max(self._offset, self._live.ring.start), "yours": yours, "device": device}
        more["away"], more["may_type"] = self._away, self._may_type
        await _say_hello(line, self._live.view, self._live.last_input(self._client), **more)

    def _size_now(self) -> tuple[int, int, bool | None, str | None]:
        """The last two say whose it is: whether this client's (None: nobody's), and what that device is called."""
        view, owner = self._live.view, self._live.sizes.owner
        yours = None if owner is None else owner == self._client
        return view.cols, view.rows, yours, self._live.sized_by

    async def _tell_standing(self, line: Line) -> None:
        size = self._size_now()
        if self._size != size:
            self._size = size
            await line.say("size", cols=size[0], rows=size[1], yours=size[2], device=size[3])
        if self._away != self._live.is_away and self._live.is_open:
            self._away = self._live.is_away
            await line.say("away", away=self._away, input_seq=self._live.last_input(self._client))

    async def _send_some(self, line: Line) -> bool:
        """A frame, as far as the client's credit goes; whether there may be more."""
        ring = self._live.ring
        await self._gather(ring.end - self._offset)
        if self._offset < ring.start:
            await self._skip(line, ring.start, kept=False)
        elif self._most and ring.end - self._offset > self._most:
            await self._skip(line, ring.end - self._most // 2, kept=True)
        room = self._received + CREDIT - self._offset
        if room <= 0 or self._offset >= ring.end:
            return False
        if self._offset < ring.start:
            return True
        data = await ring.read(self._offset, min(_FRAME, room))
        if data:
            await line.send(self._offset.to_bytes(8, "big") + data)
            self._offset += len(data)
            self._flooded_at = asyncio.get_running_loop().time() if len(data) >= _FLOOD else 0.0
            if len(data) == _FRAME:
                await asyncio.sleep(
                    0
                )  # a mebibyte in one turn of the loop would be a wait for everybody's keys
        return True

    async def _gather(self, pending: int) -> None:
        """In a flood let a few pieces come together: every frame costs both sides. An echo never waits for this."""
        rest = self._flooded_at + _GATHER_S - asyncio.get_running_loop().time()
        if 0 < pending < _FRAME // 2 and rest > 0:
            await asyncio.sleep(rest)

    async def _skip(self, line: Line, to: int, *, kept: bool) -> None:
        begin, self._offset = self._offset, to
        self._received = max(self._received, to)
        await line.say("gap", **{"from": begin, "to": to, "kept": kept})


def _newest(ring: "Scrollback") -> int:
    """Where the newest part begins, from a line on if one begins soon: half an escape sequence shows as rubbish."""
    begin = max(ring.start, ring.end - TAIL)
    return begin if begin == ring.start else begin + ring.recent(begin, _LINE).find(b"\n") + 1


async def _tell_end(line: Line, terminal: Terminal, after: int | None) -> None:
    """A terminal whose bytes are gone, as after a restart of the box: say so, and what became of it.

    How much it wrote after `after` is not known, so the gap has no end.
    """
    await _say_hello(line, terminal, 0)
    await line.say("gap", **{"from": after or 0, "to": None})
    await _say_ended(line, terminal)


async def _nobody_types(_heard: Heard | bytes) -> None:
    """It has ended: input has nowhere to go."""


async def _say_hello(line: Line, terminal: Terminal, input_seq: int, **more: Any) -> None:
    values: dict[str, Any] = {
        "start_offset": terminal.start_offset,
        "end_offset": terminal.end_offset,
        "offset": terminal.end_offset,
        "cols": terminal.cols,
        "rows": terminal.rows,
        "yours": None,
        "device": None,
        "away": False,
        "may_type": False,
        "input_seq": input_seq,
        "state": terminal.state,
    }
    await line.say("hello", **{**values, **more})


async def _say_ended(line: Line, terminal: Terminal) -> None:
    await line.say("ended", exit_status=terminal.exit_status, end_reason=terminal.end_reason)


def _wanted(query: dict[str, str]) -> Wanted:
    """Raises Invalid."""
    client = query.get("client") or new_token()
    if not _CLIENT.fullmatch(client):
        raise Invalid("client", "Use at most 64 letters, digits, dashes and underscores.")
    most = number_of(query, "most")
    if most is not None and most < LEAST_LAG:
        raise Invalid("most", f"Choose at least {LEAST_LAG} bytes.")
    return Wanted(client, after_of(query), most, query.get("view", "0") not in ("", "0"))
