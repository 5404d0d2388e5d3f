"""One authenticated connection: opens commands and terminals on it, queues when the server is full, tells its end."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

import asyncssh
import msgspec

from clawdbox.ssh.wire.ahead import FULL_CODES, KNOWN, Ahead, SessionChannel, Stale, Unanswered
from clawdbox.ssh.wire.channels import ExecChannel, PtyChannel
from clawdbox.ssh.wire.model import ChannelRefused, LinkLost, OfferedKey
from clawdbox.ssh.wire.quirks import Quirks, quirks_of
from clawdbox.ssh.wire.session import ByteSession
from clawdbox.ssh.wire.slots import Full, Slots
from clawdbox.ssh.wire.text import one_line

log = logging.getLogger(__name__)
T = TypeVar("T")

_MOST_COMMAND = 128 * 1024 - 1  # Linux takes no longer argument, and SSH packets end at 256 KiB
_EXEC_BUFFER = 512 * 1024
_EXEC_WINDOW = 8 * 1024 * 1024  # at most, and only for a reader who keeps up: 200 MB/s over 40 ms
_TERMINAL_WINDOW = 256 * 1024  # small, so that Ctrl-C is not far behind a flood of output
_CLOSE_PATIENCE = 2.0
_STOPPING_PATIENCE = 6.0


class Wanted(msgspec.Struct, frozen=True):
    """A session as somebody else asks for it: a command (bytes as they are), a subsystem, or with neither a login shell.

    `size` is columns, rows and both in pixels; `modes` are those of RFC 4254, section 8.
    """

    command: bytes | None = None
    subsystem: str | None = None
    pty: bool = False
    term: bytes = b"dumb"
    size: tuple[int, int, int, int] = (80, 24, 0, 0)
    modes: Mapping[int, int] = {}
    env: Mapping[bytes, bytes] = {}


class Link:
    """A warm connection of one lease. Made by `dial`."""

    def __init__(self) -> None:
        self.latency_ms = 0.0  # one round trip: how long the TCP connection took
        self.offered = OfferedKey("", "")
        self.authority: str | None = None  # fingerprint of who signed the host certificate, if one was shown
        self.server_version = ""
        self.banner = ""
        self.ignores_signals = False
        self._conn: asyncssh.SSHClientConnection | None = None
        self._lost: str | None = None
        self._carrier: Link | None = None
        self.closing = asyncio.Event()  # our own close has begun: what runs is being stopped
        self._running: set[asyncio.Future[None]] = set()
        self._listeners: list[Callable[[str], None]] = []
        self._quirks = Quirks()
        self._alone = asyncio.Lock()  # held by the one command that a fragile server runs
        self._holds_alone: ByteSession | None = None
        self._slots = Slots()
        self.idle_holders: list[Callable[[], bool]] = []  # each gives up a session that does nothing
        self._ahead = Ahead(lambda: SessionChannel(self.connection), self._may_open_ahead)
        self._live: list[ByteSession] = []
        self._holdings: set[asyncio.Future[object]] = set()  # one for each channel opened through `in_line`
        self._background: set[asyncio.Task[Any]] = set()

    def established(
        self, conn: asyncssh.SSHClientConnection, offered: OfferedKey, version: str, banner: str
    ) -> None:
        """Called once by `dial`, after the login."""
        self._conn, self.offered, self.banner = conn, offered, banner
        self.server_version = one_line(version)
        self._quirks = quirks_of(self.server_version)
        by_root = str(conn.get_extra_info("username")) == "root"
        self.ignores_signals = by_root or self._quirks.signals_shell_alone  # see `ending`

    def carried_by(self, carrier: "Link") -> None:
        """`carrier` is the link to the jump host through which this one goes: it serves nothing else and ends with it."""
        self._carrier = carrier
        if self._lost is not None:
            carrier.hang_up()

    def hang_up(self) -> None:
        """End the connection without waiting for anything."""
        self.closing.set()
        if self._conn is not None:
            self._conn.close()

    @property
    def is_up(self) -> bool:
        return self.is_alive and not self.closing.is_set()

    @property
    def is_alive(self) -> bool:
        """Like `is_up`, but still true while our own close waits for commands to end."""
        return self._conn is not None and self._lost is None and not self._conn.is_closed()

    @property
    def open_channels(self) -> int:
        return len(self._live)

    def on_lost(self, callback: Callable[[str], None]) -> None:
        """`callback` gets a sentence when the connection ends by itself; never after our own `close`."""
        if self._lost is not None and not self.closing.is_set():
            callback(self._lost)
        else:
            self._listeners.append(callback)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncssh, through `dial`'s visitor."""
        if self._lost is not None:
            return
        self._lost = reason_of(exc)
        if self._carrier is not None:
            self._carrier.hang_up()
        self._slots.wake()
        listeners, self._listeners = self._listeners, []
        if self._conn is None or self.closing.is_set():
            return
        for callback in listeners:
            try:
                callback(self._lost)
            except Exception:
                log.exception("a listener for the loss of a connection failed")

    async def open_exec(
        self,
        command: str,
        *,
        pty: bool = False,
        ahead: bool = False,
        stdin: bool = False,
        on_sent: Callable[[], None] | None = None,
    ) -> ExecChannel:
        """Run `command` in the login shell as it stands, with an empty stdin. Waits while the server is full.

        With `stdin`, its input stays open for `session.write`.

        `on_sent` is called right before the command leaves: if it was not, the command was certainly never run.
        """
        check_command(command)
        terminal = (
            {"request_pty": "force", "term_type": "dumb", "term_size": (80, 24)}
            if pty
            else {"request_pty": False}
        )
        opening = self._open(ahead, _EXEC_BUFFER, on_sent, command=command, window=_EXEC_WINDOW, **terminal)
        in_turn = self._quirks.one_at_a_time and not ahead and not stdin
        session = await (self._in_turn(opening) if in_turn else opening)
        if not stdin:
            session.write_eof()
        return ExecChannel(session, command, pty)

    async def open_terminal(
        self,
        cols: int,
        rows: int,
        term: str = "xterm-256color",
        env: Mapping[str, str] | None = None,
        *,
        command: str | None = None,
        wait_s: float = 15.0,
    ) -> PtyChannel:
        """A login shell in a PTY, or `command` run by it. ChannelRefused when the server has had no session left for
        `wait_s` seconds.
        """
        kwargs = {
            "request_pty": "force",
            "term_type": term,
            "term_size": (cols, rows),
            "env": dict(env or {}),
        }
        if command is not None:
            check_command(command)
            kwargs["command"] = command
        try:
            async with asyncio.timeout(wait_s):
                session = await self._open(False, _TERMINAL_WINDOW, None, window=_TERMINAL_WINDOW, **kwargs)
        except TimeoutError:
            raise ChannelRefused(
                "The server has no session left. End a terminal or a command first."
            ) from None
        return PtyChannel(session)

    def keep_one_ahead(self) -> None:
        """From now on, keep one session channel open in advance: a command or a terminal then saves a round trip."""
        self._ahead.start()

    @property
    def has_one_ahead(self) -> bool:
        return self._ahead.is_there

    async def open_session(self, wanted: Wanted, on_sent: Callable[[], None] | None = None) -> ByteSession:
        """A session whose input stays open, for a client who brings its own streams. Waits while the server is full.

        Raises ChannelRefused and LinkLost.
        """
        terminal: dict[str, Any] = {"request_pty": False}
        if wanted.pty:
            terminal = {
                "request_pty": "force",
                "term_type": wanted.term.decode("ascii", "replace"),
                "term_size": wanted.size,
                "term_modes": wanted.modes,
            }
        more = {"command": wanted.command, "subsystem": wanted.subsystem, "env": wanted.env}
        window = _TERMINAL_WINDOW if wanted.pty else _EXEC_WINDOW
        return await self._open(False, _EXEC_BUFFER, on_sent, window=window, **more, **terminal)

    async def close(self) -> None:
        """Stop the commands that run, hang up the terminals, say goodbye; cut the line if that takes too long."""
        try:
            await self._close()
        finally:
            if self._carrier is not None:
                await self._carrier.close()

    async def _close(self) -> None:
        self.closing.set()
        self._slots.wake()
        work = self._running | self._background
        if work and self.is_alive:
            await asyncio.wait(work, timeout=_STOPPING_PATIENCE)
        for task in self._background:
            task.cancel()
        if self._conn is None or self._conn.is_closed():
            return
        for session in list(self._live):
            session.signal("HUP")
        self._conn.close()
        try:
            async with asyncio.timeout(_CLOSE_PATIENCE):
                await self._conn.wait_closed()
        except TimeoutError:
            self._conn.abort()
            await self._conn.wait_closed()

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """While a command runs: `close` lets it be stopped first (see `closing`)."""
        done = asyncio.get_running_loop().create_future()
        self._running.add(done)
        try:
            yield
        finally:
            self._running.discard(done)
            done.set_result(None)

    def live_sessions(self) -> list[ByteSession]:
        """Every channel that is open now, in the order in which the server opened them."""
        return list(self._live)

    def spawn(self, work: Coroutine[Any, Any, object]) -> None:
        """Finish something after its caller was cancelled; ends with the link."""
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    @property
    def connection(self) -> asyncssh.SSHClientConnection:
        """asyncssh's own connection, for `wire/` alone: what is no session channel goes past the queue for sessions.

        Raises LinkLost.
        """
        if self._conn is None or not self.is_up:
            raise LinkLost(self._lost or "This connection was closed.")
        return self._conn

    async def in_line(
        self, attempt: Callable[[], Awaitable[T]], ended: Callable[[T], Awaitable[object]]
    ) -> T:
        """Run an `attempt` that opens a session channel by `connection`, in the queue for the server's MaxSessions.

        `ended` waits for the end of that channel: until then it counts as held, so that others wait for it.
        A channel open ahead makes room for it. Raises ChannelRefused and LinkLost.
        """

        async def once() -> T:
            while True:
                try:
                    return await attempt()
                except asyncssh.ChannelOpenError as error:
                    if not self.is_alive or error.code not in FULL_CODES:
                        raise self._refused(error) from error
                if not await self._ahead.give_back():
                    self._make_room()
                    raise Full

        opened = await self._slots.open(once)
        self._slots.take()
        holding = asyncio.ensure_future(ended(opened))
        self._holdings.add(holding)
        holding.add_done_callback(self._let_go)
        return opened

    def _let_go(self, holding: "asyncio.Future[object]") -> None:
        self._holdings.discard(holding)
        self._slots.release()
        _look_away(holding)

    async def _open(
        self, ahead: bool, high_water: int, on_sent: Callable[[], None] | None, **kwargs: Any
    ) -> ByteSession:
        return await self._slots.open(lambda: self._attempt(ahead, high_water, on_sent, kwargs), ahead=ahead)

    async def _in_turn(self, opening: Coroutine[Any, Any, ByteSession]) -> ByteSession:
        """Once the command before has ended."""
        try:
            await self._alone.acquire()
        except BaseException:
            opening.close()
            raise
        try:
            session = self._holds_alone = await opening
        except BaseException:
            self._alone.release()
            raise
        if session.closed.is_set():
            self._next_turn(session)
        return session

    def _next_turn(self, session: ByteSession) -> None:
        if self._holds_alone is session:
            self._holds_alone = None
            self._alone.release()

    async def _attempt(
        self, ahead: bool, high_water: int, on_sent: Callable[[], None] | None, kwargs: dict[str, Any]
    ) -> ByteSession:
        if self._conn is None or not (self.is_alive if ahead else self.is_up):
            raise LinkLost(self._lost or "This connection was closed.")
        command = None if kwargs["request_pty"] else kwargs["command"]
        if isinstance(command, bytes):
            command = command.decode("utf-8", "replace")
        session = ByteSession(high_water, partial(self._opened, on_sent), self._closed, command)
        opening = asyncio.ensure_future(self._ask(self._conn, session, kwargs))
        try:
            await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_look_away)
            session.signal("KILL")
            session.close()
            raise
        except Exception as error:
            session.close()
            refusal = self._refusal(session, error)
            if isinstance(refusal, Full):
                self._make_room()
            raise refusal from error
        return session

    def _make_room(self) -> None:
        """By one session: it is free when the server has seen it close, which wakes the line to look again."""
        for give_up in list(self.idle_holders):
            if give_up():
                return

    async def _ask(
        self, conn: asyncssh.SSHClientConnection, session: ByteSession, kwargs: dict[str, Any]
    ) -> None:
        """On the channel ahead if there is one. What was found stale had nothing sent on it, so a new one is safe."""
        if not KNOWN:
            await conn.create_session(lambda: session, encoding=None, **kwargs)
            return
        channel = await self._ahead.take()
        try:
            await (channel or SessionChannel(conn)).ask(session, **kwargs)
        except Stale:
            await SessionChannel(conn).ask(session, **kwargs)

    def _may_open_ahead(self) -> bool:
        return self.is_up and not self._quirks.one_at_a_time and not self._slots.has_line

    def _refusal(self, session: ByteSession, error: Exception) -> Exception:
        full = isinstance(error, asyncssh.ChannelOpenError) and error.code in FULL_CODES
        if self.is_alive and full and not session.opened:
            return Full()
        return self._refused(error)

    def _refused(self, error: Exception) -> Exception:
        if not self.is_alive:
            return LinkLost(self._lost or "The connection ended.")
        if isinstance(error, Unanswered):
            return LinkLost("The server closed the channel without an answer.")
        return ChannelRefused(f"The server refused: {one_line(str(error))}.")

    def _opened(self, on_sent: Callable[[], None] | None, session: ByteSession) -> None:
        self._live.append(session)
        self._slots.take()
        if on_sent is not None:
            on_sent()
        asyncio.get_running_loop().call_soon(self._ahead.refill)  # once the request of this one has left

    def _closed(self, session: ByteSession) -> None:
        self._next_turn(session)
        if session in self._live:
            self._live.remove(session)
            self._slots.release()
            asyncio.get_running_loop().call_soon(self._ahead.refill)


def _look_away(opening: asyncio.Future[Any]) -> None:
    """The caller went away while the channel was being opened; how that ended interests nobody any more."""
    if not opening.cancelled():
        opening.exception()


def check_command(command: str) -> None:
    """ValueError for what would break the connection, or be no command at all."""
    if not command.strip():
        raise ValueError("the command is empty")
    if "\0" in command:
        raise ValueError("the command contains a NUL character")
    if len(command.encode("utf-8")) > _MOST_COMMAND:  # UnicodeEncodeError is a ValueError
        raise ValueError("the command is longer than 128 KiB")


def reason_of(exc: Exception | None) -> str:
    """Why a connection ended, for a person."""
    if exc is None:
        return "The server closed the connection."
    text = one_line(str(exc))
    if "keepalive" in text:
        return "The server stopped answering."
    if isinstance(exc, asyncssh.ConnectionLost | OSError) or not text:
        return "The connection to the server broke off."
    return f"The connection ended: {text}."
