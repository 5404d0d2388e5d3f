"""A sealed file that grows: chunks under one key of its own (the STREAM construction, Hoang et al., CRYPTO 2015).

header = magic (4) ‖ version (1); chunk = flag (1) ‖ length of the ciphertext (4, big-endian) ‖ ciphertext ‖ tag (16).
The nonce of chunk n is n (11 bytes, big-endian) ‖ flag, and the associated data names the file, so that a chunk opens
in its own file, at its own place, and only as what it is: the last one, or one before it. A file without a last chunk
was cut, or is still being written; each chunk that is whole can be read all the same. What is put at the end of a file
that was cut has a flag of its own: no nonce serves twice, and the file keeps saying that it was cut.
"""

from enum import IntEnum
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from clawdbox.vault.model import TAG_BYTES
from clawdbox.vault.rules.derive import KeyMaterial, join

HEADER = b"CBXS\x01"
HEAD_BYTES = 5
MAX_PLAIN = 262_144
_PURPOSE = "clawdbox/stream/v1"
_COUNTER_BYTES = 11


class Flag(IntEnum):
    MORE = 0
    LAST = 1
    CUT = 2


class Head(NamedTuple):
    """What stands in the clear before a chunk; a change of it keeps the chunk from opening."""

    flag: Flag
    length: int


def associated_data(name: str) -> bytes:
    return join(_PURPOSE, HEADER, name)


def seal(key: KeyMaterial, name: str, index: int, flag: Flag, plaintext: bytes) -> bytes:
    """One chunk with its head. A place takes one plaintext only: the same nonce must never be used for another."""
    if len(plaintext) > MAX_PLAIN:
        raise ValueError(f"a chunk has at most {MAX_PLAIN} bytes")
    ct = AESGCM(key).encrypt(_nonce(index, flag), plaintext, associated_data(name))
    return flag.to_bytes(1, "big") + len(ct).to_bytes(4, "big") + ct


def parse_head(raw: bytes) -> Head | None:
    """None for what can be no head."""
    if len(raw) != HEAD_BYTES or raw[0] not in tuple(Flag):
        return None
    length = int.from_bytes(raw[1:], "big")
    return Head(Flag(raw[0]), length) if TAG_BYTES <= length <= MAX_PLAIN + TAG_BYTES else None


def unseal(key: KeyMaterial, name: str, index: int, flag: Flag, ct: bytes) -> bytes | None:
    """None when anything differs: key, file, place, flag or a single bit."""
    try:
        return AESGCM(key).decrypt(_nonce(index, flag), ct, associated_data(name))
    except InvalidTag:
        return None


def _nonce(index: int, flag: Flag) -> bytes:
    return index.to_bytes(_COUNTER_BYTES, "big") + flag.to_bytes(1, "big")
