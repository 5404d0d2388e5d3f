"""The exchange of a keypair, and how far it has come on each server."""

from datetime import datetime
from enum import StrEnum

import msgspec


class RotationState(StrEnum):
    RUNNING = "running"
    STALLED = "stalled"  # some servers have the new key, at least one has not
    ROTATED = "rotated"
    REVOKED = "revoked"
    CANCELLED = "cancelled"


class StepState(StrEnum):
    WAITING = "waiting"
    INSTALLING = "installing"
    INSTALLED = "installed"
    SWITCHED = "switched"
    FAILED = "failed"
    SKIPPED = "skipped"
    REMOVING = "removing"
    REMOVED = "removed"
    LEFT = "left"


class Rotation(msgspec.Struct, frozen=True):
    id: str
    account_id: str
    old_keypair_id: str
    new_keypair_id: str
    state: RotationState
    created_at: datetime
    rotated_at: datetime | None = None
    revoke_at: datetime | None = None
    ended_at: datetime | None = None


class RotationStep(msgspec.Struct, frozen=True):
    """`is_edited`: an edit of the server's authorized_keys was begun, so that the new line may stand there."""

    id: str
    keypair_rotation_id: str
    connection_id: str
    state: StepState
    is_edited: bool
    cause: str | None
    message: str | None
    next_step: str | None
    updated_at: datetime
