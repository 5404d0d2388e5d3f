"""Requests to a provider: addresses are judged after the look-up, nothing is redirected, nothing is endless."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx2

from clawdbox import __version__, net
from clawdbox.accounts.login_providers.model import ProviderFailed
from clawdbox.accounts.login_providers.rules import address_allowed
from clawdbox.outward import send_to_first

Lookup = Callable[[str, int], Awaitable[list[str]]]
_MAX_ANSWER = 1024 * 1024
_TIMEOUT = httpx2.Timeout(10.0)


async def look_up(host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise ProviderFailed(f"There is no address for {host}.") from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Way(httpx2.AsyncBaseTransport):
    """To providers alone. `loopback` is the setting that allows this machine."""

    def __init__(
        self, trust: ssl.SSLContext, own_port: int | None, *, loopback: bool, lookup: Lookup = look_up
    ) -> None:
        self._inner = httpx2.AsyncHTTPTransport(verify=trust, trust_env=False)
        self._own_port = own_port
        self._loopback = loopback
        self._lookup = lookup

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if not address_allowed(str(request.url), loopback=self._loopback):
            raise ProviderFailed("The provider names an address that is not https.")
        addresses = await self._addresses(request.url.host, request.url.port or 443)
        request.extensions = {**request.extensions, "sni_hostname": request.url.host}
        request.headers["user-agent"] = f"clawdbox/{__version__}"
        request.headers["accept-encoding"] = "identity"
        response = await send_to_first(self._inner, request, addresses)
        if 300 <= response.status_code < 400:
            await response.aclose()
            raise ProviderFailed("The provider sends on to elsewhere, and the box follows nobody.")
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _Bounded(response.stream)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def _addresses(self, host: str, port: int) -> list[str]:
        found = await self._lookup(host, port)
        good = [
            ip
            for ip in found
            if net.notify_address_verdict(ip, port, self._own_port, local=True, loopback=self._loopback)
            is None
        ]
        if not good:
            raise ProviderFailed(f"The box does not ask at the address of {host}.")
        return good[:4]


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        whole = 0
        async for piece in self._inner:
            whole += len(piece)
            if whole > _MAX_ANSWER:
                raise ProviderFailed("The provider's answer was longer than the box takes.")
            yield piece

    async def aclose(self) -> None:
        await self._inner.aclose()


def timeout() -> httpx2.Timeout:
    return _TIMEOUT
