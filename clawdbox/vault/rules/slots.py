"""Slots: one master key, wrapped once for each way in."""

from typing import TypeVar

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from clawdbox.vault.model import (
    KEY_BYTES,
    MAGIC,
    VERSION,
    HkdfParams,
    HostSlot,
    KeyEntry,
    RecoverySlot,
    Slot,
    SlotType,
)
from clawdbox.vault.rules.derive import KeyMaterial, Label, hkdf, join

S = TypeVar("S", bound=HostSlot | RecoverySlot)


def slot_type(slot: Slot) -> SlotType:
    return SlotType(str(slot.__struct_config__.tag))


def find(entry: KeyEntry, kind: type[S]) -> S | None:
    return next((slot for slot in entry.slots if isinstance(slot, kind)), None)


def header(instance_id: str, key_id: str) -> bytes:
    """What a slot is bound to. `active` and `state` are left out: a rotation changes them while the words are away."""
    return join(MAGIC, str(VERSION), instance_id, key_id)


def associated_data(
    instance_id: str, key_id: str, kind: SlotType, kdf: msgspec.Struct, nonce: bytes
) -> bytes:
    return join(header(instance_id, key_id), kind, msgspec.json.encode(kdf), nonce)


def wrap(
    kind: type[S],
    instance_id: str,
    key_id: str,
    secret: KeyMaterial,
    master: KeyMaterial,
    salt: bytes,
    nonce: bytes,
) -> S:
    """Wrap `master` with AES-256-GCM under a key of this slot alone.

    A fresh salt makes that key, so no nonce ever meets the same key twice (NIST SP 800-38D, section 8).
    """
    kdf = HkdfParams(salt=salt)
    tag = SlotType(str(kind.__struct_config__.tag))
    aad = associated_data(instance_id, key_id, tag, kdf, nonce)
    ct = AESGCM(_wrapping_key(secret, salt, instance_id, key_id, tag)).encrypt(nonce, master, aad)
    return kind(kdf=kdf, nonce=nonce, ct=ct)


def unwrap(
    slot: HostSlot | RecoverySlot, instance_id: str, key_id: str, secret: KeyMaterial
) -> bytearray | None:
    """The master key, or None when the secret is another one or a byte was changed: GCM cannot tell these apart."""
    kind = slot_type(slot)
    cipher = AESGCM(_wrapping_key(secret, slot.kdf.salt, instance_id, key_id, kind))
    master = bytearray(KEY_BYTES)
    try:
        cipher.decrypt_into(
            slot.nonce, slot.ct, associated_data(instance_id, key_id, kind, slot.kdf, slot.nonce), master
        )
    except InvalidTag:
        return None
    return master


def _wrapping_key(secret: KeyMaterial, salt: bytes, instance_id: str, key_id: str, kind: SlotType) -> bytes:
    return hkdf(secret, salt, join(Label.SLOT, instance_id, key_id, kind))
