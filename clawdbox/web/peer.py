"""Who is really asking: `X-Forwarded-*` counts only when a configured proxy says it."""

import ipaddress
from collections.abc import Iterable

from clawdbox.errors import StartRefused

Headers = Iterable[tuple[bytes, bytes]]
FORWARDING = frozenset(
    {
        b"forwarded",
        b"via",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-forwarded-proto",
        b"x-forwarded-server",
        b"x-real-ip",
    }
)


class Proxies:
    """Addresses or networks (`192.168.1.5`, `10.0.0.0/8`). Raises StartRefused when one is neither."""

    def __init__(self, trusted: Iterable[str]) -> None:
        try:
            self._networks = [ipaddress.ip_network(text.strip(), strict=False) for text in trusted]
        except ValueError as error:
            raise StartRefused(
                "settings_invalid", f"A value in trusted_proxies cannot be used: {error}"
            ) from None

    def resolve(self, peer: str | None, scheme: str, headers: Headers) -> tuple[str | None, str]:
        """(address of the client, scheme it used), seen through trusted proxies and not one further."""
        if not self._networks or not self._trusts(peer):
            return peer, scheme
        found = list(headers)
        proto = _last(found, b"x-forwarded-proto")
        return self._client(peer, found), proto if proto in ("http", "https") else scheme

    def _client(self, peer: str | None, headers: list[tuple[bytes, bytes]]) -> str | None:
        """From right to left: each hop was written by the one after it, so the first untrusted one is the client."""
        client = peer
        for hop in reversed(_hops(headers)):
            address = _address(hop)
            if address is None:
                break
            client = address
            if not self._trusts(address):
                break
        return client

    def _trusts(self, address: str | None) -> bool:
        try:
            ip = ipaddress.ip_address(address or "")
        except ValueError:
            return False
        return any(ip in network for network in self._networks)


def is_forwarded(headers: Headers) -> bool:
    return any(name in FORWARDING for name, _ in headers)


def _hops(headers: list[tuple[bytes, bytes]]) -> list[str]:
    texts = [value.decode("latin-1") for name, value in headers if name == b"x-forwarded-for"]
    return [hop.strip() for text in texts for hop in text.split(",")]


def _last(headers: list[tuple[bytes, bytes]], wanted: bytes) -> str | None:
    texts = [value.decode("latin-1") for name, value in headers if name == wanted]
    return texts[-1].split(",")[-1].strip().lower() if texts else None


def _address(hop: str) -> str | None:
    """`192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1` or `[2001:db8::1]:4711` → the address alone."""
    text = hop
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None
