"""Decisions about host certificate authorities and revoked host keys (document 04, 4.2)."""

import base64
import binascii
import hashlib
from collections.abc import Iterable
from datetime import datetime

import msgspec

from clawdbox import names
from clawdbox.errors import Conflict, Invalid
from clawdbox.ssh.model import HostAuthority, MarkKind
from clawdbox.ssh.rules import host_patterns

MAX_LIVING = 100
_MOST_KEY = 16 * 1024
_MARKERS = {"@cert-authority": MarkKind.AUTHORITY, "@revoked": MarkKind.REVOKED}


class Mark(msgspec.Struct, frozen=True):
    """What a person adds, checked."""

    kind: MarkKind
    label: str
    patterns: str
    key_type: str
    public_key: str
    fingerprint: str


class PublicKey(msgspec.Struct, frozen=True):
    """`text` is type and base64."""

    type: str
    text: str
    fingerprint: str


def public_key(key_type: str, encoded: str) -> PublicKey | None:
    """What two words of known_hosts are, when they are a public key: the base64 must begin with the type (RFC 4253, 6.6)."""
    if len(encoded) > _MOST_KEY or not key_type.isascii() or "-cert-" in key_type:
        return None
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None
    length = int.from_bytes(blob[:4], "big")
    if length != len(key_type) or blob[4 : 4 + length] != key_type.encode() or len(blob) < 8 + length:
        return None
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return PublicKey(key_type, f"{key_type} {encoded}", f"SHA256:{digest}")


def mark(kind: MarkKind, label: str, patterns: str, text: str) -> Mark:
    """What is added, from the words of a person. Raises Invalid naming the field.

    `text` is a public key's file, or a whole line of known_hosts, whose marker and patterns then count where none is given.
    """
    words = text.split()
    if words and words[0] in _MARKERS:
        kind, words = _MARKERS[words[0]], words[1:]
        if words:
            patterns, words = patterns or words[0], words[1:]
    key = public_key(words[0], words[1]) if len(words) >= 2 else None
    if key is None:
        raise Invalid(
            "public_key",
            "This is no public key. Paste the line of the authority's .pub file, such as ssh-ed25519 AAAA….",
        )
    comment = " ".join(words[2:])
    named = names.label(label or names.printable(comment, names.MAX_LABEL).lstrip("-") or "Host authority")
    return Mark(kind, named, host_patterns.checked(patterns), key.type, key.text, key.fingerprint)


def check_new(new: Mark, living: Iterable[HostAuthority]) -> None:
    """Raises Conflict `authority_exists` and `authority_limit_reached`."""
    known = list(living)
    if any(
        (one.kind, one.fingerprint, one.patterns) == (new.kind, new.fingerprint, new.patterns)
        for one in known
    ):
        raise Conflict("authority_exists", "This key is there already, for the same hosts.")
    if len(known) >= MAX_LIVING:
        raise Conflict("authority_limit_reached", f"You have {len(known)} of these. Remove one first.")


def removed(authority: HostAuthority, now: datetime) -> HostAuthority:
    return msgspec.structs.replace(authority, removed_at=now)


def trusted(living: Iterable[HostAuthority], host: str, port: int) -> list[HostAuthority]:
    """The authorities whose certificates count for this host."""
    return [one for one in living if one.kind is MarkKind.AUTHORITY and _means(one, host, port)]


def revoked(living: Iterable[HostAuthority], host: str, port: int) -> list[HostAuthority]:
    """The keys that are trusted for this host no more, whatever says otherwise."""
    return [one for one in living if one.kind is MarkKind.REVOKED and _means(one, host, port)]


def _means(authority: HostAuthority, host: str, port: int) -> bool:
    return host_patterns.speaks_of(authority.patterns, host, port)
