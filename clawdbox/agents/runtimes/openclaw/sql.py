"""Rows of `openclaw_gateways`."""

from typing import Any

import msgspec

from clawdbox.agents.runtimes.openclaw.model import Gateway, Look, State
from clawdbox.errors import NotFound
from clawdbox.store import Reader, Tx

GATEWAY = ", ".join(Gateway.__struct_fields__)
_SEALED = "auth, token_enc, device_key_enc, device_token_enc"


class Sealed(msgspec.Struct, frozen=True):
    auth: str
    token_enc: str | None
    device_key_enc: str
    device_token_enc: str | None


def living(r: Reader, account_id: str) -> list[Gateway]:
    return r.structs(
        Gateway,
        f"SELECT {GATEWAY} FROM openclaw_gateways WHERE account_id = ? AND removed_at IS NULL ORDER BY label, id",
        (account_id,),
    )


def get(r: Reader, account_id: str, gateway_id: str) -> Gateway:
    """Raises NotFound, for one that was removed, too."""
    found = r.struct(
        Gateway,
        f"SELECT {GATEWAY} FROM openclaw_gateways WHERE id = ? AND account_id = ? AND removed_at IS NULL",
        (gateway_id, account_id),
    )
    if found is None:
        raise NotFound
    return found


def sealed(r: Reader, gateway_id: str) -> Sealed:
    found = r.struct(
        Sealed,
        f"SELECT {_SEALED} FROM openclaw_gateways WHERE id = ? AND removed_at IS NULL",
        (gateway_id,),
    )
    if found is None:
        raise NotFound
    return found


def insert(tx: Tx, row: dict[str, Any]) -> None:
    tx.insert("openclaw_gateways", row)


def change(tx: Tx, gateway_id: str, values: dict[str, Any]) -> None:
    names = ", ".join(f"{name} = ?" for name in values)
    tx.run(f"UPDATE openclaw_gateways SET {names} WHERE id = ?", (*values.values(), gateway_id))


def note(tx: Tx, gateway_id: str, look: Look) -> None:
    """The version stays where nothing new was learnt of it."""
    pairing = look.pairing_request_id if look.state is State.PAIRING else None
    tx.run(
        "UPDATE openclaw_gateways SET state = ?, problem = ?, pairing_request_id = ?,"
        " version = coalesce(?, version), checked_at = ? WHERE id = ? AND removed_at IS NULL",
        (look.state, look.problem, pairing, look.version, tx.now, gateway_id),
    )


def keep_device_token(tx: Tx, gateway_id: str, sealed_token: str | None) -> None:
    tx.run(
        "UPDATE openclaw_gateways SET device_token_enc = ? WHERE id = ? AND removed_at IS NULL",
        (sealed_token, gateway_id),
    )


def remove(tx: Tx, gateway_id: str) -> None:
    """What it knew goes at once; the row stays, so that the trail still says which one that was."""
    tx.run(
        "UPDATE openclaw_gateways SET removed_at = ?, token_enc = NULL, device_key_enc = NULL,"
        " device_token_enc = NULL, pairing_request_id = NULL, state = 'untested', problem = NULL WHERE id = ?",
        (tx.now, gateway_id),
    )
