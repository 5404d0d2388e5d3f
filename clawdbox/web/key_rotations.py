"""`/keys/{id}/rotation`: a keypair is exchanged on every server that it enters."""

from datetime import datetime

import msgspec
from litestar import delete, get, post

from clawdbox.ssh.model.key_rotations import Rotation, RotationStep
from clawdbox.web.fields import PathId
from clawdbox.web.problems import usual
from clawdbox.web.visit import Req, at


class StepView(msgspec.Struct, frozen=True):
    connection_id: str
    state: str
    cause: str | None
    message: str | None
    next_step: str | None
    updated_at: datetime


class RotationView(msgspec.Struct, frozen=True):
    id: str
    old_keypair_id: str
    new_keypair_id: str
    state: str
    created_at: datetime
    rotated_at: datetime | None
    revoke_at: datetime | None
    ended_at: datetime | None
    steps: list[StepView]


class OneRotation(msgspec.Struct, frozen=True):
    rotation: RotationView


@post(
    "/keys/{keypair_id:str}/rotate",
    opt={"action": "keypair.rotate", "fresh": True},
    summary="Rotate a keypair",
    responses=usual(404, s409="`keypair_rotating`, `keypair_revoked` or `keypair_limit_reached`."),
)
async def rotate_key(request: Req, keypair_id: PathId) -> OneRotation:
    """Begins to exchange the key: a new one is installed and verified on each server, and the connection switched to it."""
    box, who = at(request)
    return _view(*await box.key_rotations.begin(who.actor, who.account_id, keypair_id))


@get("/keys/{keypair_id:str}/rotation", summary="How far a rotation is", responses=usual(404))
async def read_rotation(request: Req, keypair_id: PathId) -> OneRotation:
    """The newest rotation from or to this key, with a step for each connection."""
    box, who = at(request)
    return _view(*await box.key_rotations.get(who.account_id, keypair_id))


@post(
    "/keys/{keypair_id:str}/rotation/retry",
    status_code=200,
    opt={"action": "keypair.rotate", "fresh": True},
    summary="Try the failed servers again",
    responses=usual(404, s409="`rotation_over`."),
)
async def retry_rotation(request: Req, keypair_id: PathId) -> OneRotation:
    """For a rotation that is `stalled`. A connection that was removed or got another key meanwhile is skipped."""
    box, who = at(request)
    return _view(*await box.key_rotations.retry(who.actor, who.account_id, keypair_id))


@delete(
    "/keys/{keypair_id:str}/rotation",
    status_code=200,
    opt={"action": "keypair.cancel_rotation"},
    summary="Cancel a rotation",
    responses=usual(404, s409="`rotation_switched` or `rotation_over`."),
)
async def cancel_rotation(request: Req, keypair_id: PathId) -> OneRotation:
    """Before any connection was switched. The new key is revoked, and taken off where it may have been installed."""
    box, who = at(request)
    return _view(*await box.key_rotations.cancel(who.actor, who.account_id, keypair_id))


def _view(rotation: Rotation, steps: list[RotationStep]) -> OneRotation:
    return OneRotation(
        RotationView(
            id=rotation.id,
            old_keypair_id=rotation.old_keypair_id,
            new_keypair_id=rotation.new_keypair_id,
            state=rotation.state.value,
            created_at=rotation.created_at,
            rotated_at=rotation.rotated_at,
            revoke_at=rotation.revoke_at,
            ended_at=rotation.ended_at,
            steps=[
                StepView(
                    step.connection_id,
                    step.state.value,
                    step.cause,
                    step.message,
                    step.next_step,
                    step.updated_at,
                )
                for step in steps
            ],
        )
    )
