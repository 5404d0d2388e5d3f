"""HTTP to an app through a forward's channels: httpcore keeps and re-uses them, h11 reads what comes."""

import ssl
import typing
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import anyio
import httpcore
from anyio.abc import ByteStream
from anyio.streams.tls import TLSStream

from clawdbox.ssh.model.forwards import Forward

if TYPE_CHECKING:
    from clawdbox.ssh.service.live_forward import Carried, LiveForward

MAX_CHANNELS = 128
IDLE_S = 30.0
OPENING_S = 40.0


def pool(live: "LiveForward") -> httpcore.AsyncConnectionPool:
    """Connections to one app. What `LiveForward.connect` raises comes out of the request that wanted one."""
    return httpcore.AsyncConnectionPool(
        ssl_context=_context(live.row),
        max_connections=MAX_CHANNELS,
        max_keepalive_connections=16,
        keepalive_expiry=IDLE_S,
        network_backend=_Backend(live),
    )


def _context(row: Forward) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if (
        row.any_certificate
    ):  # the way to the server is SSH: only who sits on the server itself could be in between
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context


class _Backend(httpcore.AsyncNetworkBackend):
    def __init__(self, live: "LiveForward") -> None:
        self._live = live

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(_Bytes(await self._live.connect()))


class _Bytes(ByteStream):
    """A channel as anyio's TLS wants it."""

    def __init__(self, channel: "Carried") -> None:
        self.channel = channel

    async def receive(self, max_bytes: int = 65536) -> bytes:
        try:
            data = await self.channel.read(max_bytes)
        except OSError:
            raise anyio.BrokenResourceError from None
        if not data:
            raise anyio.EndOfStream
        return data

    async def send(self, item: bytes) -> None:
        try:
            await self.channel.write(item)
        except OSError:
            raise anyio.BrokenResourceError from None

    async def send_eof(self) -> None:
        self.channel.end()

    async def aclose(self) -> None:
        self.channel.close()


class _Stream(httpcore.AsyncNetworkStream):
    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            with anyio.fail_after(timeout):
                return await self._stream.receive(max_bytes)
        except anyio.EndOfStream:
            return b""
        except TimeoutError:
            raise httpcore.ReadTimeout from None
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, ssl.SSLError):
            raise httpcore.ReadError from None

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not buffer:
            return
        try:
            with anyio.fail_after(timeout):
                await self._stream.send(buffer)
        except TimeoutError:
            raise httpcore.WriteTimeout from None
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, ssl.SSLError):
            raise httpcore.WriteError from None

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        try:
            with anyio.fail_after(OPENING_S):
                wrapped = await TLSStream.wrap(
                    self._stream,
                    hostname=server_hostname,
                    ssl_context=ssl_context,
                    standard_compatible=False,
                )
        except ssl.SSLCertVerificationError as error:
            await self.aclose()
            raise NotTrusted(error.verify_message) from None
        except (ssl.SSLError, anyio.EndOfStream, anyio.BrokenResourceError, TimeoutError):
            await self.aclose()
            raise httpcore.ConnectError("The app does not speak TLS there.") from None
        return _Stream(wrapped)

    def get_extra_info(self, info: str) -> typing.Any:
        if info == "is_readable":
            inner = self._stream
            while isinstance(inner, TLSStream):
                inner = typing.cast(ByteStream, inner.transport_stream)
            return isinstance(inner, _Bytes) and inner.channel.is_readable
        return None


class NotTrusted(httpcore.ConnectError):
    """The app's certificate is of nobody whom the box knows."""
