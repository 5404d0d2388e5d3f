"""Rows of `host_authorities`."""

import msgspec

from clawdbox.errors import NotFound
from clawdbox.ssh.model import HostAuthority
from clawdbox.store import Reader, Tx

AUTHORITY = ", ".join(HostAuthority.__struct_fields__)


def living(r: Reader, account_id: str) -> list[HostAuthority]:
    return r.structs(
        HostAuthority,
        f"SELECT {AUTHORITY} FROM host_authorities WHERE account_id = ? AND removed_at IS NULL ORDER BY id",
        (account_id,),
    )


def get(r: Reader, account_id: str, authority_id: str) -> HostAuthority:
    """Raises NotFound, for one that was removed, too."""
    found = r.struct(
        HostAuthority,
        f"SELECT {AUTHORITY} FROM host_authorities WHERE id = ? AND account_id = ? AND removed_at IS NULL",
        (authority_id, account_id),
    )
    if found is None:
        raise NotFound
    return found


def insert(tx: Tx, authority: HostAuthority) -> None:
    tx.insert("host_authorities", msgspec.structs.asdict(authority))


def remove(tx: Tx, authority: HostAuthority) -> None:
    tx.run("UPDATE host_authorities SET removed_at = ? WHERE id = ?", (authority.removed_at, authority.id))
