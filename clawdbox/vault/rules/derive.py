"""Unambiguous joins, and the keys that are derived from a master key."""

from enum import StrEnum

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from clawdbox.vault.model import KEY_BYTES

KeyMaterial = bytes | bytearray


class Label(StrEnum):
    """One per purpose, so that no two purposes ever share a key (the `info` of RFC 5869, section 3.2)."""

    KEK = "clawdbox/kek/v1"
    SLOT = "clawdbox/slot/v1"
    AUDIT = "clawdbox/audit-mac/v1"
    COOKIE = "clawdbox/cookie-mac/v1"
    CSRF = "clawdbox/csrf-nonce/v1"
    UPLOAD = "clawdbox/upload-part/v1"


MAC_LABELS = frozenset({Label.AUDIT, Label.COOKIE, Label.CSRF, Label.UPLOAD})


def join(*parts: str | bytes) -> bytes:
    """Each part behind its length (4 bytes, big-endian), so that ("ab", "c") and ("a", "bc") differ."""
    raw = [part.encode() if isinstance(part, str) else part for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in raw)


def hkdf(secret: KeyMaterial, salt: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=info).derive(secret)


def account_key(master: KeyMaterial, instance_id: str, key_id: str, account_id: str) -> bytes:
    """The key-encryption key of one account under one master key."""
    return hkdf(master, instance_id.encode(), join(Label.KEK, key_id, account_id))


def mac_key(master: KeyMaterial, instance_id: str, key_id: str, label: Label) -> bytes:
    if label not in MAC_LABELS:
        raise ValueError(f"{label} names no MAC key")
    return hkdf(master, instance_id.encode(), join(label, key_id))
