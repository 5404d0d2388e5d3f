"""An SSH server inside the box, on loopback, to try everything with no other machine.

It is a real SSH server with real shells, but a small one: one key gets in, and there is no forwarding, no agent and
no file transfer. It gives the current user's own shell, in a home of its own, and nothing that the user could not do.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import asyncssh
import msgspec

from clawdbox.ssh.wire.demo_home import host_key, make_home, same_key
from clawdbox.ssh.wire.demo_process import kill_all
from clawdbox.ssh.wire.demo_session import DemoSession

_HOST = "127.0.0.1"
_MOST_SESSIONS = 20
_LOGIN_S = 20.0
_HANG_UP_S = 1.0


class DemoAddress(msgspec.Struct, frozen=True):
    host: str
    port: int
    username: str
    fingerprint: str
    key_type: str


class DemoServer:
    """`start` once, `authorize` again when the key is rotated, `stop` at the end."""

    def __init__(self) -> None:
        self._acceptor: asyncssh.SSHAcceptor | None = None
        self._home = Path()
        self._doors: set[_Door] = set()
        self._endings: set[asyncio.Task[None]] = set()
        self._allowed: asyncssh.SSHKey | None = None

    async def start(self, data_dir: Path, authorized_public_key_text: str, *, port: int = 0) -> DemoAddress:
        """Listen on a random port (or on `port`, the one that was saved before; OSError when that is taken)."""
        self.authorize(authorized_public_key_text)
        self._home = make_home(data_dir)
        key = host_key(data_dir)
        self._acceptor = await asyncssh.listen(
            _HOST,
            port,
            config=None,
            server_factory=lambda: _Door(self._home, self._allows, self._opened, self._closed),
            server_host_keys=[key],
            server_version="clawdbox_demo",
            authorized_client_keys=None,
            password_auth=False,
            kbdint_auth=False,
            host_based_auth=False,
            gss_host=None,
            gss_kex=False,
            gss_auth=False,
            agent_forwarding=False,
            x11_forwarding=False,
            allow_scp=False,
            line_editor=False,
            compression_algs=None,
            login_timeout=_LOGIN_S,
            encoding=None,
        )
        fingerprint, key_type = key.get_fingerprint("sha256"), key.get_algorithm()
        return DemoAddress(_HOST, self._acceptor.get_port(), self._home.owner(), fingerprint, key_type)

    def authorize(self, public_key_text: str) -> None:
        """From now on only this key gets in; connections that are open stay."""
        self._allowed = asyncssh.import_public_key(public_key_text)

    async def stop(self) -> None:
        """Stop listening, end every connection, and kill all that has the demo's home."""
        if self._acceptor is None:
            return
        acceptor, self._acceptor = self._acceptor, None
        acceptor.close()
        for door in list(self._doors):
            door.abort()
        await acceptor.wait_closed()
        while self._doors or self._endings:
            await asyncio.sleep(0)
            await asyncio.gather(*self._endings)
        await asyncio.to_thread(kill_all, self._home)

    def _allows(self, key: asyncssh.SSHKey) -> bool:
        return self._allowed is not None and same_key(key, self._allowed)

    def _opened(self, door: "_Door") -> None:
        self._doors.add(door)

    def _closed(self, door: "_Door") -> None:
        self._doors.discard(door)
        task = asyncio.ensure_future(door.clear_up())
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)


class _Door(asyncssh.SSHServer):
    """One connection: who may enter, and what may be opened."""

    def __init__(
        self,
        home: Path,
        allows: Callable[[asyncssh.SSHKey], bool],
        opened: Callable[["_Door"], None],
        closed: Callable[["_Door"], None],
    ) -> None:
        self._home, self._allows, self._opened, self._closed = home, allows, opened, closed
        self._conn: asyncssh.SSHServerConnection | None = None
        self._leaders: set[int] = set()
        self._sessions: set[DemoSession] = set()
        self._work: set[asyncio.Task[None]] = set()

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._conn = conn
        self._opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._conn = None
        self._closed(self)

    def abort(self) -> None:
        if self._conn is not None:
            self._conn.abort()

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return self._allows(key)

    def session_requested(self) -> DemoSession:
        if len(self._sessions) >= _MOST_SESSIONS:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_RESOURCE_SHORTAGE, "too many sessions")
        session = DemoSession(self._home, self._leaders.add, self._session_ended)
        self._sessions.add(session)
        return session

    def _session_ended(self, session: DemoSession) -> None:
        self._sessions.discard(session)
        if session.work is not None and not session.work.done():
            self._work.add(session.work)
            session.work.add_done_callback(self._work.discard)

    async def clear_up(self) -> None:
        """The connection has ended and its processes had their hang-up. After a moment the rest is killed."""
        if self._work:
            await asyncio.wait(set(self._work), timeout=_HANG_UP_S)
        await asyncio.to_thread(kill_all, self._home, self._leaders)
        if self._work:
            await asyncio.wait(set(self._work), timeout=_HANG_UP_S)
