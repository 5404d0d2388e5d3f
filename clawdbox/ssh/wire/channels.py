"""The two faces of an open channel: a command's output, and a terminal."""

import asyncio

from clawdbox.ssh.wire.session import ByteSession


class ExecChannel:
    """A running command. `next` gives its output in the order in which it came."""

    def __init__(self, session: ByteSession, command: str, pty: bool) -> None:
        self.session = session
        self.command = command
        self.pty = pty

    async def next(self, linger_s: float | None = None) -> tuple[str, bytes] | None:
        """("stdout" | "stderr", bytes), or None at the end. For `linger_s` see ByteSession.next."""
        return await self.session.next(linger_s)

    @property
    def exit_status(self) -> int | None:
        return self.session.exit_status

    @property
    def exit_signal(self) -> str | None:
        return self.session.exit_signal

    def signal(self, name: str) -> None:
        self.session.signal(name)

    def done(self) -> None:
        """Everything was read, and nobody stops it any more."""

    def close(self) -> None:
        self.session.close()


class PtyChannel:
    """A login shell on a terminal of its own."""

    def __init__(self, session: ByteSession) -> None:
        self._session = session
        self._writing = asyncio.Lock()

    async def read(self) -> bytes:
        """The next output, or b"" when the terminal has ended. A slow reader slows the server down."""
        piece = await self._session.next()
        return piece[1] if piece is not None else b""

    async def write(self, data: bytes) -> None:
        """Type `data`; waits while the server does not take it. BrokenPipeError when the terminal has ended."""
        async with self._writing:
            for start in range(0, len(data), 32 * 1024):
                self._session.write(data[start : start + 32 * 1024])
                await self._session.drain()

    def resize(self, cols: int, rows: int) -> None:
        self._session.resize(cols, rows)

    def signal(self, name: str) -> None:
        self._session.signal(name)

    @property
    def exit_status(self) -> int | None:
        """None while it runs, and for ever if the server never told."""
        return self._session.exit_status

    @property
    def exit_signal(self) -> str | None:
        return self._session.exit_signal

    @property
    def is_open(self) -> bool:
        return not self._session.closed.is_set()

    async def wait_closed(self) -> None:
        await self._session.closed.wait()

    def close(self) -> None:
        """Hang up: the foreground processes get SIGHUP, as when a terminal window is closed."""
        self._session.signal("HUP")
        self._session.close()
