"""Rows of `invitations`, and who may sign up (`box_meta`)."""

import msgspec

from clawdbox.accounts.invitations.model import Invitation, SignUp
from clawdbox.errors import NotFound
from clawdbox.store import Reader, Tx

INVITATION = ", ".join(Invitation.__struct_fields__)
_KEY = "sign_up"
_OPEN = "used_at IS NULL AND withdrawn_at IS NULL AND expires_at > ?"


def sign_up(r: Reader) -> SignUp:
    text = r.value("SELECT value FROM box_meta WHERE key = ?", (_KEY,))
    return msgspec.json.decode(text, type=SignUp) if text else SignUp()


def save_sign_up(tx: Tx, chosen: SignUp) -> None:
    tx.run("INSERT OR REPLACE INTO box_meta VALUES (?, ?)", (_KEY, msgspec.json.encode(chosen).decode()))


def open_ones(r: Reader) -> list[Invitation]:
    return r.structs(
        Invitation, f"SELECT {INVITATION} FROM invitations WHERE {_OPEN} ORDER BY created_at DESC", (r.now,)
    )


def get(r: Reader, invitation_id: str) -> Invitation:
    found = r.struct(Invitation, f"SELECT {INVITATION} FROM invitations WHERE id = ?", (invitation_id,))
    if found is None:
        raise NotFound
    return found


def by_hash(r: Reader, code_hash: str) -> Invitation | None:
    return r.struct(Invitation, f"SELECT {INVITATION} FROM invitations WHERE code_hash = ?", (code_hash,))


def use(tx: Tx, invitation_id: str, account_id: str) -> None:
    tx.run(
        "UPDATE invitations SET used_at = ?, used_by = ? WHERE id = ?", (tx.now, account_id, invitation_id)
    )


def withdraw(tx: Tx, invitation_id: str) -> None:
    tx.run("UPDATE invitations SET withdrawn_at = ? WHERE id = ?", (tx.now, invitation_id))
