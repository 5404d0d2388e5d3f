"""A port of the box's loopback, and what connects to it joined with a channel, byte for byte."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

LOOPBACK = "127.0.0.1"
_BACKLOG = 128
_PIECE = 64 * 1024
# One half has ended and the other says nothing: whoever is at its other end has most likely gone for good.
HALF_OPEN_S = 600.0
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset, which nobody takes for a regular end


class Far(Protocol):
    """The other side of a connection."""

    async def read(self, most: int = ...) -> bytes: ...
    async def write(self, data: bytes) -> None: ...
    def end(self) -> None: ...
    def close(self) -> None: ...


def bind(port: int | None) -> socket.socket:
    """A listening socket on loopback, on any free port for None. Raises OSError when the port is in use."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, port or 0))
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


async def accept(
    listener: socket.socket, most: int, serve: Callable[[socket.socket], Awaitable[None]]
) -> None:
    """Serve connections until cancelled, at most so many at once: further ones wait in the kernel's queue."""
    loop = asyncio.get_running_loop()
    room = asyncio.Semaphore(most)
    running: set[asyncio.Task[None]] = set()

    async def one(client: socket.socket) -> None:
        try:
            await serve(client)
        finally:
            client.close()
            room.release()

    try:
        while True:
            await room.acquire()
            try:
                client, _ = await loop.sock_accept(listener)
            except OSError:  # out of descriptors, most likely: those that end make room
                room.release()
                await asyncio.sleep(0.2)
                continue
            task = loop.create_task(one(client))
            running.add(task)
            task.add_done_callback(running.discard)
    finally:
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        listener.close()


async def splice(client: socket.socket, far: Far) -> None:
    """Carry bytes both ways until both halves have ended; a break of one side is a reset on the other."""
    reader, writer = await asyncio.open_connection(sock=client, limit=_PIECE)
    moved = [0]
    try:
        await _both(_up(reader, far, moved), _down(far, writer, moved), moved)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    except (OSError, TimeoutError):
        reset(client, writer)
    except BaseException:
        reset(client, writer)
        raise
    finally:
        far.close()


def reset(client: socket.socket, writer: asyncio.StreamWriter | None = None) -> None:
    """Close in a way that the client cannot take for the regular end of what it was reading."""
    with suppress(OSError):
        sock = writer.get_extra_info("socket") if writer else client
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    if writer:
        writer.transport.abort()
    else:
        client.close()


async def _both(up: Awaitable[None], down: Awaitable[None], moved: list[int]) -> None:
    tasks = {asyncio.ensure_future(up), asyncio.ensure_future(down)}
    try:
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        while pending:
            before = moved[0]
            done, pending = await asyncio.wait(pending, timeout=HALF_OPEN_S)
            for task in done:
                task.result()
            if pending and moved[0] == before:
                raise TimeoutError
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _up(reader: asyncio.StreamReader, far: Far, moved: list[int]) -> None:
    while data := await reader.read(_PIECE):
        await far.write(data)
        moved[0] += len(data)
    far.end()


async def _down(far: Far, writer: asyncio.StreamWriter, moved: list[int]) -> None:
    while data := await far.read(_PIECE):
        writer.write(data)
        await writer.drain()
        moved[0] += len(data)
    if writer.can_write_eof():
        writer.write_eof()
