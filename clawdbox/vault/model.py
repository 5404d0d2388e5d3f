"""The keyring file as it lies on disk, and what may be told about it. Nothing here can hold an unwrapped key."""

from enum import StrEnum
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

MAGIC: Final = "clawdbox-keyring"
VERSION: Final = 1
KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16

InstanceId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{8,64}\Z")]
KeyId = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z")]
Salt = Annotated[bytes, Meta(min_length=32, max_length=32)]
Nonce = Annotated[bytes, Meta(min_length=NONCE_BYTES, max_length=NONCE_BYTES)]
Wrapped = Annotated[bytes, Meta(min_length=KEY_BYTES + TAG_BYTES, max_length=KEY_BYTES + TAG_BYTES)]


class KeyState(StrEnum):
    ACTIVE = "active"
    DECRYPT_ONLY = "decrypt_only"


class SlotType(StrEnum):
    HOST = "host"
    PASSPHRASE = "passphrase"
    RECOVERY = "recovery"


class HkdfParams(Struct, frozen=True, forbid_unknown_fields=True, tag_field="name", tag="hkdf-sha256"):
    """For secrets of 256 random bits, which need no stretching (RFC 5869, section 4)."""

    salt: Salt


class Argon2idParams(Struct, frozen=True, forbid_unknown_fields=True, tag_field="name", tag="argon2id"):
    """For a passphrase (RFC 9106). The bounds keep a planted file from asking for all memory."""

    salt: Salt
    memory_kib: Annotated[int, Meta(ge=8 * 1024, le=1024 * 1024)]
    passes: Annotated[int, Meta(ge=1, le=16)]
    lanes: Annotated[int, Meta(ge=1, le=16)]


class HostSlot(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="host"):
    kdf: HkdfParams
    nonce: Nonce
    ct: Wrapped


class PassphraseSlot(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="passphrase"):
    kdf: Argon2idParams
    nonce: Nonce
    ct: Wrapped


class RecoverySlot(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="recovery"):
    kdf: HkdfParams
    nonce: Nonce
    ct: Wrapped


Slot = HostSlot | PassphraseSlot | RecoverySlot


class KeyEntry(Struct, frozen=True, forbid_unknown_fields=True):
    id: KeyId
    state: KeyState
    slots: Annotated[tuple[Slot, ...], Meta(min_length=1, max_length=len(SlotType))]


class KeyringFile(Struct, frozen=True, forbid_unknown_fields=True):
    magic: Literal["clawdbox-keyring"]
    v: Literal[1]
    instance_id: InstanceId
    active: KeyId
    keys: Annotated[tuple[KeyEntry, ...], Meta(min_length=1, max_length=32)]


class KeyStatus(Struct, frozen=True):
    id: str
    state: KeyState
    slots: tuple[SlotType, ...]


class KeyringStatus(Struct, frozen=True):
    """What `clawdbox keyring status` prints."""

    instance_id: str
    active: str
    keys: tuple[KeyStatus, ...]
