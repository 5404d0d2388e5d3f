"""Rows of `ssh_connections`."""

import msgspec

from clawdbox.errors import NotFound
from clawdbox.ssh.model import Connection
from clawdbox.store import Reader, Tx

CONNECTION = ", ".join(Connection.__struct_fields__)


def all_of(r: Reader, account_id: str) -> list[Connection]:
    return r.structs(
        Connection,
        f"SELECT {CONNECTION} FROM ssh_connections"
        " WHERE account_id = ? AND deleted_at IS NULL ORDER BY label COLLATE NOCASE, id",
        (account_id,),
    )


def get(r: Reader, account_id: str, connection_id: str, *, deleted: bool = False) -> Connection:
    """Raises NotFound; a deleted connection is only found when asked for (an old lease still shows it)."""
    found = find(r, account_id, connection_id, deleted=deleted)
    if found is None:
        raise NotFound
    return found


def find(r: Reader, account_id: str, connection_id: str, *, deleted: bool = False) -> Connection | None:
    found = r.struct(
        Connection,
        f"SELECT {CONNECTION} FROM ssh_connections WHERE id = ? AND account_id = ?",
        (connection_id, account_id),
    )
    return None if found and found.deleted_at and not deleted else found


def by_label(r: Reader, account_id: str, label: str) -> Connection | None:
    return r.struct(
        Connection,
        f"SELECT {CONNECTION} FROM ssh_connections WHERE account_id = ? AND label = ? AND deleted_at IS NULL",
        (account_id, label),
    )


def jumps(r: Reader, account_id: str) -> dict[str, str | None]:
    """id → jump host, of all living connections."""
    rows = r.all(
        "SELECT id, jump_connection_id FROM ssh_connections WHERE account_id = ? AND deleted_at IS NULL",
        (account_id,),
    )
    return {row["id"]: row["jump_connection_id"] for row in rows}


def jumping(r: Reader, connection_id: str) -> list[Connection]:
    """The living connections that have this one as their jump host."""
    return r.structs(
        Connection,
        f"SELECT {CONNECTION} FROM ssh_connections"
        " WHERE jump_connection_id = ? AND deleted_at IS NULL ORDER BY label COLLATE NOCASE, id",
        (connection_id,),
    )


def vouched_for(r: Reader, authority_id: str) -> list[Connection]:
    """The living connections that are trusted by a certificate of this authority."""
    return r.structs(
        Connection,
        f"SELECT {CONNECTION} FROM ssh_connections WHERE host_authority_id = ? AND deleted_at IS NULL ORDER BY id",
        (authority_id,),
    )


def insert(tx: Tx, connection: Connection) -> None:
    tx.insert("ssh_connections", msgspec.structs.asdict(connection))


def save(tx: Tx, connection: Connection) -> None:
    values = msgspec.structs.asdict(connection)
    columns = ", ".join(
        f"{name} = :{name}" for name in values if name not in ("id", "account_id", "created_at")
    )
    tx.run(f"UPDATE ssh_connections SET {columns} WHERE id = :id", values)


def twins(r: Reader, connection: Connection) -> int:
    """How many other living connections enter the same login with the same key."""
    return int(
        r.value(
            "SELECT count(*) FROM ssh_connections WHERE id <> ? AND host = ? AND port = ? AND username = ?"
            " AND keypair_id = ? AND deleted_at IS NULL",
            (connection.id, connection.host, connection.port, connection.username, connection.keypair_id),
        )
    )
