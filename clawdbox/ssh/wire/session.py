"""One SSH session channel as bytes: a bounded queue between the network and a reader who may be slow."""

import asyncio
from collections import deque
from collections.abc import Callable

import asyncssh

_SIGNALS = {
    "HUP",
    "INT",
    "QUIT",
    "ILL",
    "ABRT",
    "FPE",
    "KILL",
    "SEGV",
    "PIPE",
    "ALRM",
    "TERM",
    "USR1",
    "USR2",
}


class ByteSession(asyncssh.SSHClientSession[bytes]):
    """What the server sends waits here, at most about `high_water` bytes and one SSH window (flow control does the rest)."""

    def __init__(
        self,
        high_water: int,
        on_open: Callable[["ByteSession"], None],
        on_closed: Callable[["ByteSession"], None],
        command: str | None = None,
    ) -> None:
        self.command = command  # only of commands without a terminal
        self._high = high_water
        self._on_open = on_open
        self._on_closed = on_closed
        self._chan: asyncssh.SSHClientChannel[bytes] | None = None
        self._chunks: deque[tuple[str, bytes]] = deque()
        self._size = 0
        self._arrived = asyncio.Event()
        self._paused = False
        self._writable = asyncio.Event()
        self._writable.set()
        self.hung_up = False
        self._deaf = False
        self.opened = False
        self.closed = asyncio.Event()
        self.exited = asyncio.Event()  # set by an exit status, an exit signal or the channel's end
        self.left_open = False
        self.exit_status: int | None = None
        self.exit_signal: str | None = None

    # What asyncssh calls

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self._chan = chan
        if (
            self.hung_up
        ):  # given up while the server was still being asked: nothing was requested on the channel yet
            chan.close()
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "given up")
        self.opened = True
        self._on_open(self)

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self._chunks.append(("stdout" if datatype is None else "stderr", data))
        self._size += len(data)
        if self._size >= self._high and not self._paused and self._chan is not None:
            self._paused = True
            self._chan.pause_reading()
        self._arrived.set()

    def eof_received(self) -> bool:
        return True  # the channel's other half stays as it is; its end comes with connection_lost

    def exit_status_received(self, status: int) -> None:
        self.exit_status = status
        self.exited.set()
        self._arrived.set()

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        self.exit_signal = signal if signal in _SIGNALS else "unknown"
        self.exited.set()
        self._arrived.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()
        self.exited.set()
        self._arrived.set()
        self._writable.set()
        self._on_closed(self)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # What our side calls

    async def next(self, linger_s: float | None = None) -> tuple[str, bytes] | None:
        """The next piece of "stdout" or "stderr", or None when the channel has ended and everything was read.

        With `linger_s`, a channel whose process has exited is closed after so many seconds of silence: something the
        process left in the background holds it open, as in `sleep 600 &`. `left_open` then says so.
        """
        while not self._chunks:
            if self.closed.is_set() or self.hung_up:
                return None
            self._arrived.clear()
            try:
                async with asyncio.timeout(linger_s if self.exited.is_set() else None):
                    await self._arrived.wait()
            except TimeoutError:
                self.left_open = True
                self.close()
        name, data = self._chunks.popleft()
        self._size -= len(data)
        if self._paused and self._size <= self._high // 2 and self._chan is not None:
            self._paused = False
            self._chan.resume_reading()
        return name, data

    def write(self, data: bytes) -> None:
        if self._chan is None or self.hung_up or self.closed.is_set():
            raise BrokenPipeError("the channel has ended")
        self._chan.write(data)

    async def drain(self) -> None:
        """Wait until the server takes input again, or the channel ends."""
        await self._writable.wait()

    def write_eof(self) -> None:
        if self._chan is not None:
            self._chan.write_eof()

    def resize(self, cols: int, rows: int) -> None:
        if self._chan is not None and not self.closed.is_set():
            self._chan.change_terminal_size(cols, rows)

    def send_break(self) -> None:
        if self._chan is not None and not self.closed.is_set():
            self._chan.send_break(0)

    def no_more_output(self) -> None:
        """Tell the server that nobody reads any more, so that what writes there gets SIGPIPE (OpenSSH's PROTOCOL, 2.1)."""
        if self._chan is None or self.closed.is_set() or self._deaf:
            return
        self._deaf = True
        # asyncssh has no public word for a request of one's own.
        self._chan._send_request(b"eow@openssh.com")  # noqa: SLF001

    def signal(self, name: str) -> None:
        """Ask the server to signal the process group. There is no answer, and not every server obeys."""
        if self._chan is not None and not self.closed.is_set():
            self._chan.send_signal(name)

    def close(self) -> None:
        """Close the channel now, without waiting for the server: reading and writing end at once."""
        self.hung_up = True
        self._arrived.set()
        self._writable.set()
        if self._chan is not None and not self.closed.is_set():
            self._chan.abort()

    async def exited_within(self, seconds: float) -> bool:
        """Whether the process was seen to end within that time."""
        try:
            async with asyncio.timeout(seconds):
                await self.exited.wait()
        except TimeoutError:
            return False
        return True
