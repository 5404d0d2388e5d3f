"""The way to a model's provider: addresses are judged after the look-up, nothing is redirected, nothing is endless.

The key is put into its header here, at the last moment: what is above this never holds it.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable

import httpx2

from clawdbox import __version__, net
from clawdbox.agents.model_providers.model import Endpoint
from clawdbox.agents.runtimes.model.failures import Cause, Failure
from clawdbox.outward import send_to_first

_MAX_ANSWER = 32 * 1024 * 1024
_MAX_LINE = 2 * 1024 * 1024  # the clients search what they have of a line again with each piece of it
_CONNECT_S = 10.0
# What is sent of what the clients of these services would send; their headers about this machine stay here.
_HEADERS = (
    "host", "connection", "content-type", "content-length", "transfer-encoding", "accept", "anthropic-version",
    "anthropic-beta",
)  # fmt: skip
OwnPort = Callable[[], int | None]


class Way(httpx2.AsyncBaseTransport):
    """Of one endpoint."""

    def __init__(self, endpoint: Endpoint, own_port: OwnPort, trust: ssl.SSLContext) -> None:
        self._endpoint = endpoint
        self._own_port = own_port
        self._inner = httpx2.AsyncHTTPTransport(verify=trust, trust_env=False)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        encrypted = request.url.scheme == "https"
        port = request.url.port or (443 if encrypted else 80)
        addresses = await self._addresses(request.url.host, port, encrypted=encrypted)
        request.headers = self._headers(request.headers)
        request.extensions = {**request.extensions, "sni_hostname": request.url.host}
        response = await send_to_first(self._inner, request, addresses)
        refused = _refused(response)
        if refused:
            await response.aclose()
            raise refused
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _Bounded(response.stream)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def _addresses(self, host: str, port: int, *, encrypted: bool) -> list[str]:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise Failure(Cause.CONNECTION, why=f"There is no address for {host}.") from error
        allowed, refused = [], ""
        for address in dict.fromkeys(str(entry[4][0]) for entry in found):
            why = net.model_address_verdict(address, port, self._own_port(), encrypted=encrypted)
            if why is None:
                allowed.append(address)
            else:
                refused = why
        if not allowed:
            raise Failure(Cause.ADDRESS, why=f"The box does not ask there: {refused}.")
        return allowed

    def _headers(self, given: httpx2.Headers) -> httpx2.Headers:
        kept = {name: given[name] for name in _HEADERS if name in given}
        kept |= {"user-agent": f"clawdbox/{__version__}", "accept-encoding": "identity"}
        if self._endpoint.key:
            key = self._endpoint.key.reveal().decode("ascii")
            if "authorization" in given:
                kept["authorization"] = f"Bearer {key}"
            if "x-api-key" in given:
                kept["x-api-key"] = key
        return httpx2.Headers(kept)


class _Bounded(httpx2.AsyncByteStream):
    """An answer that ends at the latest after 32 MiB, and each line of it after 2."""

    def __init__(self, inner: httpx2.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        whole = line = 0
        async for piece in self._inner:
            whole += len(piece)
            at = piece.rfind(b"\n")
            line = line + len(piece) if at < 0 else len(piece) - at
            if whole > _MAX_ANSWER or line > _MAX_LINE:
                raise Failure(Cause.REJECTED, why="The answer was longer than the box takes.")
            yield piece

    async def aclose(self) -> None:
        await self._inner.aclose()


def client(
    endpoint: Endpoint, own_port: OwnPort, trust: ssl.SSLContext, quiet_s: float
) -> httpx2.AsyncClient:
    """For one turn or one test. `quiet_s` is how long nothing may come before it counts as stalled."""
    return httpx2.AsyncClient(
        transport=Way(endpoint, own_port, trust),
        timeout=timeout(quiet_s),
        follow_redirects=False,
        trust_env=False,
    )


def timeout(quiet_s: float) -> httpx2.Timeout:
    return httpx2.Timeout(quiet_s, connect=_CONNECT_S)


def _refused(response: httpx2.Response) -> Failure | None:
    if 300 <= response.status_code < 400:
        place = response.headers.get("location", "elsewhere")
        return Failure(Cause.ADDRESS, why=f"It sends on to {place[:200]}, and the box follows nobody.")
    if response.headers.get("content-encoding", "identity") != "identity":
        return Failure(Cause.REJECTED, why="It answered in an encoding that was not asked for.")
    return None
