"""Rows of `agent_keypairs`."""

from typing import Any

from clawdbox.errors import NotFound
from clawdbox.keys.model import Keypair
from clawdbox.store import Reader, Tx

KEYPAIR = (
    "id, account_id, label, algorithm, public_key, fingerprint, created_at, rotated_at, revoked_at, is_active"
)


def all_of(r: Reader, account_id: str) -> list[Keypair]:
    return r.structs(
        Keypair,
        f"SELECT {KEYPAIR} FROM agent_keypairs WHERE account_id = ? ORDER BY created_at, id",
        (account_id,),
    )


def get(r: Reader, account_id: str, keypair_id: str) -> Keypair:
    keypair = r.struct(
        Keypair,
        f"SELECT {KEYPAIR} FROM agent_keypairs WHERE id = ? AND account_id = ?",
        (keypair_id, account_id),
    )
    if keypair is None:
        raise NotFound
    return keypair


def living(r: Reader, account_id: str, label: str) -> Keypair | None:
    return r.struct(
        Keypair,
        f"SELECT {KEYPAIR} FROM agent_keypairs WHERE account_id = ? AND label = ? AND is_active = 1",
        (account_id, label),
    )


def count_living(r: Reader, account_id: str) -> int:
    return int(
        r.value("SELECT count(*) FROM agent_keypairs WHERE account_id = ? AND is_active = 1", (account_id,))
    )


def default_living(r: Reader, account_id: str) -> Keypair | None:
    """The keypair that new connections use: the oldest living one, which signing up made, unless it is gone."""
    return r.struct(
        Keypair,
        f"SELECT {KEYPAIR} FROM agent_keypairs WHERE account_id = ? AND is_active = 1"
        " ORDER BY label = 'default' DESC, created_at LIMIT 1",
        (account_id,),
    )


def sealed_private_key(r: Reader, keypair_id: str) -> str:
    sealed: str | None = r.value("SELECT private_key_enc FROM agent_keypairs WHERE id = ?", (keypair_id,))
    if sealed is None:
        raise NotFound
    return sealed


def insert(tx: Tx, row: dict[str, Any]) -> None:
    tx.insert("agent_keypairs", row)


def save_state(tx: Tx, keypair: Keypair) -> None:
    tx.run(
        "UPDATE agent_keypairs SET rotated_at = ?, revoked_at = ?, is_active = ? WHERE id = ?",
        (keypair.rotated_at, keypair.revoked_at, keypair.is_active, keypair.id),
    )


def relabel(tx: Tx, keypair_id: str, label: str) -> None:
    tx.run("UPDATE agent_keypairs SET label = ? WHERE id = ?", (label, keypair_id))
