"""Rows of `session_leases`, `executions` and `terminals`."""

from datetime import datetime
from typing import Any

import msgspec

from clawdbox.errors import NotFound
from clawdbox.ssh.model import Lease, LeaseStatus
from clawdbox.store import Reader, Tx

LEASE = ", ".join(Lease.__struct_fields__)
_OPEN = "status IN ('pending', 'active')"
# Each open lease with every login on its way: the server's own, then that of each jump host.
_WAYS = f"""WITH RECURSIVE way (lease_id, connection_id, keypair_id) AS (
  SELECT id, connection_id, keypair_id FROM session_leases WHERE {_OPEN}
  UNION
  SELECT way.lease_id, hop.id, hop.keypair_id FROM way
  JOIN ssh_connections c ON c.id = way.connection_id
  JOIN ssh_connections hop ON hop.id = c.jump_connection_id
)"""


def get(r: Reader, account_id: str, lease_id: str) -> Lease:
    found = r.struct(
        Lease,
        f"SELECT {LEASE} FROM session_leases WHERE id = ? AND account_id = ?",
        (lease_id, account_id),
    )
    if found is None:
        raise NotFound
    return found


def find(r: Reader, lease_id: str) -> Lease | None:
    """Anybody's lease, for what the box does of itself."""
    return r.struct(Lease, f"SELECT {LEASE} FROM session_leases WHERE id = ?", (lease_id,))


def page(
    r: Reader, account_id: str, status: LeaseStatus | None, connection_id: str | None, limit: int, offset: int
) -> tuple[list[Lease], int]:
    """(leases, newest first; how many there are in all)"""
    where = (
        "FROM session_leases WHERE account_id = :account AND (:status IS NULL OR status = :status)"
        " AND (:connection IS NULL OR connection_id = :connection)"
    )
    values = {
        "account": account_id,
        "status": status,
        "connection": connection_id,
        "limit": limit,
        "offset": offset,
    }
    leases = r.structs(
        Lease,
        f"SELECT {LEASE} {where} ORDER BY created_at DESC, id DESC LIMIT :limit OFFSET :offset",
        values,
    )
    return leases, int(r.value(f"SELECT count(*) {where}", values))


def open_leases(r: Reader) -> list[Lease]:
    return r.structs(Lease, f"SELECT {LEASE} FROM session_leases WHERE {_OPEN} ORDER BY id")


def count_open(r: Reader, account_id: str) -> int:
    return int(
        r.value(f"SELECT count(*) FROM session_leases WHERE account_id = ? AND {_OPEN}", (account_id,))
    )


def count_active(r: Reader) -> int:
    return int(r.value(f"SELECT count(*) FROM session_leases WHERE {_OPEN} AND status = 'active'"))


def open_on_connection(r: Reader, connection_id: str) -> list[str]:
    """Open leases whose link ends at this connection, or goes through it."""
    rows = r.all(
        f"{_WAYS} SELECT DISTINCT lease_id FROM way WHERE connection_id = ? ORDER BY lease_id DESC",
        (connection_id,),
    )
    return [row["lease_id"] for row in rows]


def open_with_keypair(r: Reader, keypair_id: str) -> list[str]:
    """Open leases for which the box logged in with this key, at the server or at a jump host."""
    rows = r.all(
        f"{_WAYS} SELECT DISTINCT lease_id FROM way WHERE keypair_id = ? ORDER BY lease_id", (keypair_id,)
    )
    return [row["lease_id"] for row in rows]


def newest_open(r: Reader, account_id: str) -> dict[str, str]:
    """connection id → its newest open lease"""
    rows = r.all(
        f"SELECT connection_id, max(id) AS id FROM session_leases WHERE account_id = ? AND {_OPEN}"
        " GROUP BY connection_id",
        (account_id,),
    )
    return {row["connection_id"]: row["id"] for row in rows}


