"""Sockets on which the box listens."""

import socket

from clawdbox.errors import StartRefused

_BACKLOG = 1024


def listen(host: str, port: int) -> list[socket.socket]:
    """Sockets on every address of `host`, all on one port (any free one when it is 0). Raises StartRefused."""
    try:
        return bind_all(host, port)
    except socket.gaierror as error:
        raise StartRefused(
            "host_unknown", f"The box cannot listen on {host!r}: {error}. Choose another --host."
        ) from None
    except OSError as error:
        raise StartRefused(
            "port_in_use",
            f"The box cannot listen on {host}, port {port}: {error.strerror}. Choose another --port.",
            exit_code=75,  # EX_TEMPFAIL: a port may be free a moment later, so a service manager should try again
        ) from None


def bind_all(host: str, port: int) -> list[socket.socket]:
    """The same. Raises OSError, and then holds none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            chosen = sockets[0].getsockname()[1] if sockets else port
            sockets.append(_bind(family, (address[0], chosen, *address[2:])))
    except OSError:
        for bound in sockets:
            bound.close()
        raise
    return sockets


def _bind(family: int, address: tuple[object, ...]) -> socket.socket:
    # Named TCP, else asyncio leaves Nagle's algorithm on and every answer takes 40 ms longer.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, address[0] != "::")
        bound.bind(address)
        bound.listen(_BACKLOG)
    except OSError:
        bound.close()
        raise
    bound.setblocking(False)
    return bound
