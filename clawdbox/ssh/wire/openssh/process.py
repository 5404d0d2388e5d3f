"""One session over a control socket: an `ssh` process with the face of an asyncssh channel, for `ByteSession`."""

import asyncio
import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import asyncssh

from clawdbox.ssh.wire.local_pipes import Pipes
from clawdbox.ssh.wire.local_pty import Terminal
from clawdbox.ssh.wire.model import ChannelRefused, LinkLost
from clawdbox.ssh.wire.session import ByteSession
from clawdbox.ssh.wire.slots import Full
from clawdbox.ssh.wire.text import one_line

_OPENED = "master session id:"
_STATUS = re.compile(r"Received exit status from master (\d+)")
_FULL = "Session open refused by peer"
_REFUSED = "session request failed"
_MOST_LOG = 64 * 1024


class Log:
    """What an `ssh` process says about itself (`-E`), read from a FIFO while it lives, so that it is apart from what
    the command on the server writes to its stderr. Only the newest part is kept."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path, 0o600)
        self.path = path
        self.text = ""
        self.ended = asyncio.Event()
        self._changed = asyncio.Event()
        self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        asyncio.get_running_loop().add_reader(self._descriptor, self._readable)

    def _readable(self) -> None:
        try:
            data = os.read(self._descriptor, _MOST_LOG)
        except BlockingIOError:
            return
        if data:
            self.text = (self.text + data.decode("utf-8", "replace"))[-_MOST_LOG:]
        else:
            self.close()
        self._changed.set()

    async def says(self, words: str) -> bool:
        """True once the process has said so, False when it ended without."""
        while words not in self.text:
            if self.ended.is_set():
                return False
            self._changed.clear()
            await self._changed.wait()
        return True

    def close(self) -> None:
        if self.ended.is_set():
            return
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)
        self.path.unlink(missing_ok=True)
        self.ended.set()
        self._changed.set()


class ProcessChannel:
    """What `ByteSession` asks of a channel, done by an `ssh` process. Signals have no way through a control socket."""

    def __init__(self, session: ByteSession, log: Log, size: tuple[int, int] | None) -> None:
        self._session = session
        self._log = log
        self._process: Pipes | Terminal
        if size is None:
            self._process = Pipes(self._from_pipes, self._room)
        else:
            self._process = Terminal(*size, self._from_terminal, self._room)
        self._pid: int | None = None
        self._spawning: asyncio.Task[int] | None = None

    async def start(self, argv: list[str], env: dict[str, str], folder: Path) -> None:
        """Returns once the server has opened the session. Raises Full, ChannelRefused and LinkLost: nothing was run."""
        if isinstance(self._process, Pipes):
            self._pid = await self._process.spawn(argv, env, folder)
        else:
            self._pid = await self._process.spawn(argv[0], argv, env, folder)
        try:
            opened = await self._log.says(_OPENED)
        except BaseException:
            await self._drop()
            raise
        if opened:
            self._session.connection_made(cast(Any, self))
            return
        await self._drop()
        raise _why_not(self._log.text)

    async def to_the_end(self, master_lives: Callable[[], Any]) -> None:
        """Tell the session how its process ended; without a status from a living master it died by a signal."""
        await self._process.exited.wait()
        if isinstance(self._process, Pipes):
            await self._process.drained.wait()
        await self._log.ended.wait()
        status = _STATUS.search(self._log.text)
        if status is not None:
            self._session.exit_status_received(int(status[1]))
        elif not self._session.hung_up and await master_lives():
            self._session.exit_signal_received("unknown", False, "", "")
        self._process.close()
        self._session.connection_lost(None)

    async def _drop(self) -> None:
        self.abort()
        await self._process.exited.wait()
        self._process.close()
        self._log.close()

    def _from_pipes(self, data: bytes, is_stderr: bool) -> None:
        self._session.data_received(data, asyncssh.EXTENDED_DATA_STDERR if is_stderr else None)

    def _from_terminal(self, data: bytes) -> None:
        self._session.data_received(data, None)

    def _room(self, there_is: bool) -> None:
        if there_is:
            self._session.resume_writing()
        else:
            self._session.pause_writing()

    # What ByteSession calls

    def pause_reading(self) -> None:
        self._process.pause()

    def resume_reading(self) -> None:
        self._process.resume()

    def write(self, data: bytes) -> None:
        self._process.write(data)

    def write_eof(self) -> None:
        self._process.write_eof()

    def change_terminal_size(self, cols: int, rows: int) -> None:
        self._process.resize(cols, rows)

    def send_signal(self, name: str) -> None:
        """`ending` kills what runs by a second command instead."""

    def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        if self._pid is not None and not self._process.exited.is_set():
            with suppress(ProcessLookupError):
                os.kill(self._pid, 9)


def _why_not(log: str) -> Exception:
    if _FULL in log:
        return Full()
    if _REFUSED in log:
        said = next((line for line in log.splitlines() if _REFUSED in line), "")
        return ChannelRefused(f"The server refused: {one_line(said.partition(_REFUSED)[2].lstrip(': '))}.")
    return LinkLost("The connection ended.")
