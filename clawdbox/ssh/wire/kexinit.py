"""Reading what algorithms a server offers, from the plain bytes of its first packet (RFC 4253, 7.1). Pure.

A server that shares no algorithm hangs up, often before asyncssh has come to that conclusion itself; its offer was
sent before, and tells why.
"""

from collections.abc import Sequence

_KEXINIT = 20
_LONGEST = 32 * 1024
_KINDS = ("key exchange", "host key type", "cipher", "cipher")
_MARKERS = ("ext-info-", "kex-strict-")


def offer(after_version: bytes) -> list[list[str]] | None:
    """The name lists of a KEXINIT packet: key exchange, host keys, ciphers there and back, MACs, … None if it is none."""
    length = int.from_bytes(after_version[:4], "big")
    payload = after_version[5 : 4 + length]
    if not 17 < length <= _LONGEST or len(after_version) < 4 + length or payload[:1] != bytes([_KEXINIT]):
        return None
    lists, rest = [], payload[17:]
    for _ in range(8):
        size = int.from_bytes(rest[:4], "big")
        if len(rest) < 4 + size:
            return None
        lists.append(rest[4 : 4 + size].decode("ascii", "replace").split(","))
        rest = rest[4 + size :]
    return lists


def nothing_in_common(theirs: Sequence[Sequence[str]] | None, ours: Sequence[Sequence[str]]) -> str | None:
    """The first kind of algorithm in which no name is shared, with what the server offers; None if there is none.

    `ours` has key exchange, host keys and ciphers, in this order.
    """
    if theirs is None:
        return None
    for kind, there, here in zip(_KINDS, theirs, (*ours, ours[-1]), strict=False):
        real = [name for name in there if not name.startswith(_MARKERS)]
        if not set(real) & set(here):
            return f"the server's only {kind} is {', '.join(real) or 'none'}"
    return None
