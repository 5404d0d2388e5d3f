"""Rows of `keypair_rotations` and `keypair_rotation_steps`."""

from datetime import datetime

import msgspec

from clawdbox.errors import NotFound
from clawdbox.ssh.model import Connection
from clawdbox.ssh.model.key_rotations import Rotation, RotationStep
from clawdbox.ssh.sql.connections import CONNECTION
from clawdbox.store import Reader, Tx

ROTATION = ", ".join(Rotation.__struct_fields__)
STEP = ", ".join(RotationStep.__struct_fields__)


def of_keypair(r: Reader, account_id: str, keypair_id: str) -> Rotation:
    """The newest rotation to or from this keypair; from it before to it. Raises NotFound."""
    found = r.struct(
        Rotation,
        f"SELECT {ROTATION} FROM keypair_rotations WHERE account_id = ? AND ? IN (old_keypair_id, new_keypair_id)"
        " ORDER BY id DESC LIMIT 1",
        (account_id, keypair_id),
    )
    if found is None:
        raise NotFound
    return found


def get(r: Reader, rotation_id: str) -> Rotation:
    found = r.struct(Rotation, f"SELECT {ROTATION} FROM keypair_rotations WHERE id = ?", (rotation_id,))
    if found is None:
        raise NotFound
    return found


def running(r: Reader) -> list[Rotation]:
    return r.structs(
        Rotation, f"SELECT {ROTATION} FROM keypair_rotations WHERE state = 'running' ORDER BY id", ()
    )


def due(r: Reader, now: datetime) -> list[Rotation]:
    return r.structs(
        Rotation,
        f"SELECT {ROTATION} FROM keypair_rotations WHERE state = 'rotated' AND revoke_at <= ? ORDER BY id",
        (now,),
    )


def untidy(r: Reader) -> list[Rotation]:
    """Cancelled ones whose new key may still stand on a server."""
    return r.structs(
        Rotation,
        f"SELECT {ROTATION} FROM keypair_rotations WHERE state = 'cancelled' AND id IN"
        " (SELECT keypair_rotation_id FROM keypair_rotation_steps WHERE state = 'removing') ORDER BY id",
        (),
    )


def unfinished_of(r: Reader, keypair_id: str) -> int:
    """Rotations under way to or from this keypair."""
    return int(
        r.value(
            "SELECT count(*) FROM keypair_rotations"
            " WHERE ? IN (old_keypair_id, new_keypair_id) AND state IN ('running', 'stalled')",
            (keypair_id,),
        )
    )


def insert(tx: Tx, rotation: Rotation) -> None:
    tx.insert("keypair_rotations", msgspec.structs.asdict(rotation))


def save(tx: Tx, rotation: Rotation) -> None:
    tx.run(
        "UPDATE keypair_rotations SET state = ?, rotated_at = ?, revoke_at = ?, ended_at = ? WHERE id = ?",
        (rotation.state, rotation.rotated_at, rotation.revoke_at, rotation.ended_at, rotation.id),
    )


def steps(r: Reader, rotation_id: str) -> list[RotationStep]:
    return r.structs(
        RotationStep,
        f"SELECT {STEP} FROM keypair_rotation_steps WHERE keypair_rotation_id = ? ORDER BY id",
        (rotation_id,),
    )


def step(r: Reader, step_id: str) -> RotationStep:
    found = r.struct(RotationStep, f"SELECT {STEP} FROM keypair_rotation_steps WHERE id = ?", (step_id,))
    if found is None:
        raise NotFound
    return found


def insert_step(tx: Tx, step: RotationStep) -> None:
    tx.insert("keypair_rotation_steps", msgspec.structs.asdict(step))


def save_step(tx: Tx, step: RotationStep) -> None:
    tx.run(
        "UPDATE keypair_rotation_steps SET state = ?, is_edited = ?, cause = ?, message = ?, next_step = ?,"
        " updated_at = ? WHERE id = ?",
        (step.state, step.is_edited, step.cause, step.message, step.next_step, step.updated_at, step.id),
    )


def entered_by(r: Reader, keypair_id: str) -> list[Connection]:
    """The living connections that log in with this keypair."""
    return r.structs(
        Connection,
        f"SELECT {CONNECTION} FROM ssh_connections WHERE keypair_id = ? AND deleted_at IS NULL ORDER BY id",
        (keypair_id,),
    )
