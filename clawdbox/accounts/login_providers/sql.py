"""Rows of `login_providers`, `login_flows` and `oauth_identities`."""

from datetime import datetime
from typing import Any

from clawdbox.accounts.login_providers.model import Identity, LoginFlow, LoginProvider
from clawdbox.errors import NotFound
from clawdbox.store import Reader, Tx

_FIELDS = [name for name in LoginProvider.__struct_fields__ if name != "has_secret"]
PROVIDER = ", ".join([*_FIELDS, "client_secret_enc IS NOT NULL AS has_secret"])
FLOW = ", ".join(LoginFlow.__struct_fields__)
IDENTITY = ", ".join(Identity.__struct_fields__)


def providers(r: Reader) -> list[LoginProvider]:
    return r.structs(
        LoginProvider, f"SELECT {PROVIDER} FROM login_providers WHERE removed_at IS NULL ORDER BY label, id"
    )


def provider(r: Reader, provider_id: str) -> LoginProvider:
    found = r.struct(
        LoginProvider,
        f"SELECT {PROVIDER} FROM login_providers WHERE removed_at IS NULL AND id = ?",
        (provider_id,),
    )
    if found is None:
        raise NotFound
    return found


def by_slug(r: Reader, slug: str) -> LoginProvider | None:
    return r.struct(
        LoginProvider,
        f"SELECT {PROVIDER} FROM login_providers WHERE removed_at IS NULL AND slug = ?",
        (slug,),
    )


def sealed_secret(r: Reader, provider_id: str) -> str | None:
    found: str | None = r.value("SELECT client_secret_enc FROM login_providers WHERE id = ?", (provider_id,))
    return found


def remove_provider(tx: Tx, provider_id: str) -> None:
    tx.run(
        "UPDATE login_providers SET client_secret_enc = NULL, removed_at = ?, updated_at = ? WHERE id = ?",
        (tx.now, tx.now, provider_id),
    )
    tx.run("DELETE FROM login_flows WHERE provider_id = ?", (provider_id,))


def sweep_flows(tx: Tx) -> None:
    tx.run("DELETE FROM login_flows WHERE expires_at <= ?", (tx.now,))


def flow(r: Reader, state_hash: str) -> LoginFlow | None:
    return r.struct(LoginFlow, f"SELECT {FLOW} FROM login_flows WHERE state_hash = ?", (state_hash,))


def use_flow(tx: Tx, flow_id: str) -> bool:
    """Whether this call was the one that used it."""
    done = "UPDATE login_flows SET used_at = ?, device_code_enc = NULL WHERE id = ? AND used_at IS NULL"
    return tx.run(done, (tx.now, flow_id)) == 1


def pace_flow(tx: Tx, flow_id: str, interval_s: int, next_poll_at: datetime) -> None:
    tx.run(
        "UPDATE login_flows SET interval_s = ?, next_poll_at = ? WHERE id = ?",
        (interval_s, next_poll_at, flow_id),
    )


def identity(r: Reader, authority: str, subject: str) -> Identity | None:
    return r.struct(
        Identity,
        f"SELECT {IDENTITY} FROM oauth_identities WHERE provider = ? AND provider_user_id = ?",
        (authority, subject),
    )


def identities(r: Reader, account_id: str) -> list[Identity]:
    return r.structs(
        Identity,
        f"SELECT {IDENTITY} FROM oauth_identities WHERE account_id = ? ORDER BY created_at, id",
        (account_id,),
    )


def insert_identity(tx: Tx, row: dict[str, Any]) -> None:
    tx.insert("oauth_identities", row)


def refresh_identity(tx: Tx, identity_id: str, username: str | None, email: str | None) -> None:
    tx.run(
        "UPDATE oauth_identities SET provider_username = ?, provider_email = ?, updated_at = ? WHERE id = ?",
        (username, email, tx.now, identity_id),
    )


def delete_identity(tx: Tx, identity_id: str) -> None:
    tx.run("DELETE FROM oauth_identities WHERE id = ?", (identity_id,))
