"""Rows of `kept_terminals`."""

from clawdbox.errors import NotFound
from clawdbox.ssh.model import KeptTerminal
from clawdbox.store import Reader, Tx

KEPT = ", ".join(KeptTerminal.__struct_fields__)


def get(r: Reader, account_id: str, connection_id: str, kept_id: str) -> KeptTerminal:
    found = r.struct(
        KeptTerminal,
        f"SELECT {KEPT} FROM kept_terminals WHERE id = ? AND account_id = ? AND connection_id = ?",
        (kept_id, account_id, connection_id),
    )
    if found is None:
        raise NotFound
    return found


def waiting(r: Reader, connection_id: str) -> list[KeptTerminal]:
    """Those that have not ended, the oldest first."""
    return r.structs(
        KeptTerminal,
        f"SELECT {KEPT} FROM kept_terminals WHERE connection_id = ? AND state = 'kept' ORDER BY id",
        (connection_id,),
    )


def insert(tx: Tx, kept: KeptTerminal) -> None:
    tx.insert("kept_terminals", {name: getattr(kept, name) for name in KeptTerminal.__struct_fields__})


def end(tx: Tx, kept_id: str, reason: str) -> KeptTerminal | None:
    """The row as it was, if this ended it."""
    found = tx.struct(KeptTerminal, f"SELECT {KEPT} FROM kept_terminals WHERE id = ?", (kept_id,))
    changed = tx.run(
        "UPDATE kept_terminals SET state = 'ended', end_reason = ?, ended_at = ? WHERE id = ? AND state = 'kept'",
        (reason, tx.now, kept_id),
    )
    return found if changed else None


def end_of_connection(tx: Tx, connection_id: str, reason: str) -> None:
    tx.run(
        "UPDATE kept_terminals SET state = 'ended', end_reason = ?, ended_at = ?"
        " WHERE connection_id = ? AND state = 'kept'",
        (reason, tx.now, connection_id),
    )


def resized(tx: Tx, terminal_id: str, kept_id: str | None, cols: int, rows: int) -> None:
    tx.run("UPDATE terminals SET cols = ?, rows = ? WHERE id = ?", (cols, rows, terminal_id))
    tx.run("UPDATE kept_terminals SET cols = ?, rows = ? WHERE id = ?", (cols, rows, kept_id))
