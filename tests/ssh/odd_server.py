"""An asyncssh server whose session channels behave as a test says, and which writes down what it was asked."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import asyncssh

from clawdbox.ssh.wire.dial import dial
from clawdbox.ssh.wire.link import Link
from clawdbox.ssh.wire.model import Pin
from tests.ssh.keys import Keypair, local


class OddSession(asyncssh.SSHServerSession[bytes]):
    """Answers each command with its own text and status 0."""

    def __init__(self, asked: list[str]) -> None:
        self.asked = asked
        self.chan: asyncssh.SSHServerChannel[bytes] | None = None

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self.chan = chan
        self.asked.append("open")

    def exec_requested(self, command: str) -> bool:
        self.asked.append(command)
        return True

    def session_started(self) -> None:
        assert self.chan is not None
        self.chan.write(self.asked[-1].encode())
        self.chan.exit(0)


class OddServer(asyncssh.SSHServer):
    """Refuses a session with the reason that `refuse` gives for its number (0, 1, 2 …), if it gives one."""

    def __init__(self, session: type[OddSession] = OddSession) -> None:
        self.asked: list[str] = []
        self.sessions: list[OddSession] = []
        self.refuse: Callable[[int], int | None] = lambda _number: None
        self.release = asyncio.Event()
        self.release.set()
        self._session = session
        self._number = -1
        self.conn: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self.conn = conn

    def begin_auth(self, username: str) -> bool:
        return False

    async def _one(self) -> OddSession:
        self._number += 1
        code = self.refuse(self._number)
        await self.release.wait()
        if code is not None:
            self.asked.append("refused")
            raise asyncssh.ChannelOpenError(code, "not now")
        self.sessions.append(self._session(self.asked))
        return self.sessions[-1]

    def session_requested(self) -> object:  # type: ignore[override]
        return self._one()

    @contextlib.asynccontextmanager
    async def link(self, key: Keypair) -> AsyncIterator[Link]:
        host_key = asyncssh.generate_private_key("ssh-ed25519")
        acceptor = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=lambda: self,
            server_host_keys=[host_key],
            encoding=None,
            line_editor=False,
        )
        pin = Pin(host_key.get_fingerprint("sha256"), "ssh-ed25519")
        link = await dial(local(acceptor.get_port()), pin, key.private)
        try:
            yield link
        finally:
            await link.close()
            acceptor.close()
            await acceptor.wait_closed()