def present(r: Reader, account_id: str, connection_id: str) -> Lease | None:
    return r.struct(
        Lease,
        f"SELECT {LEASE} FROM session_leases"
        " WHERE account_id = ? AND connection_id = ? AND status = 'active' ORDER BY id DESC LIMIT 1",
        (account_id, connection_id),
    )


def insert(tx: Tx, lease: Lease) -> None:
    tx.insert("session_leases", msgspec.structs.asdict(lease))


def save(tx: Tx, lease: Lease) -> None:
    values = msgspec.structs.asdict(lease)
    columns = ", ".join(
        f"{name} = :{name}" for name in values if name not in ("id", "account_id", "created_at")
    )
    tx.run(f"UPDATE session_leases SET {columns} WHERE id = :id", values)


def beat(tx: Tx, lease_id: str, heartbeat: datetime | None, activity: datetime) -> None:
    """Batched signs of life; they make no event (HOUSE rule 3)."""
    tx.run(
        "UPDATE session_leases SET last_heartbeat_at = coalesce(?, last_heartbeat_at), last_activity_at = ?"
        " WHERE id = ? AND status = 'active'",
        (heartbeat, activity, lease_id),
    )


def standing(r: Reader, lease: Lease) -> tuple[bool, bool]:
    """(whether a key by which it logged in is revoked, whether its account is active)"""
    row = r.one(
        f"{_WAYS} SELECT max(k.revoked_at IS NOT NULL) AS revoked, a.is_active"
        " FROM way JOIN agent_keypairs k ON k.id = way.keypair_id, accounts a"
        " WHERE way.lease_id = ? AND a.id = ? GROUP BY a.id",
        (lease.id, lease.account_id),
    )
    return (bool(row["revoked"]), bool(row["is_active"])) if row else (True, False)


# executions


def start_execution(tx: Tx, execution_id: str, lease: Lease, turn_id: str | None, command: str) -> None:
    tx.insert(
        "executions",
        {
            "id": execution_id,
            "account_id": lease.account_id,
            "session_lease_id": lease.id,
            "turn_id": turn_id,
            "command": command,
            "started_at": tx.now,
        },
    )


def finish_execution(
    tx: Tx, execution_id: str, state: str, exit_status: int | None, duration_ms: float, truncated: bool
) -> None:
    tx.run(
        "UPDATE executions SET state = ?, exit_status = ?, duration_ms = ?, truncated = ?, ended_at = ?"
        " WHERE id = ? AND state = 'started'",
        (state, exit_status, duration_ms, truncated, tx.now, execution_id),
    )


def lose_executions(tx: Tx) -> int:
    """Mark what was running when the box died: nobody knows how it ended, and nothing is ever run again."""
    return tx.run("UPDATE executions SET state = 'lost', ended_at = ? WHERE state = 'started'", (tx.now,))


# terminals

TERMINAL = (
    "id, session_lease_id, state, cols, rows, exit_status, end_reason, created_at, ended_at, kept_terminal_id"
)


def terminals(r: Reader, lease_id: str) -> list[dict[str, Any]]:
    return r.all(
        f"SELECT {TERMINAL} FROM terminals WHERE session_lease_id = ? ORDER BY id",
        (lease_id,),
    )


def terminal(r: Reader, lease_id: str, terminal_id: str) -> dict[str, Any]:
    row = r.one(
        f"SELECT {TERMINAL} FROM terminals WHERE id = ? AND session_lease_id = ?",
        (terminal_id, lease_id),
    )
    if row is None:
        raise NotFound
    return row


def end_terminal(tx: Tx, terminal_id: str, exit_status: int | None, end_reason: str) -> bool:
    return (
        tx.run(
            "UPDATE terminals SET state = 'ended', exit_status = ?, end_reason = ?, ended_at = ?"
            " WHERE id = ? AND state = 'open'",
            (exit_status, end_reason, tx.now, terminal_id),
        )
        == 1
    )


def lose_terminals(tx: Tx, end_reason: str) -> None:
    tx.run(
        "UPDATE terminals SET state = 'ended', end_reason = ?, ended_at = ? WHERE state = 'open'",
        (end_reason, tx.now),
    )
