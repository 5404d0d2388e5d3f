"""One sealed field: version (1) ‖ key id (8) ‖ nonce (12) ‖ ciphertext ‖ tag (16), as base64 text."""

import base64
import binascii
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from clawdbox.vault.model import NONCE_BYTES, TAG_BYTES
from clawdbox.vault.rules.derive import KeyMaterial, join

_VERSION = b"\x01"
_KEY_ID_BYTES = 8
_HEAD_BYTES = len(_VERSION) + _KEY_ID_BYTES + NONCE_BYTES


class Place(NamedTuple):
    """Where a value lives. A sealed value opens nowhere else; row ids never change."""

    instance_id: str
    table: str
    row_id: str
    column: str
    account_id: str


class Parts(NamedTuple):
    key_id: str
    nonce: bytes
    ct: bytes


def associated_data(place: Place, key_id: str) -> bytes:
    return join(*place, key_id)


def seal(kek: KeyMaterial, key_id: str, nonce: bytes, place: Place, plaintext: KeyMaterial) -> str:
    """`nonce` is random: safe for 2^32 values per account and master key (NIST SP 800-38D, section 8.3)."""
    if len(nonce) != NONCE_BYTES:
        raise ValueError("a nonce has 12 bytes")
    ct = AESGCM(kek).encrypt(nonce, plaintext, associated_data(place, key_id))
    return base64.b64encode(_VERSION + bytes.fromhex(key_id) + nonce + ct).decode()


def parse(sealed: str) -> Parts | None:
    """None for what is no sealed field. Base64 has spare bits at its end: only the one true spelling is taken."""
    try:
        raw = base64.b64decode(sealed, validate=True)
    except (binascii.Error, ValueError):
        return None
    if base64.b64encode(raw).decode() != sealed or len(raw) < _HEAD_BYTES + TAG_BYTES or raw[:1] != _VERSION:
        return None
    return Parts(raw[1 : 1 + _KEY_ID_BYTES].hex(), raw[1 + _KEY_ID_BYTES : _HEAD_BYTES], raw[_HEAD_BYTES:])


def key_mark(key_id: str) -> str:
    """How every value begins that was sealed with this key: version and key id are nine bytes, so twelve of base64."""
    return base64.b64encode(_VERSION + bytes.fromhex(key_id)).decode()


def unseal(kek: KeyMaterial, parts: Parts, place: Place) -> bytearray | None:
    """None when anything differs: key, place or a single bit."""
    plaintext = bytearray(len(parts.ct) - TAG_BYTES)
    try:
        AESGCM(kek).decrypt_into(parts.nonce, parts.ct, associated_data(place, parts.key_id), plaintext)
    except InvalidTag:
        return None
    return plaintext
