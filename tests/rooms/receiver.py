"""What notifications reach in tests: an HTTP server that does as a test says, and a browser that can read a push."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import http_ece
import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

Json = dict[str, Any]
Act = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Got(msgspec.Struct, frozen=True):
    """One request as it came in."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Json:
        found: Json = msgspec.json.decode(self.body)
        return found


class Receiver:
    """Answers 200, or what is next in `answers`: a status, a status with headers, or a behaviour of its own."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.connections = 0
        self.answers: list[int | tuple[int, dict[str, str]] | Act] = []
        self.always: int | Act = 200
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            self.got.append(await _request(reader))
            answer = self.answers.pop(0) if self.answers else self.always
            if callable(answer):
                await answer(reader, writer)
            else:
                status, headers = answer if isinstance(answer, tuple) else (answer, {})
                lines = [f"HTTP/1.1 {status} x", "content-length: 0", "connection: close"]
                lines += [f"{name}: {value}" for name, value in headers.items()]
                writer.write("\r\n".join([*lines, "", ""]).encode())
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the other side had enough
        finally:
            writer.close()


async def _request(reader: asyncio.StreamReader) -> Got:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)
    }
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Got(head[0].split()[1], headers, body)


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await server.wait_closed()


class Browser:
    """A browser's half of Web Push; another hand's implementation reads what came."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._secret = b"0123456789abcdef"

    @property
    def p256dh(self) -> str:
        point = self._key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        return base64.urlsafe_b64encode(point).rstrip(b"=").decode()

    @property
    def auth(self) -> str:
        return base64.urlsafe_b64encode(self._secret).rstrip(b"=").decode()

    def read(self, got: Got) -> Json:
        assert got.headers["content-encoding"] == "aes128gcm"
        plain = http_ece.decrypt(
            got.body, private_key=self._key, auth_secret=self._secret, version="aes128gcm"
        )
        message: Json = msgspec.json.decode(plain)
        return message
