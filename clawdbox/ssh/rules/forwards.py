"""Which forwards may be, and on which port of the box a web app is shown."""

import ipaddress
import re
from collections.abc import Collection, Sequence

from clawdbox.errors import Conflict, Invalid
from clawdbox.ssh.model.forwards import Forward, ForwardKind, ForwardState, ForwardWish, PortUse

MAX_PER_LEASE = 20
FIRST_FREE_PORT = 1024

# state → states it may become
TRANSITIONS: dict[ForwardState, frozenset[ForwardState]] = {
    ForwardState.OPEN: frozenset({ForwardState.ENDED}),
    ForwardState.ENDED: frozenset(),
}
END_REASONS = ("closed", "session_closed", "refused", "box_crashed")

_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*", re.IGNORECASE)
_HOST_HEADER = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]{1,253})(:[0-9]{1,5})?", re.IGNORECASE)


def checked(wish: ForwardWish) -> ForwardWish:
    """The wish in one spelling. Raises Invalid."""
    host = target_host(wish.target_host)
    if wish.kind is ForwardKind.WEB:
        header, lax = _host_header(wish.host_header), wish.scheme == "https" and wish.any_certificate
        return ForwardWish(wish.kind, wish.target_port, host, None, wish.scheme, header, lax)
    if wish.bound_port is not None and wish.bound_port < FIRST_FREE_PORT:
        raise port_privileged()
    return ForwardWish(wish.kind, wish.target_port, host, wish.bound_port)


def target_host(text: str) -> str:
    """A name or address as the *server* will look it up. Raises Invalid."""
    name = text.strip().rstrip(".").lower()
    bare = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        pass
    if len(name) > 253 or not _NAME.fullmatch(name):
        raise Invalid(
            "target_host", "Give a name or an address as the server itself would use it, such as localhost."
        )
    return name


def _host_header(text: str | None) -> str | None:
    if text is None or not text.strip():
        return None
    if not _HOST_HEADER.fullmatch(text.strip()):
        raise Invalid("host_header", "This is a name with an optional port, such as app.test:3000.")
    return text.strip().lower()


def check_room(forwards: Sequence[Forward]) -> None:
    """Raises Conflict when the lease has all that it may have."""
    if sum(forward.is_open for forward in forwards) >= MAX_PER_LEASE:
        raise Conflict(
            "forward_limit_reached", f"{MAX_PER_LEASE} ports are forwarded here. End one of them first."
        )


def web_ports(
    span: Sequence[int], busy: Collection[int], uses: Sequence[PortUse], wanted: PortUse
) -> list[tuple[int, bool]]:
    """(port, whether another app was shown there before), the best first.

    A browser keeps an app's storage, cache and workers by its origin, thus by the port: the same app gets its old
    port again, another one a port that nothing was shown on, and only then the one that was left longest ago.
    `uses` are the last uses of ports, the oldest first.
    """
    last = {use.bound_port: use for use in uses}
    same = [port for port, use in last.items() if _is_same(use, wanted)]
    never = [port for port in span if port not in last]
    others = [port for port in last if port not in same]
    found: list[tuple[int, bool]] = []
    for ports, foreign in ((same[::-1], False), (never, False), (others, True)):
        found += [(port, foreign) for port in ports if port in span and port not in busy]
    return found


def _is_same(use: PortUse, wanted: PortUse) -> bool:
    return (use.connection_id, use.target_host, use.target_port) == (
        wanted.connection_id,
        wanted.target_host,
        wanted.target_port,
    )


def no_web_port(span: Sequence[int]) -> Conflict:
    return Conflict(
        "web_ports_in_use",
        f"All ports from {span[0]} to {span[-1]} of the box are in use. End another forward, or raise "
        "forward_web_ports in config.toml.",
    )


def port_privileged() -> Invalid:
    return Invalid(
        "bound_port",
        f"Ports below {FIRST_FREE_PORT} belong to the system. Choose a higher one, or leave it out for any free one.",
        code="port_privileged",
    )


def port_in_use(port: int | None) -> Conflict:
    return Conflict(
        "port_in_use",
        f"Something on the box already listens on port {port}. Choose another one, or leave it out for any free one.",
        port=port,
    )
