"""From a host name to a connected socket whose peer was judged: no address is dialled that was not looked at."""

import asyncio
import socket
from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest
from time import perf_counter
from typing import Any

from clawdbox.net import ssh_address_verdict
from clawdbox.ssh.wire import diagnose
from clawdbox.ssh.wire.model import DialFailure, Target

Judge = Callable[[str, int, int | None, bool], str | None]
Address = tuple[int, tuple[Any, ...]]

_MOST_ADDRESSES = 8
_MOST_UNANSWERED_LOOKUPS = 16
_lookups_under_way: set[asyncio.Future[Any]] = set()


async def connect(
    target: Target, timeout: float, judge: Judge = ssh_address_verdict
) -> tuple[socket.socket, float]:
    """A non-blocking socket connected to one of the host's permitted addresses, within `timeout` seconds in all;
    with it, how long that one connect took in seconds, which is a round trip."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    addresses = permitted(await _resolve(target, timeout), target, judge)
    failures: list[OSError] = []
    for index, address in enumerate(addresses):
        begun = perf_counter()  # the loop's own clock may tick in whole milliseconds
        share = (deadline - loop.time()) / (len(addresses) - index)
        try:
            sock = await _connect_one(address, max(share, 0.05))
        except OSError as error:
            failures.append(error)
        else:
            return sock, perf_counter() - begun
    raise diagnose.no_connection(target, failures)


async def _resolve(target: Target, timeout: float) -> list[Address]:
    """Every address of the host. A look-up cannot be stopped once begun, so only few may be pending at once."""
    if len(_lookups_under_way) >= _MOST_UNANSWERED_LOOKUPS:
        raise diagnose.no_name(target, TimeoutError())
    loop = asyncio.get_running_loop()
    lookup = asyncio.ensure_future(
        loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    )
    _lookups_under_way.add(lookup)
    lookup.add_done_callback(_lookup_done)
    try:
        found = await asyncio.wait_for(asyncio.shield(lookup), timeout)
    except (TimeoutError, OSError, UnicodeError) as error:
        raise diagnose.no_name(target, error) from None
    return [(family, tuple(address)) for family, _, _, _, address in found]


def _lookup_done(lookup: asyncio.Future[Any]) -> None:
    _lookups_under_way.discard(lookup)
    if not lookup.cancelled():
        lookup.exception()


def permitted(found: Sequence[Address], target: Target, judge: Judge) -> list[Address]:
    """The addresses that may be dialled, the two families taking turns; DialFailure when none is left."""
    reasons: list[str] = []
    good: list[Address] = []
    for family, address in dict.fromkeys(found):
        ip = str(address[0])
        reason = judge(ip, target.port, target.own_port, target.allow_loopback)
        if reason is None:
            good.append((family, address))
        else:
            reasons.append(f"{ip}: {reason}")
    if not good:
        raise _refusal([str(address[0]) for _, address in found], reasons, target, judge)
    return _alternating(good)[:_MOST_ADDRESSES]


def _refusal(ips: Iterable[str], reasons: list[str], target: Target, judge: Judge) -> DialFailure:
    would_help = not target.allow_loopback and any(
        judge(ip, target.port, target.own_port, True) is None for ip in ips
    )
    return diagnose.address_refused(target, reasons, would_help)


def _alternating(addresses: Sequence[Address]) -> list[Address]:
    """Keeps the resolver's order, but a dead family costs at most every other attempt."""
    first = [a for a in addresses if a[0] == addresses[0][0]]
    other = [a for a in addresses if a[0] != addresses[0][0]]
    return [a for pair in zip_longest(first, other) for a in pair if a is not None]


async def _connect_one(address: Address, timeout: float) -> socket.socket:
    sock = socket.socket(address[0], socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.wait_for(asyncio.get_running_loop().sock_connect(sock, address[1]), timeout)
    except BaseException:
        sock.close()
        raise
    return sock
