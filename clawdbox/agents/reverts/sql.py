"""Rows of `reverts`."""

import msgspec

from clawdbox.agents.reverts.rules import Revert
from clawdbox.errors import NotFound
from clawdbox.store import Reader, Tx

REVERT = ", ".join(Revert.__struct_fields__)


def revert(r: Reader, revert_id: str) -> Revert:
    found = r.struct(Revert, f"SELECT {REVERT} FROM reverts WHERE id = ?", (revert_id,))
    assert found
    return found


def revert_of(r: Reader, account_id: str, revert_id: str) -> Revert:
    found = r.struct(
        Revert, f"SELECT {REVERT} FROM reverts WHERE id = ? AND account_id = ?", (revert_id, account_id)
    )
    if found is None:
        raise NotFound
    return found


def reverts(r: Reader, account_id: str, connection_id: str) -> list[Revert]:
    return r.structs(
        Revert,
        f"SELECT {REVERT} FROM reverts WHERE account_id = ? AND connection_id = ? ORDER BY id DESC LIMIT 50",
        (account_id, connection_id),
    )


def open_reverts(r: Reader, account_id: str) -> list[Revert]:
    return r.structs(
        Revert,
        f"SELECT {REVERT} FROM reverts WHERE account_id = ? AND state IN ('arming', 'armed') ORDER BY id DESC",
        (account_id,),
    )


def overdue_reverts(r: Reader, connection_id: str | None) -> list[Revert]:
    """Those whose time has run out; of one connection also those that could not be asked before."""
    return r.structs(
        Revert,
        f"SELECT {REVERT} FROM reverts WHERE due_at <= :now AND (:connection IS NULL OR connection_id = :connection)"
        " AND (state IN ('arming', 'armed') OR (state = 'unknown' AND :connection IS NOT NULL)) ORDER BY id",
        {"now": r.now, "connection": connection_id},
    )


def is_armed(r: Reader, turn_id: str, command: str) -> bool:
    """Whether the server stands ready to undo this very command of this turn."""
    found = r.value(
        "SELECT 1 FROM reverts WHERE turn_id = ? AND command = ? AND state = 'armed' AND due_at > ?",
        (turn_id, command, r.now),
    )
    return found is not None


def insert_revert(tx: Tx, made: Revert) -> None:
    tx.insert("reverts", msgspec.structs.asdict(made))


def save_revert(tx: Tx, after: Revert) -> None:
    tx.run("UPDATE reverts SET state = ?, ended_at = ? WHERE id = ?", (after.state, after.ended_at, after.id))
