"""A link over a spawned master: the queue, the losses and the stopping are the same; the sessions are processes."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, NoReturn, TypeVar, cast

from clawdbox.ssh.wire.channels import ExecChannel, PtyChannel
from clawdbox.ssh.wire.link import Link, Wanted, check_command
from clawdbox.ssh.wire.model import ChannelRefused, LinkLost
from clawdbox.ssh.wire.openssh.master import Master
from clawdbox.ssh.wire.openssh.process import ProcessChannel
from clawdbox.ssh.wire.session import ByteSession

T = TypeVar("T")
_BUFFER = 256 * 1024
_SESSIONS_PATIENCE_S = 2.0


class OpenSshLink(Link):
    """Made by `dial` in this folder. Commands, terminals and tests alone: what needs a channel of another kind is
    refused with words that say so."""

    def __init__(self, master: Master) -> None:
        super().__init__()
        self._master = master
        self._sessions: set[asyncio.Task[None]] = set()

    def up(self, version: str) -> None:
        """The master has logged in."""
        self._conn = cast(Any, self._master)
        self.server_version = version
        self.ignores_signals = True  # a control socket has no message for one
        self._master.watch(lambda words: self.connection_lost(ConnectionError(_why_lost(words))))

    @property
    def connection(self) -> NoReturn:
        raise ChannelRefused(
            "This box uses the system's ssh (master = openssh), which offers commands and terminals alone."
        )

    async def in_line(
        self, attempt: Callable[[], Awaitable[T]], ended: Callable[[T], Awaitable[object]]
    ) -> T:
        return self.connection

    def keep_one_ahead(self) -> None:
        """A session is a process here: none begins before it has something to run."""

    async def open_session(self, wanted: Wanted, on_sent: Callable[[], None] | None = None) -> ByteSession:
        return self.connection

    async def open_exec(
        self,
        command: str,
        *,
        pty: bool = False,
        ahead: bool = False,
        stdin: bool = False,
        on_sent: Callable[[], None] | None = None,
    ) -> ExecChannel:
        check_command(command)
        size = (80, 24) if pty else None
        session = await self._slots.open(
            lambda: self._run(command, size, ahead, on_sent, {"TERM": "dumb"}), ahead=ahead
        )
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
        try:
            async with asyncio.timeout(wait_s):
                terminal = {"TERM": term, **(env or {})}
                session = await self._slots.open(
                    lambda: self._run(command, (cols, rows), False, None, terminal)
                )
        except TimeoutError:
            raise ChannelRefused(
                "The server has no session left. End a terminal or a command first."
            ) from None
        return PtyChannel(session)

    async def _run(
        self,
        command: str | None,
        size: tuple[int, int] | None,
        ahead: bool,
        on_sent: Callable[[], None] | None,
        env: Mapping[str, str],
    ) -> ByteSession:
        if not (self.is_alive if ahead else self.is_up):
            raise LinkLost(self._lost or "This connection was closed.")
        session = ByteSession(
            _BUFFER, partial(self._opened, None), self._closed, None if size is not None else command
        )
        if on_sent is not None:
            on_sent()  # from here on nobody can tell whether it has left, until the server refuses
        try:
            argv, log = self._master.session(command, size is not None, env)
            channel = ProcessChannel(session, log, size)
            await channel.start(argv, {**self._master.env, **env}, self._master.folder.path)
        except FileNotFoundError:  # the folder goes with the master
            raise LinkLost(self._lost or "The connection ended.") from None
        ending = asyncio.ensure_future(channel.to_the_end(self._master.lives))
        self._sessions.add(ending)
        ending.add_done_callback(self._sessions.discard)
        return session

    async def close(self) -> None:
        """The sessions end with their master; each is seen to end."""
        await super().close()
        if self._sessions:
            await asyncio.wait(self._sessions, timeout=_SESSIONS_PATIENCE_S)


def _why_lost(words: str) -> str:
    return "keepalive" if "not responding" in words else ""
