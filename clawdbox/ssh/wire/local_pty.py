"""A process of this machine on a terminal of its own."""

import asyncio
import contextlib
import fcntl
import os
import pty
import struct
import termios
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

_PIECE = 64 * 1024
_MOST_UNWRITTEN = 256 * 1024


def set_size(descriptor: int, cols: int, rows: int) -> None:
    """The kernel tells the foreground processes of a change (SIGWINCH)."""
    with contextlib.suppress(OSError, struct.error):
        fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))


def _take_terminal(slave: int) -> None:
    """In the child, before its program: a session of its own, with this terminal. (uvloop runs this before it puts
    the child's descriptors in place and before it would make a session, so neither may be relied on.)"""
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)


class Terminal:
    """The master side of a PTY on the event loop. `on_data` gets output; `pause`, `resume` are its flow control."""

    def __init__(
        self, cols: int, rows: int, on_data: Callable[[bytes], None], on_room: Callable[[bool], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._master, self._slave = pty.openpty()
        os.set_blocking(self._master, False)
        set_size(self._master, cols, rows)
        self._on_data = on_data
        self._on_room = on_room
        self._unwritten = bytearray()
        self._full = False
        self._open = True
        self._process: asyncio.subprocess.Process | None = None
        self._waiting: asyncio.Task[None] | None = None
        self.exited = asyncio.Event()
        self.drained = asyncio.Event()

    async def spawn(self, shell: str, argv: list[str], env: Mapping[str, str], cwd: Path) -> int:
        """Start a process that has this terminal for its own; its pid."""
        try:
            self._process = await asyncio.create_subprocess_exec(
                *argv,
                executable=shell,
                stdin=self._slave,
                stdout=self._slave,
                stderr=self._slave,
                env=dict(env),
                cwd=cwd,
                preexec_fn=partial(_take_terminal, self._slave),
            )
        finally:
            os.close(self._slave)
        self._waiting = asyncio.ensure_future(self._wait(self._process))
        self.resume()
        return self._process.pid

    async def _wait(self, process: asyncio.subprocess.Process) -> None:
        await process.wait()
        self.exited.set()

    @property
    def status(self) -> int | None:
        """The exit status, or minus the signal's number."""
        return self._process.returncode if self._process is not None else None

    def write_eof(self) -> None:
        """A terminal stays open for input."""

    def resume(self) -> None:
        if self._open:
            self._loop.add_reader(self._master, self._readable)

    def pause(self) -> None:
        if self._open:
            self._loop.remove_reader(self._master)

    def _readable(self) -> None:
        try:
            data = os.read(self._master, _PIECE)
        except BlockingIOError:
            return
        except OSError:  # EIO: nobody has the terminal open any more
            data = b""
        if data:
            self._on_data(data)
        else:
            self.pause()
            self.drained.set()

    def write(self, data: bytes) -> None:
        """Typed input. `on_room(False)` is called when the processes do not read it, `on_room(True)` when they do."""
        if not self._open:
            return
        self._unwritten += data
        self._writable()

    def _writable(self) -> None:
        try:
            written = os.write(self._master, self._unwritten) if self._unwritten else 0
        except BlockingIOError:
            written = 0
        except OSError:
            self._unwritten.clear()
            written = 0
        del self._unwritten[:written]
        if self._unwritten:
            self._loop.add_writer(self._master, self._writable)
        else:
            self._loop.remove_writer(self._master)
        full = len(self._unwritten) > (_PIECE if self._full else _MOST_UNWRITTEN)
        if full is not self._full:
            self._full = full
            self._on_room(not full)

    def resize(self, cols: int, rows: int) -> None:
        if self._open:
            set_size(self._master, cols, rows)

    def close(self) -> None:
        """Hangs up: what still has the terminal gets SIGHUP."""
        if self._open:
            self._loop.remove_reader(self._master)
            self._loop.remove_writer(self._master)
            self._open = False
            os.close(self._master)
            self.drained.set()
