"""Bytes that no handler ever sees (trailers, chunk extensions, pings) end the connection before they fill the memory."""

import asyncio
import io
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from tests.waiting import eventually
from tests.web.served import API, Client, Served

ENOUGH = 32 * 1_048_576
HEAD = "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n{more}\r\n"


@asynccontextmanager
async def connected(served: Served) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.web.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


def head(served: Served, path: str, *lines: str) -> bytes:
    host = f"127.0.0.1:{served.web.port}"
    return HEAD.format(path=path, host=host, more="".join(f"{line}\r\n" for line in lines)).encode()


async def is_cut_off(writer: asyncio.StreamWriter, piece: bytes) -> bool:
    """Whether the box ends the connection before it has taken all."""
    try:
        for _ in range(ENOUGH // len(piece)):
            writer.write(piece)
            await writer.drain()
    except ConnectionError:
        return True
    return False


@pytest.mark.parametrize(
    "begin, piece",
    [
        (b"2\r\n{}\r\n0\r\n", b"A: b\r\n" * 10_000),
        (b"2\r\n{}\r\n0\r\nA: ", b"a" * 60_000),
        (b"2;", b"a" * 60_000),
    ],
    ids=["trailers", "one long trailer", "a chunk's extension"],
)
async def test_what_stands_around_a_strangers_body_is_bounded(
    served: Served, begin: bytes, piece: bytes
) -> None:
    async with connected(served) as (_, writer):
        writer.write(head(served, f"{API}/auth/pair", "Transfer-Encoding: chunked") + begin)
        assert await is_cut_off(writer, piece)


async def test_a_body_may_come_byte_by_byte(served: Served, script: Client) -> None:
    body = b'{"label": "' + b" " * 40_000 + b'slow"}'
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\nA-Trailer: is let pass\r\n\r\n"
    login = f"authorization: {script.headers['authorization']}"
    async with connected(served) as (reader, writer):
        writer.write(head(served, f"{API}/keys", "Transfer-Encoding: chunked", login) + chunks)
        assert await reader.readline() == b"HTTP/1.1 422 Unprocessable Entity\r\n"


async def test_a_socket_that_pings_and_takes_no_pong_is_dropped(served: Served, script: Client) -> None:
    upgrade = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13")
    key, login = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", script.headers["authorization"]
    request = head(served, f"{API}/events/live", *upgrade, key, f"authorization: {login}")
    ping = struct.pack("!BBI", 0x89, 0x80 | 125, 0) + b"x" * 125
    async with connected(served) as (reader, writer):
        writer.write(request.replace(b"POST", b"GET", 1))
        assert await reader.readline() == b"HTTP/1.1 101 Switching Protocols\r\n"
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        assert await is_cut_off(writer, ping * 500)


async def test_a_client_that_leaves_in_the_middle_is_no_fault_of_the_box(
    served: Served, script: Client, log: io.StringIO
) -> None:
    login = f"authorization: {script.headers['authorization']}"
    for path in (f"{API}/auth/pair", f"{API}/keys"):
        async with connected(served) as (_, writer):
            writer.write(head(served, path, "Content-Length: 100", login) + b'{"label"')
            await writer.drain()
            await asyncio.sleep(0.1)
    await eventually(lambda: log.getvalue().count('"web.request"') == 2)
    assert '"error"' not in log.getvalue()


async def test_a_large_head_behind_a_request_that_is_being_answered_is_no_fault_of_the_box(
    served: Served, log: io.StringIO
) -> None:
    first = head(served, "/health").replace(b"POST", b"GET", 1)
    async with connected(served) as (reader, writer):
        writer.write(first + first.removesuffix(b"\r\n") + b"A: b\r\n" * 20_000)
        with suppress(ConnectionError):
            await reader.read()
    await eventually(lambda: '"web.request"' in log.getvalue())
    assert '"error"' not in log.getvalue()
