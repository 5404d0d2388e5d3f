"""Only addresses that were judged are dialled: the name is looked up once, and what it gave is what is connected to."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import msgspec

from clawdbox.net import is_public, notify_address_verdict
from clawdbox.notify.model import Unreached

Headers = list[tuple[str, str]]
Lookup = Callable[[str, int], Awaitable[list[str]]]
_MOST_ADDRESSES = 4
_MOST_UNANSWERED_LOOKUPS = 16
_lookups_under_way: set[asyncio.Future[list[str]]] = set()


class Reach(msgspec.Struct, frozen=True):
    """What one channel may dial. `plain_http`: unencrypted to public addresses, too."""

    local: bool
    loopback: bool
    plain_http: bool
    own_port: int | None


async def look_up(host: str, port: int) -> list[str]:
    """Every address of a host, in the resolver's order. Raises Unreached."""
    if len(_lookups_under_way) >= _MOST_UNANSWERED_LOOKUPS:  # one that has begun cannot be stopped
        raise Unreached("dns_failed")
    under_way = asyncio.ensure_future(_ask(host, port))
    _lookups_under_way.add(under_way)
    under_way.add_done_callback(_asked)
    try:
        return await asyncio.shield(under_way)
    except (OSError, UnicodeError):
        raise Unreached("dns_failed") from None


async def _ask(host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _asked(lookup: "asyncio.Future[list[str]]") -> None:
    _lookups_under_way.discard(lookup)
    if not lookup.cancelled():
        lookup.exception()


async def addresses(
    host: str, port: int, reach: Reach, *, encrypted: bool, lookup: Lookup = look_up
) -> list[str]:
    """The host's addresses that may be dialled. Raises Unreached."""
    found = await lookup(host, port)
    good = [
        ip
        for ip in found
        if notify_address_verdict(ip, port, reach.own_port, local=reach.local, loopback=reach.loopback)
        is None
    ]
    if not good:
        raise Unreached("address_refused")
    if not encrypted and not reach.plain_http:
        good = [ip for ip in good if not is_public(ip)]
        if not good:
            raise Unreached("plain_http_refused")
    return good[:_MOST_ADDRESSES]


async def connect(
    host: str, port: int, reach: Reach, *, encrypted: bool, lookup: Lookup = look_up
) -> socket.socket:
    """A socket connected to one of them. Raises Unreached; the caller limits the time."""
    loop = asyncio.get_running_loop()
    for ip in await addresses(host, port, reach, encrypted=encrypted, lookup=lookup):
        sock = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            await loop.sock_connect(sock, (ip, port))
        except OSError:
            sock.close()
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise Unreached("connect_failed")
