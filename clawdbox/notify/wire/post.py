"""One HTTP request: to a judged address, in bounded time, never led on to elsewhere, and its body never read."""

import ssl
from collections.abc import Iterable
from typing import Any

import httpcore

from clawdbox.notify.model import Answer, Unreached
from clawdbox.notify.wire.dial import Headers, Lookup, Reach, addresses, look_up

_AGENT = ("user-agent", "clawdbox")


async def post(
    url: str, headers: Headers, body: bytes, reach: Reach, tls: ssl.SSLContext, lookup: Lookup = look_up
) -> Answer:
    """Raises Unreached; the caller limits the time."""
    backend = _Judged(reach, encrypted=url.startswith("https:"), lookup=lookup)
    pool = httpcore.AsyncConnectionPool(
        ssl_context=tls, max_keepalive_connections=0, http2=False, network_backend=backend
    )
    length = ("content-length", str(len(body)))
    try:
        async with pool, pool.stream("POST", url, headers=[_AGENT, length, *headers], content=body) as got:
            told = {name.lower(): value for name, value in got.headers}.get(b"retry-after")
            return Answer(got.status, told.decode("latin-1") if told else None)
    except httpcore.ConnectError as error:
        raise Unreached("tls_failed" if _is_tls(error) else "connect_failed") from None
    except httpcore.TimeoutException:
        raise Unreached("timed_out") from None
    except (httpcore.NetworkError, httpcore.ProtocolError):
        raise Unreached("protocol_error") from None
    finally:
        await backend.close()


def _is_tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False


class _Judged(httpcore.AsyncNetworkBackend):
    """Connects to what the look-up gave and the judgement left, so that a second look-up cannot lead elsewhere."""

    def __init__(self, reach: Reach, *, encrypted: bool, lookup: Lookup) -> None:
        self._reach = reach
        self._encrypted = encrypted
        self._lookup = lookup
        self._inner = httpcore.AnyIOBackend()
        self._opened: list[httpcore.AsyncNetworkStream] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        refused: httpcore.NetworkError = httpcore.ConnectError()
        for ip in await addresses(host, port, self._reach, encrypted=self._encrypted, lookup=self._lookup):
            try:
                stream = await self._inner.connect_tcp(ip, port, timeout)
            except httpcore.NetworkError as error:
                refused = error
            else:
                self._opened.append(stream)
                return stream
        raise refused

    async def close(self) -> None:
        """Also what was given up in the middle of a handshake, which nobody else closes."""
        for stream in self._opened:
            await stream.aclose()
