"""Servers that are no good: each a few lines of asyncio on a random port of loopback."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[int]:
    """The port of a server that answers every connection with `handler`, and cleans up after it."""
    running: set[asyncio.Task[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            await handler(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            running.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await server.wait_closed()


def says(*pieces: bytes, then: str = "close") -> Handler:
    """Sends the pieces, and then closes, resets or stalls."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
        await writer.drain()
        if then == "stall":
            while await reader.read(65536):
                pass
        if then == "reset":
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    return handler


def answers(reply: bytes) -> Handler:
    """Waits for the client to speak first, then replies and closes, as a web server does."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(reply)
        await writer.drain()

    return handler


class Endless:
    """Sends the same piece for ever, as fast as it is taken; counts the bytes."""

    def __init__(self, piece: bytes, first: bytes = b"") -> None:
        self._piece, self._first = piece, first
        self.sent = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self._first)
        while True:
            writer.write(self._piece)
            self.sent += len(self._piece)
            await writer.drain()


@contextlib.contextmanager
def deaf_port() -> Iterator[int]:
    """A port whose queue of connections is full: the kernel drops every further attempt, as a firewall does."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = int(listener.getsockname()[1])
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        yield port


class Proxy:
    """Passes bytes to a real server until told to go silent: then the connection stays open, and nothing comes."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._flowing = asyncio.Event()
        self._flowing.set()

    def go_silent(self) -> None:
        self._flowing.clear()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._to)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, inner_writer))
                group.create_task(self._pass(inner_reader, writer))
        except* ConnectionError:
            pass
        finally:
            inner_writer.close()
            with contextlib.suppress(ConnectionError):
                await inner_writer.wait_closed()

    async def _pass(self, source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            await self._flowing.wait()
            to.write(data)
            await to.drain()
        to.close()
