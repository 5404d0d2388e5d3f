"""Slots: one master key, wrapped once for each way in."""

from typing import TypeVar

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from clawdbox.vault.model import (
    KEY_BYTES,
    MAGIC,
    VERSION,
    Argon2idParams,
    HkdfParams,
    KeyEntry,
    PassphraseSlot,
    Slot,
    SlotType,
)
from clawdbox.vault.rules.derive import KeyMaterial, Label, hkdf, join

S = TypeVar("S", bound=Slot)
# RFC 9106, section 4, second choice: 64 MiB, three passes, four lanes. Some 0.2 s of a processor of 2026.
_MEMORY_KIB, _PASSES, _LANES = 64 * 1024, 3, 4


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
    kdf: HkdfParams | Argon2idParams = HkdfParams(salt=salt)
    if kind is PassphraseSlot:
        kdf = Argon2idParams(salt=salt, memory_kib=_MEMORY_KIB, passes=_PASSES, lanes=_LANES)
    tag = SlotType(str(kind.__struct_config__.tag))
    aad = associated_data(instance_id, key_id, tag, kdf, nonce)
    ct = AESGCM(_wrapping_key(secret, kdf, instance_id, key_id, tag)).encrypt(nonce, master, aad)
    return kind(kdf=kdf, nonce=nonce, ct=ct)  # type: ignore[arg-type]  # the parameters of its kind


def unwrap(slot: Slot, instance_id: str, key_id: str, secret: KeyMaterial) -> bytearray | None:
    """The master key, or None when the secret is another one or a byte was changed: GCM cannot tell these apart."""
    kind = slot_type(slot)
    cipher = AESGCM(_wrapping_key(secret, slot.kdf, instance_id, key_id, kind))
    master = bytearray(KEY_BYTES)
    try:
        cipher.decrypt_into(
            slot.nonce, slot.ct, associated_data(instance_id, key_id, kind, slot.kdf, slot.nonce), master
        )
    except InvalidTag:
        return None
    return master


def _wrapping_key(
    secret: KeyMaterial, kdf: HkdfParams | Argon2idParams, instance_id: str, key_id: str, kind: SlotType
) -> bytes:
    if isinstance(kdf, Argon2idParams):
        secret = Argon2id(
            salt=kdf.salt,
            length=KEY_BYTES,
            iterations=kdf.passes,
            lanes=kdf.lanes,
            memory_cost=kdf.memory_kib,
        ).derive(bytes(secret))
    return hkdf(secret, kdf.salt, join(Label.SLOT, instance_id, key_id, kind))
