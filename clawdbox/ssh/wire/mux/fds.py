"""Reading and writing the standard streams of a client, without ever changing how they behave for the client.

Pipes and terminals are opened anew through /proc, which makes the non-blocking mode ours alone; sockets are asked call
by call; what cannot be polled (files, and a terminal of another user) is read and written by a thread.
"""

import asyncio
import os
import socket
import stat
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

from clawdbox.ssh.wire.mux.poller import Poller

T = TypeVar("T")
_CHUNK = 64 * 1024
_FILE_CHUNK = 256 * 1024
_DEV_NULL = os.makedev(1, 3)


class Stream:
    """A descriptor that is ours to close. `read` and `write` raise OSError; a closed reader is BrokenPipeError."""

    def __init__(self, number: int, poller: Poller) -> None:
        self._number = number
        self._poller = poller
        self._in_thread = False
        self._closed = False

    @property
    def number(self) -> int:
        return self._number

    async def read(self) -> bytes:
        """The next bytes, b"" at the end."""
        return await _ready(self._read_now, lambda: self._poller.readable(self._number))

    async def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            done = await _ready(partial(self._write_now, view), lambda: self._poller.writable(self._number))
            view = view[done:]

    def write_some(self, data: bytes) -> int:
        """What goes out at once; 0 when the reader is slow."""
        try:
            return self._write_now(memoryview(data))
        except BlockingIOError:
            return 0

    def _read_now(self) -> bytes:
        return os.read(self._number, _CHUNK)

    def _write_now(self, data: memoryview) -> int:
        return os.write(self._number, data)

    def close(self) -> None:
        """Once. A thread at work keeps the number until it is done, so that it is nobody else's meanwhile."""
        if not self._closed:
            self._closed = True
            if not self._in_thread:
                os.close(self._number)


class SocketStream(Stream):
    """Non-blocking call by call."""

    def __init__(self, number: int, poller: Poller) -> None:
        super().__init__(number, poller)
        self._sock = socket.socket(fileno=number)

    def _read_now(self) -> bytes:
        return self._sock.recv(_CHUNK, socket.MSG_DONTWAIT)

    def _write_now(self, data: memoryview) -> int:
        return self._sock.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._sock.close()


class NullStream(Stream):
    async def read(self) -> bytes:
        return b""

    async def write(self, data: bytes) -> None:
        pass

    def write_some(self, data: bytes) -> int:
        return len(data)


class BlockingStream(Stream):
    """One thread for each call: it may hang for as long as a network file system does, and holds up only its own."""

    async def read(self) -> bytes:
        return await self._call(lambda: os.read(self._number, _FILE_CHUNK), self._poller.readable)

    async def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            piece = view[:4096] if self._can_wait() else view  # a pipe that is ready takes so much at once
            view = view[await self._call(partial(os.write, self._number, piece), self._poller.writable) :]

    def write_some(self, data: bytes) -> int:
        return 0

    def _can_wait(self) -> bool:
        return not stat.S_ISREG(os.fstat(self._number).st_mode)

    async def _call(self, work: Callable[[], T], ready: Callable[[int], Awaitable[None]]) -> T:
        with suppress(PermissionError):  # a file: always ready, says nobody
            await ready(self._number)
        loop = asyncio.get_running_loop()
        result: asyncio.Future[T] = loop.create_future()
        self._in_thread = True
        threading.Thread(target=self._work, args=(loop, result, work), daemon=True).start()
        return await result

    def _work(
        self, loop: asyncio.AbstractEventLoop, result: "asyncio.Future[T]", work: Callable[[], T]
    ) -> None:
        outcome: T | OSError
        try:
            outcome = work()
        except OSError as error:
            outcome = error
        try:
            loop.call_soon_threadsafe(self._done, result, outcome)
        except RuntimeError:  # the loop has ended
            os.close(self._number)

    def _done(self, result: "asyncio.Future[T]", outcome: "T | OSError") -> None:
        self._in_thread = False
        if self._closed:
            os.close(self._number)
        if result.done():
            return
        if isinstance(outcome, OSError):
            result.set_exception(outcome)
        else:
            result.set_result(outcome)


class BrokenStream(Stream):
    """Nobody is at the other end any more."""

    async def read(self) -> bytes:
        return b""

    async def write(self, data: bytes) -> None:
        raise BrokenPipeError

    def write_some(self, data: bytes) -> int:
        raise BrokenPipeError


def adopt(number: int, poller: Poller, *, write: bool) -> Stream:
    """A stream over a passed descriptor, which is closed with it."""
    try:
        info = os.fstat(number)
        if stat.S_ISSOCK(info.st_mode):
            return SocketStream(number, poller)
        if stat.S_ISCHR(info.st_mode) and info.st_rdev == _DEV_NULL:
            return NullStream(number, poller)
        if not (stat.S_ISFIFO(info.st_mode) or os.isatty(number)):
            return BlockingStream(number, poller)
        mode = os.O_WRONLY if write else os.O_RDONLY
        try:
            own = os.open(f"/proc/self/fd/{number}", mode | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except PermissionError:  # the terminal of another user, as under sudo
            return BlockingStream(number, poller)
    except OSError:  # such as ENXIO, a pipe whose reader has gone
        return BrokenStream(number, poller)
    os.close(number)
    return Stream(own, poller)


async def _ready(work: Callable[[], T], wait: Callable[[], Awaitable[None]]) -> T:
    while True:
        try:
            return work()
        except BlockingIOError:
            await wait()
