"""Rows of `recordings` and `recording_policies`."""

from datetime import datetime
from typing import Any

from clawdbox.errors import NotFound
from clawdbox.ssh.model.recordings import Policies, Policy, Recording, RecordingState
from clawdbox.store import Reader, Tx

RECORDING = ", ".join(Recording.__struct_fields__)
_LIVING = "state <> 'deleted'"


def get(r: Reader, account_id: str, recording_id: str) -> Recording:
    """Raises NotFound, also for a deleted one."""
    found = r.struct(
        Recording,
        f"SELECT {RECORDING} FROM recordings WHERE id = ? AND account_id = ? AND {_LIVING}",
        (recording_id, account_id),
    )
    if found is None:
        raise NotFound
    return found


def page(
    r: Reader,
    account_id: str,
    *,
    connection_id: str | None,
    terminal_id: str | None,
    state: RecordingState | None,
    words: str | None,
    limit: int,
    offset: int,
) -> tuple[list[Recording], int]:
    """(recordings, newest first; how many there are in all). `words` stand in the title, in either case."""
    where = (
        f"FROM recordings WHERE account_id = :account AND {_LIVING}"
        " AND (:connection IS NULL OR connection_id = :connection)"
        " AND (:terminal IS NULL OR terminal_id = :terminal)"
        " AND (:state IS NULL OR state = :state)"
        " AND (:words IS NULL OR title LIKE :words ESCAPE '\\')"
    )
    values: dict[str, Any] = {
        "account": account_id,
        "connection": connection_id,
        "terminal": terminal_id,
        "state": state,
        "words": None if words is None else f"%{_literally(words)}%",
        "limit": limit,
        "offset": offset,
    }
    found = r.structs(
        Recording,
        f"SELECT {RECORDING} {where} ORDER BY started_at DESC, id DESC LIMIT :limit OFFSET :offset",
        values,
    )
    return found, int(r.value(f"SELECT count(*) {where}", values))


def running_on(r: Reader, terminal_id: str) -> Recording | None:
    return r.struct(
        Recording,
        f"SELECT {RECORDING} FROM recordings WHERE terminal_id = ? AND state = 'recording'",
        (terminal_id,),
    )


def in_state(r: Reader, state: RecordingState) -> list[Recording]:
    """Everybody's, for what the box does of itself."""
    return r.structs(Recording, f"SELECT {RECORDING} FROM recordings WHERE state = ? ORDER BY id", (state,))


def living_ids(r: Reader) -> set[str]:
    return {row["id"] for row in r.all(f"SELECT id FROM recordings WHERE {_LIVING}")}


def ended_before(r: Reader, moment: datetime) -> list[Recording]:
    return r.structs(
        Recording,
        f"SELECT {RECORDING} FROM recordings WHERE {_LIVING} AND ended_at < ? ORDER BY id",
        (moment,),
    )


def sealed_key(r: Reader, recording_id: str) -> str:
    sealed: str | None = r.value("SELECT key_enc FROM recordings WHERE id = ?", (recording_id,))
    if sealed is None:
        raise NotFound
    return sealed


def insert(tx: Tx, row: dict[str, Any]) -> None:
    tx.insert("recordings", row)


def end(
    tx: Tx, recording_id: str, state: RecordingState, reason: str, duration_ms: int, size_bytes: int
) -> bool:
    """Written once; the first end stands."""
    return (
        tx.run(
            "UPDATE recordings SET state = ?, end_reason = ?, duration_ms = ?, size_bytes = ?, ended_at = ?"
            " WHERE id = ? AND state = 'recording'",
            (state, reason, duration_ms, size_bytes, tx.now, recording_id),
        )
        == 1
    )


def rename(tx: Tx, recording_id: str, title: str) -> None:
    tx.run("UPDATE recordings SET title = ? WHERE id = ?", (title, recording_id))


def delete(tx: Tx, recording_id: str) -> None:
    """Without its key nothing opens the file, wherever copies of it lie."""
    tx.run(
        "UPDATE recordings SET state = 'deleted', key_enc = NULL, title = '', deleted_at = ? WHERE id = ?",
        (tx.now, recording_id),
    )


# policies


def policies(r: Reader, account_id: str) -> Policies:
    rows = r.all(
        "SELECT connection_id, record FROM recording_policies WHERE account_id = ? AND record IS NOT NULL",
        (account_id,),
    )
    chosen = {row["connection_id"]: Policy(row["record"]) for row in rows}
    default = chosen.pop(None, Policy.ASK)
    return Policies(default, chosen)


def policy(r: Reader, account_id: str, connection_id: str) -> Policy:
    """What holds for a connection: its own choice, else the account's, else `ask`."""
    found = policies(r, account_id)
    return found.connections.get(connection_id, found.default)


def choose(tx: Tx, account_id: str, connection_id: str | None, record: Policy | None) -> None:
    """None for `record` takes the choice back."""
    changed = tx.run(
        "UPDATE recording_policies SET record = ?, updated_at = ? WHERE account_id = ? AND connection_id IS ?",
        (record, tx.now, account_id, connection_id),
    )
    if not changed:
        tx.insert(
            "recording_policies",
            {
                "account_id": account_id,
                "connection_id": connection_id,
                "record": record,
                "updated_at": tx.now,
            },
        )


def _literally(words: str) -> str:
    return words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
