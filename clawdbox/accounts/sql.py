"""Rows of `accounts`, `app_sessions`, `pairing_codes`, `passkeys`, `recovery_codes` and `account_settings`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from clawdbox.accounts.model import Account, AccountSettings, Login, Passkey
from clawdbox.errors import NotFound
from clawdbox.store import Reader, Tx

ACCOUNT = "id, display_name, email, role, created_at, last_seen_at, is_active"
LOGIN = "id, account_id, kind, scope, device_name, ip_address, user_agent, created_at, expires_at, last_used_at, revoked_at, method, verified_at"


def accounts(r: Reader) -> list[Account]:
    return r.structs(Account, f"SELECT {ACCOUNT} FROM accounts ORDER BY created_at, id")


def account(r: Reader, account_id: str) -> Account:
    found = r.struct(Account, f"SELECT {ACCOUNT} FROM accounts WHERE id = ?", (account_id,))
    if found is None:
        raise NotFound
    return found


def owner(r: Reader) -> Account | None:
    return r.struct(
        Account,
        f"SELECT {ACCOUNT} FROM accounts WHERE role = 'owner' ORDER BY created_at, id LIMIT 1",
    )


def set_active(tx: Tx, account_id: str, active: bool) -> None:
    tx.run("UPDATE accounts SET is_active = ? WHERE id = ?", (active, account_id))


def set_role(tx: Tx, account_id: str, role: str) -> None:
    tx.run("UPDATE accounts SET role = ? WHERE id = ?", (role, account_id))


def set_email(tx: Tx, account_id: str, email: str | None) -> None:
    tx.run("UPDATE accounts SET email = ? WHERE id = ?", (email, account_id))


def other_active_owners(r: Reader, account_id: str) -> int:
    return int(
        r.value(
            "SELECT count(*) FROM accounts WHERE role = 'owner' AND is_active = 1 AND id <> ?", (account_id,)
        )
    )


def login_by_hash(r: Reader, token_hash: str) -> Login | None:
    return r.struct(Login, f"SELECT {LOGIN} FROM app_sessions WHERE token_hash = ?", (token_hash,))


def login(r: Reader, account_id: str, login_id: str) -> Login:
    found = r.struct(
        Login,
        f"SELECT {LOGIN} FROM app_sessions WHERE id = ? AND account_id = ?",
        (login_id, account_id),
    )
    if found is None:
        raise NotFound
    return found


def login_by_id(r: Reader, login_id: str) -> Login:
    found = r.struct(Login, f"SELECT {LOGIN} FROM app_sessions WHERE id = ?", (login_id,))
    if found is None:
        raise NotFound
    return found


def living_logins(r: Reader, account_id: str) -> list[Login]:
    return r.structs(
        Login,
        f"SELECT {LOGIN} FROM app_sessions WHERE account_id = ? AND revoked_at IS NULL AND expires_at > ?"
        " ORDER BY last_used_at DESC, id DESC",
        (account_id, r.now),
    )


def use_login(tx: Tx, login_id: str, account_id: str, expires_at: datetime) -> None:
    tx.run(
        "UPDATE app_sessions SET last_used_at = ?, expires_at = ? WHERE id = ?",
        (tx.now, expires_at, login_id),
    )
    tx.run("UPDATE accounts SET last_seen_at = ? WHERE id = ?", (tx.now, account_id))


def revoke_login(tx: Tx, login_id: str) -> None:
    tx.run("UPDATE app_sessions SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", (tx.now, login_id))


def verify_login(tx: Tx, login_id: str) -> Login | None:
    """The login, verified now; None when there is none that lives."""
    changed = tx.run(
        "UPDATE app_sessions SET verified_at = ? WHERE id = ? AND revoked_at IS NULL AND expires_at > ?",
        (tx.now, login_id, tx.now),
    )
    return (
        tx.struct(Login, f"SELECT {LOGIN} FROM app_sessions WHERE id = ?", (login_id,)) if changed else None
    )


def had_a_browser(r: Reader, account_id: str) -> bool:
    """Whether one was ever signed in to the account."""
    return bool(
        r.value(
            "SELECT EXISTS (SELECT 1 FROM app_sessions WHERE account_id = ? AND kind = 'browser')",
            (account_id,),
        )
    )


def pairing_code(r: Reader, code_hash: str) -> dict[str, Any] | None:
    return r.one(
        "SELECT id, account_id, expires_at, used_at, at_the_box FROM pairing_codes WHERE code_hash = ?",
        (code_hash,),
    )


def use_pairing_code(tx: Tx, code_id: str, login_id: str) -> bool:
    """Whether this call was the one that used it."""
    return (
        tx.run(
            "UPDATE pairing_codes SET used_at = ?, used_by = ? WHERE id = ? AND used_at IS NULL",
            (tx.now, login_id, code_id),
        )
        == 1
    )


PASSKEY = (
    "id, account_id, credential_id, public_key, sign_count, rp_id, label, backed_up, created_at, last_used_at"
)


def passkeys(r: Reader, account_id: str) -> list[Passkey]:
    return r.structs(
        Passkey,
        f"SELECT {PASSKEY} FROM passkeys WHERE account_id = ? ORDER BY created_at, id",
        (account_id,),
    )


def passkey(r: Reader, account_id: str, passkey_id: str) -> Passkey:
    found = r.struct(
        Passkey,
        f"SELECT {PASSKEY} FROM passkeys WHERE id = ? AND account_id = ?",
        (passkey_id, account_id),
    )
    if found is None:
        raise NotFound
    return found


def passkey_by_credential(r: Reader, credential_id: str) -> Passkey | None:
    return r.struct(Passkey, f"SELECT {PASSKEY} FROM passkeys WHERE credential_id = ?", (credential_id,))


def use_passkey(tx: Tx, seen: Passkey, sign_count: int) -> bool:
    """Whether it is still there, and counted as it was when it was looked at."""
    return (
        tx.run(
            "UPDATE passkeys SET sign_count = ?, last_used_at = ? WHERE id = ? AND sign_count = ?",
            (sign_count, tx.now, seen.id, seen.sign_count),
        )
        == 1
    )


def recovery_codes_left(r: Reader, account_id: str) -> int:
    return int(
        r.value("SELECT count(*) FROM recovery_codes WHERE account_id = ? AND used_at IS NULL", (account_id,))
    )


def use_recovery_code(tx: Tx, code_hash: str) -> str | None:
    """The account it belongs to, when this call was the one that used it."""
    changed = tx.run(
        "UPDATE recovery_codes SET used_at = ? WHERE code_hash = ? AND used_at IS NULL", (tx.now, code_hash)
    )
    if changed != 1:
        return None
    return str(tx.value("SELECT account_id FROM recovery_codes WHERE code_hash = ?", (code_hash,)))


SETTINGS = ", ".join(AccountSettings.__struct_fields__)


def settings(r: Reader, account_id: str, defaults: AccountSettings) -> AccountSettings:
    row = r.one(f"SELECT {SETTINGS} FROM account_settings WHERE account_id = ?", (account_id,)) or {}
    return msgspec.structs.replace(
        defaults, **{name: value for name, value in row.items() if value is not None}
    )


def save_settings(tx: Tx, account_id: str, given: Mapping[str, Any]) -> None:
    """Only what is given changes; the names are those of AccountSettings."""
    tx.run(
        "INSERT INTO account_settings (account_id, updated_at) VALUES (?, ?)"
        " ON CONFLICT (account_id) DO UPDATE SET updated_at = excluded.updated_at",
        (account_id, tx.now),
    )
    for name in AccountSettings.__struct_fields__:
        if name in given:
            tx.run(f"UPDATE account_settings SET {name} = ? WHERE account_id = ?", (given[name], account_id))
