"""A process of this machine on three pipes."""

import asyncio
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast


class Pipes(asyncio.SubprocessProtocol):
    """`on_data` gets output and whether it is stderr's; `on_room(False)` says that the process does not read.

    asyncio's Process would not tell the end of a process while something in the background has its pipes; this does.
    """

    def __init__(self, on_data: Callable[[bytes, bool], None], on_room: Callable[[bool], None]) -> None:
        self._on_data = on_data
        self._on_room = on_room
        self._outputs = {1, 2}
        self._transport: asyncio.SubprocessTransport | None = None
        self.exited = asyncio.Event()
        self.drained = asyncio.Event()

    async def spawn(self, argv: Sequence[str], env: Mapping[str, str], cwd: Path) -> int:
        """Start a program in a session of its own; its pid."""
        transport, _ = await asyncio.get_running_loop().subprocess_exec(
            lambda: self,
            *argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(env),
            cwd=cwd,
            start_new_session=True,
        )
        return transport.get_pid()

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.SubprocessTransport, transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._on_data(data, fd == 2)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._outputs.discard(fd)
        if not self._outputs:
            self.drained.set()

    def process_exited(self) -> None:
        self.exited.set()

    def pause_writing(self) -> None:
        self._on_room(False)

    def resume_writing(self) -> None:
        self._on_room(True)

    # What the session calls

    @property
    def status(self) -> int | None:
        """The exit status, or minus the signal's number."""
        return self._transport.get_returncode() if self._transport is not None else None

    def write(self, data: bytes) -> None:
        stdin = self._stdin()
        if stdin is not None and data:
            stdin.write(data)

    def write_eof(self) -> None:
        stdin = self._stdin()
        if stdin is not None:
            stdin.close()

    def pause(self) -> None:
        for pipe in self._readers():
            pipe.pause_reading()

    def resume(self) -> None:
        for pipe in self._readers():
            pipe.resume_reading()

    def resize(self, cols: int, rows: int) -> None:
        """Pipes have no size."""

    def close(self) -> None:
        """Let go of the pipes; a process that still runs is killed."""
        if self._transport is not None:
            self._transport.close()

    def _stdin(self) -> asyncio.WriteTransport | None:
        pipe = self._transport.get_pipe_transport(0) if self._transport is not None else None
        return None if pipe is None or pipe.is_closing() else cast(asyncio.WriteTransport, pipe)

    def _readers(self) -> list[asyncio.ReadTransport]:
        if self._transport is None:
            return []
        pipes = [self._transport.get_pipe_transport(fd) for fd in self._outputs & {1, 2}]
        return [
            cast(asyncio.ReadTransport, pipe) for pipe in pipes if pipe is not None and not pipe.is_closing()
        ]
