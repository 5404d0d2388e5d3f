"""Rows of `approvals` and `approval_grants`."""

from datetime import datetime

import msgspec

from clawdbox.approvals.model import Approval, Grant, State
from clawdbox.errors import NotFound
from clawdbox.store import Reader, Tx

APPROVAL = ", ".join(field.encode_name for field in msgspec.structs.fields(Approval))
GRANT = ", ".join(field.encode_name for field in msgspec.structs.fields(Grant))


def approval(r: Reader, account_id: str, approval_id: str) -> Approval:
    found = r.struct(
        Approval,
        f"SELECT {APPROVAL} FROM approvals WHERE id = ? AND account_id = ?",
        (approval_id, account_id),
    )
    if found is None:
        raise NotFound
    return found


def of_call(r: Reader, turn_id: str, call_id: str) -> Approval | None:
    return r.struct(
        Approval, f"SELECT {APPROVAL} FROM approvals WHERE turn_id = ? AND call_id = ?", (turn_id, call_id)
    )


def page(r: Reader, account_id: str, states: tuple[State, ...], limit: int, offset: int) -> list[Approval]:
    """Newest first."""
    return r.structs(
        Approval,
        f"SELECT {APPROVAL} FROM approvals WHERE account_id = :account"
        " AND state IN (SELECT value FROM json_each(:states)) ORDER BY id DESC LIMIT :limit OFFSET :offset",
        {"account": account_id, "states": list(states), "limit": limit, "offset": offset},
    )


def count_pending(r: Reader, account_id: str) -> int:
    return int(
        r.value(
            "SELECT count(*) FROM approvals WHERE account_id = ? AND state = 'pending' AND expires_at > ?",
            (account_id, r.now),
        )
    )


def open_of(r: Reader, account_id: str, turn_ids: list[str] | None = None) -> list[Approval]:
    """What still waits for an answer or for its use: of these turns, or of the whole account."""
    return r.structs(
        Approval,
        f"SELECT {APPROVAL} FROM approvals WHERE account_id = :account AND used_at IS NULL"
        " AND state IN ('pending', 'allowed')"
        " AND (:turns IS NULL OR turn_id IN (SELECT value FROM json_each(:turns))) ORDER BY id",
        {"account": account_id, "turns": turn_ids},
    )


def calls_of(r: Reader, turn_id: str) -> set[str]:
    """What a turn has asked about."""
    rows = r.all("SELECT call_id FROM approvals WHERE turn_id = ?", (turn_id,))
    return {row["call_id"] for row in rows}


def pending_of(r: Reader, turn_id: str) -> int:
    return int(r.value("SELECT count(*) FROM approvals WHERE turn_id = ? AND state = 'pending'", (turn_id,)))


def overdue(r: Reader) -> list[Approval]:
    return r.structs(
        Approval,
        f"SELECT {APPROVAL} FROM approvals WHERE state = 'pending' AND expires_at <= ? ORDER BY id",
        (r.now,),
    )


def next_expiry(r: Reader) -> datetime | None:
    found: str | None = r.value("SELECT min(expires_at) FROM approvals WHERE state = 'pending'")
    return None if found is None else msgspec.convert(found, datetime)


def insert(tx: Tx, made: Approval) -> None:
    tx.insert("approvals", _row(made))


def save_answer(tx: Tx, after: Approval) -> None:
    tx.run(
        "UPDATE approvals SET state = ?, option_id = ?, answered_by = ?, answered_at = ?, void_reason = ? WHERE id = ?",
        (after.state, after.option_id, after.answered_by, after.answered_at, after.void_reason, after.id),
    )


def move(tx: Tx, turn_id: str, lease_id: str) -> None:
    """A turn goes on with another lease, and so do the questions it waits for."""
    tx.run(
        "UPDATE approvals SET session_lease_id = ? WHERE turn_id = ? AND state = 'pending'",
        (lease_id, turn_id),
    )


def use(tx: Tx, approval_id: str) -> bool:
    """Whether this call was the one that used it."""
    return (
        tx.run(
            "UPDATE approvals SET used_at = ? WHERE id = ? AND state = 'allowed' AND used_at IS NULL",
            (tx.now, approval_id),
        )
        == 1
    )


# grants


def lease_is_open(r: Reader, lease_id: str) -> bool:
    found = r.value(
        "SELECT 1 FROM session_leases WHERE id = ? AND status IN ('pending', 'active')", (lease_id,)
    )
    return found is not None


def grant(r: Reader, account_id: str, grant_id: str) -> Grant:
    found = r.struct(
        Grant, f"SELECT {GRANT} FROM approval_grants WHERE id = ? AND account_id = ?", (grant_id, account_id)
    )
    if found is None:
        raise NotFound
    return found


def living_grant(r: Reader, lease_id: str, digest: str) -> Grant | None:
    return r.struct(
        Grant,
        f"SELECT {GRANT} FROM approval_grants WHERE session_lease_id = ? AND digest = ? AND ended_at IS NULL",
        (lease_id, digest),
    )


def living_grants(r: Reader, account_id: str, lease_id: str | None = None) -> list[Grant]:
    return r.structs(
        Grant,
        f"SELECT {GRANT} FROM approval_grants WHERE account_id = :account AND ended_at IS NULL"
        " AND (:lease IS NULL OR session_lease_id = :lease) ORDER BY id DESC",
        {"account": account_id, "lease": lease_id},
    )


def insert_grant(tx: Tx, made: Grant) -> None:
    tx.insert("approval_grants", _row(made))


def use_grant(tx: Tx, grant_id: str) -> bool:
    """Whether it was still living."""
    return (
        tx.run(
            "UPDATE approval_grants SET used_count = used_count + 1 WHERE id = ? AND ended_at IS NULL",
            (grant_id,),
        )
        == 1
    )


def end_grant(tx: Tx, grant_id: str, reason: str) -> bool:
    return (
        tx.run(
            "UPDATE approval_grants SET ended_at = ?, end_reason = ? WHERE id = ? AND ended_at IS NULL",
            (tx.now, reason, grant_id),
        )
        == 1
    )


def _row(made: Approval | Grant) -> dict[str, object]:
    row: dict[str, object] = {
        field.encode_name: getattr(made, field.name) for field in msgspec.structs.fields(type(made))
    }
    if isinstance(made, Approval):
        row["why"] = list(made.why)
        row["options"] = msgspec.to_builtins(list(made.options))
    return row
