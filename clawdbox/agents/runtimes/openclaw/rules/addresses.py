"""Where a gateway is: the address as a person writes it, and whether that is this very machine."""

import ipaddress
import re
from urllib.parse import urlsplit

import msgspec

from clawdbox import net
from clawdbox.errors import Invalid

DEFAULT_PORT = 18789  # OpenClaw's own
MAX_URL = 512
_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*/?")


class Address(msgspec.Struct, frozen=True):
    secure: bool
    host: str
    port: int
    path: str = "/"

    @property
    def url(self) -> str:
        shown = f"[{self.host}]" if ":" in self.host else self.host
        path = "" if self.path == "/" else self.path
        return f"{'wss' if self.secure else 'ws'}://{shown}:{self.port}{path}"


def parse(text: str) -> Address:
    """Raises Invalid (`url`)."""
    text = text.strip()
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise _invalid() from None
    if (
        len(text) > MAX_URL
        or not text.isprintable()
        or parts.scheme not in ("ws", "wss")
        or not parts.hostname
    ):
        raise _invalid()
    if parts.username is not None or parts.query or parts.fragment or not _PATH.fullmatch(parts.path):
        raise Invalid(
            "url", "Give the address alone, without user, `?` or `#`. A token goes into its own field."
        )
    secure = parts.scheme == "wss"
    if port is None:
        port = 443 if secure else DEFAULT_PORT
    if not port:
        raise _invalid()
    return Address(secure, net.canonical_host(parts.hostname, "url"), port, parts.path or "/")


def _invalid() -> Invalid:
    return Invalid(
        "url", f"Write the gateway's address as ws://127.0.0.1:{DEFAULT_PORT} or wss://claw.example.org."
    )


def check_dialable(address: Address, own_port: int | None) -> None:
    """Refuse (Invalid) at once what the wire would refuse later. Names are judged when they are looked up."""
    host = "127.0.0.1" if _is_localhost(address.host) else address.host
    if not _is_literal(host):
        return
    reason = net.gateway_address_verdict(host, address.port, own_port, encrypted=address.secure)
    if reason is not None:
        raise Invalid("url", f"The box does not dial this address: {reason}.", "address_refused")


def is_beside(host: str) -> bool:
    """Whether what listens there runs on this machine: a name is nowhere in particular."""
    if _is_localhost(host):
        return True
    return _is_literal(host) and (net.is_loopback(host) or net.is_own_address(host))


def _is_localhost(host: str) -> bool:
    return host == "localhost" or host.endswith(".localhost")


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
