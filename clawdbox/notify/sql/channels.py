"""Rows of `notify_channels`. What was removed keeps its name for the log, and loses its target."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from clawdbox.errors import NotFound
from clawdbox.notify.model import Channel
from clawdbox.store import Reader, Tx

CHANNEL = (
    "id, account_id, login_id, kind, label, target_enc, kinds, with_command, enabled, created_at, updated_at,"
    " last_ok_at, failing_since"
)
# A device whose login has ended is told nothing, and neither is an account that was disabled.
_LIVING = (
    "removed_at IS NULL"
    " AND (SELECT is_active FROM accounts WHERE accounts.id = account_id) = 1"
    " AND (login_id IS NULL OR EXISTS (SELECT 1 FROM app_sessions WHERE app_sessions.id = login_id"
    " AND revoked_at IS NULL AND expires_at > :now))"
)


def get(r: Reader, account_id: str, channel_id: str) -> Channel:
    found = r.struct(
        Channel,
        f"SELECT {CHANNEL} FROM notify_channels WHERE id = :id AND account_id = :account AND {_LIVING}",
        {"id": channel_id, "account": account_id, "now": r.now},
    )
    if found is None:
        raise NotFound
    return found


def living(r: Reader, channel_id: str) -> Channel | None:
    return r.struct(
        Channel,
        f"SELECT {CHANNEL} FROM notify_channels WHERE id = :id AND enabled = 1 AND {_LIVING}",
        {"id": channel_id, "now": r.now},
    )


def of_account(r: Reader, account_id: str) -> list[Channel]:
    return r.structs(
        Channel,
        f"SELECT {CHANNEL} FROM notify_channels WHERE account_id = :account AND {_LIVING} ORDER BY id",
        {"account": account_id, "now": r.now},
    )


def wanting(r: Reader, account_id: str, kind: str, happened_at: datetime) -> list[Channel]:
    """The channels that are on and want to be told of this kind; none of what was before they were made."""
    return [
        channel
        for channel in of_account(r, account_id)
        if channel.enabled and kind in channel.kinds and channel.created_at <= happened_at
    ]


def with_endpoint(r: Reader, endpoint_hash: str) -> Channel | None:
    return r.struct(
        Channel,
        f"SELECT {CHANNEL} FROM notify_channels WHERE endpoint_hash = ? AND removed_at IS NULL",
        (endpoint_hash,),
    )


def of_login(r: Reader, login_id: str) -> list[Channel]:
    return r.structs(
        Channel,
        f"SELECT {CHANNEL} FROM notify_channels WHERE login_id = ? AND removed_at IS NULL",
        (login_id,),
    )


def of_ended_logins(r: Reader) -> list[Channel]:
    return r.structs(
        Channel,
        f"SELECT {CHANNEL} FROM notify_channels WHERE login_id IS NOT NULL AND removed_at IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM app_sessions WHERE app_sessions.id = login_id"
        " AND revoked_at IS NULL AND expires_at > ?)",
        (r.now,),
    )


def insert(tx: Tx, row: Mapping[str, Any]) -> None:
    tx.insert("notify_channels", row)


def save_choices(tx: Tx, channel: Channel) -> None:
    tx.run(
        "UPDATE notify_channels SET label = ?, kinds = ?, with_command = ?, enabled = ?, updated_at = ? WHERE id = ?",
        (channel.label, channel.kinds, channel.with_command, channel.enabled, tx.now, channel.id),
    )


def remove(tx: Tx, channel_id: str) -> None:
    tx.run(
        "UPDATE notify_channels SET removed_at = ?, updated_at = ?, target_enc = NULL WHERE id = ?",
        (tx.now, tx.now, channel_id),
    )


def note_success(tx: Tx, channel_id: str) -> None:
    tx.run(
        "UPDATE notify_channels SET last_ok_at = ?, failing_since = NULL WHERE id = ?", (tx.now, channel_id)
    )


def note_failure(tx: Tx, channel_id: str) -> None:
    tx.run(
        "UPDATE notify_channels SET failing_since = coalesce(failing_since, ?) WHERE id = ?",
        (tx.now, channel_id),
    )


def forget_removed(tx: Tx, before: datetime) -> int:
    """Their deliveries go with them."""
    return tx.run("DELETE FROM notify_channels WHERE removed_at < ?", (before,))
