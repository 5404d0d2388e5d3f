"""Rows of `control_policies`, and the executions that come through a control socket."""

import msgspec

from clawdbox.ssh.model import Lease
from clawdbox.ssh.rules.control import Policy, Request
from clawdbox.store import Reader, Tx

_SWITCHES = Policy.__struct_fields__
_COLUMNS = ", ".join(f"allow_{name}" for name in _SWITCHES)


def policy(r: Reader, connection_id: str) -> Policy:
    """The defaults where nobody has chosen."""
    row = r.one(f"SELECT {_COLUMNS} FROM control_policies WHERE connection_id = ?", (connection_id,))
    return Policy(**{name: bool(row[f"allow_{name}"]) for name in _SWITCHES}) if row else Policy()


def save_policy(tx: Tx, connection_id: str, chosen: Policy) -> None:
    values = {f"allow_{name}": int(value) for name, value in msgspec.structs.asdict(chosen).items()}
    row = {"connection_id": connection_id, **values, "updated_at": tx.now}
    changes = ", ".join(f"{name} = excluded.{name}" for name in row if name != "connection_id")
    tx.run(
        f"INSERT INTO control_policies ({', '.join(row)}) VALUES ({', '.join(f':{name}' for name in row)})"
        f" ON CONFLICT (connection_id) DO UPDATE SET {changes}",
        row,
    )


def start_execution(tx: Tx, execution_id: str, lease: Lease, request: Request) -> None:
    tx.insert(
        "executions",
        {
            "id": execution_id,
            "account_id": lease.account_id,
            "session_lease_id": lease.id,
            "kind": request.use.value,
            "command": request.command or "",
            "started_at": tx.now,
        },
    )
