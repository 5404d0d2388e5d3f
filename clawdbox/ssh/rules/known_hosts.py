"""Reading a pasted known_hosts file (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT): plain, hashed and marked lines."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable

import msgspec

from clawdbox import names
from clawdbox.errors import Invalid
from clawdbox.ssh.model import MarkKind
from clawdbox.ssh.rules import host_patterns
from clawdbox.ssh.rules.host_authorities import Mark, PublicKey, public_key

_MOST_LINES = 20_000
_MOST_WILD = 200
# Hashes that looking names up may take: under a second.
_MOST_HASHES = 300_000
# Steps that comparing names with wildcards may take: about two seconds.
MOST_WORK = 5_000_000
MOST_NAME = 256  # more than any host name has
_MARKERS = {"@cert-authority": MarkKind.AUTHORITY, "@revoked": MarkKind.REVOKED}
# Which of several keys of a host is pinned: the one that the box asks for first.
_PREFERRED = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")


class Hashed(msgspec.Struct, frozen=True):
    salt: bytes
    digest: bytes
    key: PublicKey


class KnownHosts(msgspec.Struct, frozen=True):
    """Keys by exact name, by patterns and by hashed name; `marks` are the lines with a marker."""

    exact: dict[str, list[PublicKey]]
    wild: list[tuple[list[str], PublicKey]]
    hashed: list[Hashed]
    marks: list[Mark]
    notes: list[str]

    @property
    def has_keys(self) -> bool:
        return bool(self.exact or self.wild or self.hashed)

    def work(self) -> int:
        """How many steps each character of a name costs that is looked up."""
        return sum(len(pattern) for patterns, _ in self.wild for pattern in patterns)


def parse(text: str) -> KnownHosts:
    """Raises Invalid `known_hosts` for what is larger than any person's file. Lines that make no sense are counted."""
    lines = text.splitlines()
    if len(lines) > _MOST_LINES:
        raise Invalid("known_hosts", f"This has {len(lines)} lines. Import at most {_MOST_LINES} at once.")
    known = KnownHosts({}, [], [], [], [])
    unread = 0
    for line in lines:
        words = line.split()
        if words and not words[0].startswith("#"):
            unread += not _take(known, words)
    if unread:
        known.notes.append(f"{unread} line(s) of known_hosts cannot be read and were left out.")
    return known


def _take(known: KnownHosts, words: list[str]) -> bool:
    """Whether a line made sense."""
    kind = _MARKERS.get(words[0])
    rest = words[1:] if kind else words
    key = public_key(rest[1], rest[2]) if len(rest) >= 3 else None
    if key is None:
        return False
    if kind:
        return _mark(known, kind, rest[0], key, " ".join(rest[3:]))
    if rest[0].startswith("|1|"):
        return _hashed(known, rest[0], key)
    for name in rest[0].lower().split(","):
        if not set(name) & set("*?!"):
            known.exact.setdefault(name, []).append(key)
    if set(rest[0]) & set("*?!"):
        if len(known.wild) >= _MOST_WILD:
            return False
        known.wild.append((rest[0].lower().split(",")[:50], key))
    return True


def _mark(known: KnownHosts, kind: MarkKind, patterns: str, key: PublicKey, comment: str) -> bool:
    label = names.printable(comment, names.MAX_LABEL).lstrip("-").strip()
    try:
        listed = host_patterns.checked(patterns)
    except Invalid:
        return False
    known.marks.append(
        Mark(
            kind,
            label or f"From known_hosts: {listed}"[: names.MAX_LABEL],
            listed,
            key.type,
            key.text,
            key.fingerprint,
        )
    )
    return True


def _hashed(known: KnownHosts, name: str, key: PublicKey) -> bool:
    _, _, salt, digest = (*name.split("|"), "", "")[:4]
    try:
        known.hashed.append(
            Hashed(base64.b64decode(salt, validate=True), base64.b64decode(digest, validate=True), key)
        )
    except (binascii.Error, ValueError):
        return False
    return True


def check_work(known: KnownHosts, hosts: int) -> None:
    """Raises Invalid when looking so many hosts up among hashed names would take long."""
    if len(known.hashed) * hosts > _MOST_HASHES:
        raise Invalid("known_hosts", "This has too many hashed names for so many hosts. Import a part of it.")


def too_wild() -> Invalid:
    return Invalid(
        "known_hosts", "This has too many names with wildcards for so many hosts. Import a part of it."
    )


def keys_of(known: KnownHosts, asked: Iterable[str]) -> list[PublicKey]:
    """Every key that stands there for one of the names, without those that are revoked, the preferred type first."""
    found: dict[str, PublicKey] = {}
    for name in asked:
        lower = name.lower()
        for key in known.exact.get(lower, []):
            found.setdefault(key.fingerprint, key)
        for patterns, key in known.wild:
            if host_patterns.any_of(patterns, lower):
                found.setdefault(key.fingerprint, key)
        for one in known.hashed:
            if hmac.compare_digest(hmac.digest(one.salt, lower.encode(), hashlib.sha1), one.digest):
                found.setdefault(one.key.fingerprint, one.key)
    revoked = {mark.fingerprint for mark in known.marks if mark.kind is MarkKind.REVOKED}
    kept = [key for key in found.values() if key.fingerprint not in revoked and key.type in _PREFERRED]
    return sorted(kept, key=lambda key: _PREFERRED.index(key.type))
