"""One channel of the demo server: a shell or a command, and the bytes between it and the client."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import asyncssh

from clawdbox.ssh.wire.demo_home import environment, login_shell
from clawdbox.ssh.wire.demo_process import signal_group
from clawdbox.ssh.wire.local_pipes import Pipes
from clawdbox.ssh.wire.local_pty import Terminal

_DRAIN_S = 0.5


class DemoSession(asyncssh.SSHServerSession[bytes]):
    """`on_process` is told each process that was started, so that all can be ended with the connection."""

    def __init__(
        self, home: Path, on_process: Callable[[int], None], on_end: Callable[["DemoSession"], None]
    ) -> None:
        self._home = home
        self._on_process = on_process
        self._on_end = on_end
        self._chan: asyncssh.SSHServerChannel[bytes] | None = None
        self._command: str | None = None
        self._size: tuple[int, int] | None = None
        self._term = "dumb"
        self._io: Terminal | Pipes | None = None
        self._pid: int | None = None
        self._typed_early = bytearray()
        self._eof = False
        self._said = 0
        self._room = asyncio.Event()
        self._room.set()
        self.work: asyncio.Task[None] | None = None

    # What asyncssh calls

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._chan = chan

    def pty_requested(
        self, term_type: str, term_size: tuple[int, int, int, int], term_modes: Mapping[int, int]
    ) -> bool:
        self._term, self._size = term_type or "dumb", (term_size[0] or 80, term_size[1] or 24)
        return True

    def shell_requested(self) -> bool:
        return True

    def exec_requested(self, command: str) -> bool:
        self._command = command
        return True

    def session_started(self) -> None:
        self.work = asyncio.ensure_future(self._serve())

    def terminal_size_changed(self, width: int, height: int, pixwidth: int, pixheight: int) -> None:
        self._size = (width, height)
        if self._io is not None:
            self._io.resize(width, height)

    def signal_received(self, signal_name: str) -> None:
        number = getattr(signal, f"SIG{signal_name}", None)
        if isinstance(number, signal.Signals):
            self._signal(number)

    def data_received(self, data: bytes, datatype: int | None) -> None:
        if self._io is not None:
            self._io.write(data)
        else:
            self._typed_early += data  # bounded by the channel's window

    def eof_received(self) -> bool:
        self._eof = True
        if self._io is not None:
            self._io.write_eof()
        return True

    def pause_writing(self) -> None:
        self._room.clear()
        if self._io is not None:
            self._io.pause()

    def resume_writing(self) -> None:
        self._room.set()
        if self._io is not None:
            self._io.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        self._chan = None
        self._room.set()
        if isinstance(self._io, Terminal):
            self._io.close()
        elif self._io is not None:
            self._io.resume()  # so that the process can end: nobody takes its output any more, but it is read
        self._signal(signal.SIGHUP)
        self._on_end(self)

    # Inside

    async def _serve(self) -> None:
        if self._chan is None:
            return
        try:
            await self._start(self._chan.get_environment())
            assert self._io is not None
            await self._io.exited.wait()
            status = self._io.status or 0
            await self._last_words(self._io.drained)
        except (OSError, subprocess.SubprocessError) as error:
            self._to_client(f"The demo server could not start a process: {error}\r\n".encode(), True)
            status = 126
        finally:
            if self._io is not None:
                self._io.close()
        self._report(status)

    async def _start(self, asked: Mapping[str, str]) -> None:
        shell = login_shell()
        env = environment(self._home, shell, asked, os.environ)
        if self._size is None:
            pipes = Pipes(self._to_client, self._take_input)
            self._pid = await pipes.spawn([shell, "-c", self._command or shell], env, self._home)
            self._io = pipes
        else:
            terminal = Terminal(*self._size, lambda data: self._to_client(data, False), self._take_input)
            name = Path(shell).name
            argv = [f"-{name}"] if self._command is None else [name, "-c", self._command]
            self._io = terminal
            self._pid = await terminal.spawn(shell, argv, {**env, "TERM": self._term}, self._home)
            terminal.resize(*self._size)
        self._catch_up(self._io, self._pid)

    def _catch_up(self, io: Terminal | Pipes, pid: int) -> None:
        """What happened while the process was being started."""
        self._on_process(pid)
        io.write(bytes(self._typed_early))
        self._typed_early.clear()
        if self._eof:
            io.write_eof()
        if not self._room.is_set():
            io.pause()
        if self._chan is None:
            self._signal(signal.SIGHUP)

    async def _last_words(self, drained: asyncio.Event) -> None:
        """Wait for the end of the output, but not for what the ended process left in the background: half a second
        in which nothing came, though the client had room for it."""
        said = -1
        while self._chan is not None and not drained.is_set() and said != self._said:
            said = self._said
            await self._room.wait()
            try:
                async with asyncio.timeout(_DRAIN_S):
                    await drained.wait()
            except TimeoutError:
                continue

    def _report(self, status: int) -> None:
        if self._chan is None:
            return
        if status >= 0:
            self._chan.exit(status)
        else:
            self._chan.exit_with_signal(signal.Signals(-status).name.removeprefix("SIG"))

    def _to_client(self, data: bytes, is_stderr: bool) -> None:
        self._said += len(data)
        if self._chan is None or self._chan.is_closing():
            return
        if is_stderr and self._size is None:
            self._chan.write_stderr(data)
        else:
            self._chan.write(data)

    def _take_input(self, room: bool) -> None:
        if self._chan is not None:
            (self._chan.resume_reading if room else self._chan.pause_reading)()

    def _signal(self, number: int) -> None:
        if self._pid is not None and self._io is not None and self._io.status is None:
            signal_group(self._pid, number)
