"""Rows of `forwards`."""

from typing import Any

from clawdbox.errors import NotFound
from clawdbox.ssh.model.forwards import Forward, PortUse
from clawdbox.store import Reader, Tx

FORWARD = ", ".join(Forward.__struct_fields__)
_LONGEST_HISTORY = 1000


def of_lease(r: Reader, lease_id: str) -> list[Forward]:
    return r.structs(
        Forward, f"SELECT {FORWARD} FROM forwards WHERE session_lease_id = ? ORDER BY id", (lease_id,)
    )


def get(r: Reader, lease_id: str, forward_id: str) -> Forward:
    found = r.struct(
        Forward,
        f"SELECT {FORWARD} FROM forwards WHERE id = ? AND session_lease_id = ?",
        (forward_id, lease_id),
    )
    if found is None:
        raise NotFound
    return found


def insert(tx: Tx, values: dict[str, Any]) -> None:
    tx.insert("forwards", values)


def bound(tx: Tx, forward_id: str, port: int | None) -> None:
    tx.run("UPDATE forwards SET bound_port = ? WHERE id = ?", (port, forward_id))


def end(tx: Tx, forward_id: str, reason: str, counts: tuple[int, int, int]) -> bool:
    """`counts` are connections, bytes in, bytes out. The first end stands."""
    return (
        tx.run(
            "UPDATE forwards SET state = 'ended', end_reason = ?, ended_at = ?, connections = ?, bytes_in = ?,"
            " bytes_out = ? WHERE id = ? AND state = 'open'",
            (reason, tx.now, *counts, forward_id),
        )
        == 1
    )


def lose_all(tx: Tx, reason: str) -> None:
    tx.run(
        "UPDATE forwards SET state = 'ended', end_reason = ?, ended_at = ? WHERE state = 'open'",
        (reason, tx.now),
    )


def port_uses(r: Reader) -> list[PortUse]:
    """For each port on which a web app was shown the last one, those of longest ago first."""
    return r.structs(
        PortUse,
        "SELECT bound_port, connection_id, target_host, target_port, max(id) AS latest FROM forwards"
        " WHERE kind = 'web' AND bound_port IS NOT NULL GROUP BY bound_port ORDER BY latest LIMIT ?",
        (_LONGEST_HISTORY,),
    )
