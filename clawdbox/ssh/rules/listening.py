"""From what a server says of its sockets to a list of ports to tap."""

import ipaddress
import re
from collections.abc import Iterator

from clawdbox.names import printable
from clawdbox.ssh.model.forwards import Listening

# `ss` says which program it is; where there is none, the kernel's own tables say at least the port.
PROBE = "sh -c 'PATH=$PATH:/usr/sbin:/sbin; ss -ltnpH 2>/dev/null || cat /proc/net/tcp /proc/net/tcp6 2>/dev/null'"
MOST = 100
_PROCESS = re.compile(r'users:\(\("([^"]{1,64})"')
_ROW = re.compile(r"\s*\d+: ([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} 0A ")


def parse(text: str) -> list[Listening]:
    """What `PROBE` printed, one entry a port, in the order of ports. Lines that say something else are let pass."""
    found: dict[int, Listening] = {}
    for address, port, process in _sockets(text):
        before = found.get(port)
        now = _listening(address, port, process)
        if before is None or (now.public and not before.public):
            found[port] = now if now.process or before is None else _named(now, before.process)
    return [found[port] for port in sorted(found)][:MOST]


def _named(one: Listening, process: str | None) -> Listening:
    return Listening(one.port, one.host, process, one.public)


def _sockets(text: str) -> Iterator[tuple[str, int, str | None]]:
    for line in text.splitlines():
        if match := _ROW.match(line):
            yield _address(match[1]), int(match[2], 16), None
        elif line.startswith("LISTEN"):
            fields = line.split()
            address, _, port = fields[3].rpartition(":") if len(fields) > 3 else ("", "", "")
            if port.isascii() and port.isdigit() and 0 < int(port) < 65536:
                process = _PROCESS.search(line)
                yield (
                    address.strip("[]").partition("%")[0],
                    int(port),
                    printable(process[1], 64) if process else None,
                )


def _address(digits: str) -> str:
    """The kernel prints addresses as words in the machine's byte order, little-endian wherever this is met."""
    raw = bytes.fromhex(digits)
    words = [raw[at : at + 4][::-1] for at in range(0, len(raw), 4)]
    return str(ipaddress.ip_address(b"".join(words)))


def _listening(address: str, port: int, process: str | None) -> Listening:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:  # `*`, which is every address
        return Listening(port, "localhost", process, True)
    mapped = getattr(ip, "ipv4_mapped", None)
    ip = mapped or ip
    if ip.is_unspecified:
        return Listening(port, "localhost", process, True)
    if ip.is_loopback:
        host = "localhost" if str(ip) in ("127.0.0.1", "::1") else str(ip)
        return Listening(port, host, process, False)
    return Listening(port, str(ip), process, True)
