"""A keypair without its private half, which has no Struct that could carry it out."""

from datetime import datetime
from enum import StrEnum

import msgspec


class KeyState(StrEnum):
    ACTIVE = "active"
    ROTATED = "rotated"
    REVOKED = "revoked"


class Keypair(msgspec.Struct, frozen=True):
    """`fingerprint` is OpenSSH's `SHA256:…` of the public key; a rotated key still opens running leases."""

    id: str
    account_id: str
    label: str
    algorithm: str
    public_key: str
    fingerprint: str
    created_at: datetime
    rotated_at: datetime | None
    revoked_at: datetime | None
    is_active: bool

    @property
    def state(self) -> KeyState:
        if self.revoked_at:
            return KeyState.REVOKED
        return KeyState.ROTATED if self.rotated_at else KeyState.ACTIVE
