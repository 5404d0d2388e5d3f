"""One session channel that is open before anybody asks for it: a command then costs one round trip instead of two.

asyncssh opens a channel and asks for the command within one method, without a public face between the two. The
subclass here splits them, and is used only with the one version of asyncssh whose inside it knows (`KNOWN`, pinned by
a test); with any other the ordinary way is taken. The channel ahead costs one of the server's MaxSessions, so it is
used by whoever comes first and given back to whoever is refused; a server that dislikes it is left alone.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import asyncssh

from clawdbox.ssh.wire.model import LinkLost

KNOWN = asyncssh.__version__ == "2.24.1"
FULL_CODES = frozenset({asyncssh.OPEN_CONNECT_FAILED, asyncssh.OPEN_RESOURCE_SHORTAGE})

_FIRST_WINDOW = 256 * 1024
_MOST_PACKET = 32 * 1024
_MOST_SPOILT = 2
_CLOSE_PATIENCE = 1.0
_PAUSES = (0.05, 0.2, 1.0)  # a server frees a session a little after it says so


class Stale(Exception):
    """The channel ahead had ended before anything was asked of it: nothing was sent."""


class Unanswered(Exception):
    """The server closed the channel instead of answering a request: whether it obeyed is unknown."""


class SessionChannel(asyncssh.SSHClientChannel[bytes]):
    """A session channel that can be opened first and used later, and whose window grows while its reader keeps up.

    The window begins at 256 KiB and doubles up to `most_window` bytes whenever half of it was used and the reader
    has not paused meanwhile. So bulk output fills a long line, and a slow reader never has more than that waiting.
    """

    def __init__(self, conn: asyncssh.SSHClientConnection) -> None:
        super().__init__(
            conn, asyncio.get_running_loop(), "replace", None, "strict", _FIRST_WINDOW, _MOST_PACKET
        )
        self.most_window = _FIRST_WINDOW
        self._answer: Any = None
        self._reader_paused = False

    async def open_ahead(self) -> "SessionChannel":
        """Raises asyncssh.ChannelOpenError."""
        self._session = asyncssh.SSHClientSession()  # hears what comes before there is a command
        self._answer = await super()._open(b"session")
        return self

    @property
    def is_fresh(self) -> bool:
        """Open, and nothing has happened on it."""
        return (
            self._send_state == self._recv_state == "open"
            and not self._recv_buf
            and self.get_returncode() is None
        )

    async def ask(
        self,
        session: asyncssh.SSHClientSession[bytes],
        *,
        command: str | bytes | None = None,
        subsystem: str | None = None,
        request_pty: bool | str = False,
        term_type: str | None = None,
        term_size: tuple[int, int] | tuple[int, int, int, int] = (0, 0),
        term_modes: Mapping[int, int] | None = None,
        env: Mapping[str, str] | Mapping[bytes, bytes] | None = None,
        window: int = _FIRST_WINDOW,
    ) -> None:
        """Open the channel unless it is, and request a command, a subsystem or a shell.

        `window` is how far the receive window may grow. Raises Stale, Unanswered and asyncssh.ChannelOpenError.
        """
        self.most_window = window
        named = {_bytes(name): _bytes(value) for name, value in (env or {}).items()}
        exact: Any = command  # asyncssh sends bytes as they are, though it does not say so
        await self.create(
            lambda: session, exact, subsystem, named, bool(request_pty), term_type, term_size, dict(term_modes or {}),
            False, None, None, False, False,
        )  # fmt: skip

    # What asyncssh calls in itself

    async def _open(self, chantype: bytes, *args: bytes) -> Any:
        answer, self._answer = self._answer, None
        if answer is None:
            return await super()._open(chantype, *args)
        if not self.is_fresh:
            self.abort()
            raise Stale
        return answer

    async def _make_request(self, request: bytes, *args: bytes) -> bool | None:
        granted = await super()._make_request(request, *args)
        if not granted and self._conn is None:
            raise Unanswered
        return granted

    def _deliver_data(self, data: bytes, datatype: int | None) -> None:
        if self._recv_window < self._init_recv_window / 2:
            if not self._reader_paused:
                self._init_recv_window = max(
                    self._init_recv_window, min(2 * self._init_recv_window, self.most_window)
                )
            self._reader_paused = False
        super()._deliver_data(data, datatype)

    def pause_reading(self) -> None:
        self._reader_paused = True
        super().pause_reading()

    def log_sent_packet(self, *_args: object, **_more: object) -> None:
        """Nothing: the text of it would be made for each packet even while nobody listens."""

    def log_received_packet(self, *_args: object, **_more: object) -> None:
        """Nothing, as above."""


class Ahead:
    """Keeps one channel open ahead. `may_open` says whether this is a moment to ask the server for one."""

    def __init__(self, new: Callable[[], SessionChannel], may_open: Callable[[], bool]) -> None:
        self._new = new
        self._may_open = may_open
        self._wanted = False
        self._opening: asyncio.Task[SessionChannel] | None = None
        self._spoilt = 0
        self._refused = 0

    def start(self) -> None:
        """From now on, keep one."""
        self._wanted = KNOWN
        self.refill()

    def refill(self) -> None:
        """Open one unless there is one; a full server is asked a few times more."""
        self._refused = 0
        self._open_one()

    def _open_one(self) -> None:
        if self._wanted and self._opening is None and self._may_open():
            try:
                channel = self._new()
            except (asyncssh.ChannelOpenError, LinkLost):
                return  # the connection is just ending
            self._opening = asyncio.ensure_future(channel.open_ahead())
            self._opening.add_done_callback(self._settled)

    @property
    def is_there(self) -> bool:
        """Whether a channel is open, and free for whoever comes."""
        task = self._opening
        return task is not None and task.done() and not task.exception() and task.result().is_fresh

    async def take(self) -> SessionChannel | None:
        """The channel ahead, or one that is being opened; None when there is none, or none that is good.

        Raises asyncssh.ChannelOpenError when the server just refused it for want of a session: it would refuse an
        ordinary one, too.
        """
        task, self._opening = self._opening, None
        if task is None:
            return None
        try:
            channel = await asyncio.shield(task)
        except asyncio.CancelledError:
            self._put_back(task)
            raise
        except asyncssh.ChannelOpenError as error:
            if error.code in FULL_CODES:
                raise
            return None
        if channel.is_fresh:
            return channel
        self._spoilt += 1
        self._wanted = self._wanted and self._spoilt < _MOST_SPOILT
        channel.abort()
        return None

    async def give_back(self) -> bool:
        """Close it, so that somebody who was refused gets its place. False when there was none."""
        task, self._opening = self._opening, None
        if task is None:
            return False
        task.add_done_callback(_abort)
        await asyncio.wait({task})
        if task.exception() is not None:
            return False
        try:
            async with asyncio.timeout(_CLOSE_PATIENCE):
                await task.result().wait_closed()
        except TimeoutError:
            return False
        return True

    def _put_back(self, task: "asyncio.Task[SessionChannel]") -> None:
        if self._opening is None:
            self._opening = task
        else:
            task.add_done_callback(_abort)

    def _settled(self, task: "asyncio.Task[SessionChannel]") -> None:
        if task.cancelled():  # by the loop, as it ends
            return
        error = task.exception()
        if error is None:
            return
        if self._opening is task:
            self._opening = None
        if not (isinstance(error, asyncssh.ChannelOpenError) and error.code in FULL_CODES):
            self._wanted = False
        elif self._refused < len(_PAUSES):
            asyncio.get_running_loop().call_later(_PAUSES[self._refused], self._open_one)
            self._refused += 1


def _abort(task: "asyncio.Task[SessionChannel]") -> None:
    if task.exception() is None:
        task.result().abort()


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value
