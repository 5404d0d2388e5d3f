"""From an address to a WebSocket: every address is judged before it is dialled, and no redirect is followed."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidMessage, InvalidStatus

from clawdbox import __version__, net
from clawdbox.agents.runtimes.openclaw.frames import MAX_FRAME
from clawdbox.agents.runtimes.openclaw.rules import addresses
from clawdbox.agents.runtimes.openclaw.rules.addresses import Address
from clawdbox.agents.runtimes.openclaw.wire.client import Lost

CONNECT_S = 10.0
_OPEN_S = 15.0
_PING_S = 20.0
_MOST_ADDRESSES = 4

Sock = Callable[[], Awaitable[socket.socket]]


class NotDialled(Exception):
    """The address policy says no; the text says why."""


class Line(msgspec.Struct, frozen=True):
    """A WebSocket to a gateway. `is_beside`: the other end is on this machine, which its very address shows."""

    socket: ClientConnection
    is_beside: bool


async def direct(address: Address, own_port: int | None) -> Line:
    """Raises NotDialled and Lost."""
    sock = await _tcp(address, own_port)
    beside = addresses.is_beside(str(sock.getpeername()[0]))
    return Line(await _upgrade(address, sock), beside)


async def through(address: Address, open_sock: Sock) -> Line:
    """Over a connection that somebody else makes, such as a lease. Raises Lost, and what `open_sock` raises."""
    return Line(await _upgrade(address, await open_sock()), False)


async def _tcp(address: Address, own_port: int | None) -> socket.socket:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(CONNECT_S):
            found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (TimeoutError, OSError, UnicodeError):
        raise Lost(f"nobody knows the name {address.host}") from None
    reasons, failures = [], []
    for family, _, _, _, place in found[:_MOST_ADDRESSES]:
        ip = str(place[0])
        reason = net.gateway_address_verdict(ip, address.port, own_port, encrypted=address.secure)
        if reason is not None:
            reasons.append(f"{ip}: {reason}")
            continue
        try:
            return await _connect(family, place)
        except OSError as error:
            failures.append(error)
    if not failures:
        raise NotDialled("; ".join(reasons) or "it has no address")
    if isinstance(failures[0], ConnectionRefusedError):
        raise Lost(f"nothing listens at {address.host}, port {address.port}")
    raise Lost(f"{address.host}, port {address.port}, cannot be reached")


async def _connect(family: int, place: tuple[object, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        async with asyncio.timeout(CONNECT_S):
            await asyncio.get_running_loop().sock_connect(sock, place)
    except BaseException:
        sock.close()
        raise
    return sock


async def _upgrade(address: Address, sock: socket.socket) -> ClientConnection:
    tls = ssl.create_default_context() if address.secure else None
    try:
        return await connect(
            address.url,
            sock=sock,
            ssl=tls,
            server_hostname=address.host if tls else None,
            proxy=None,
            compression=None,
            open_timeout=_OPEN_S,
            ping_interval=_PING_S,
            ping_timeout=_PING_S,
            close_timeout=1.0,
            max_size=MAX_FRAME,
            user_agent_header=f"clawdbox/{__version__}",
        )
    except BaseException as error:
        with suppress(OSError):
            sock.close()
        if isinstance(error, (ssl.SSLError, InvalidHandshake, InvalidMessage, OSError, ValueError, EOFError)):
            raise Lost(_told(error)) from None
        raise


def _told(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return "it does not speak TLS there; a gateway without TLS is reached with ws://"
    if isinstance(error, InvalidStatus):
        return f"it answered with HTTP status {error.response.status_code}: this is no OpenClaw gateway"
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    return "it does not speak WebSocket: this is no OpenClaw gateway"
