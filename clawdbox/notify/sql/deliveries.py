"""Rows of `notify_deliveries`."""

from datetime import datetime
from typing import Any

import msgspec

from clawdbox.notify.model import ChannelKind, Delivery, Logged
from clawdbox.store import Reader, Tx
from clawdbox.store.rows import to_struct

DELIVERY = ", ".join(Delivery.__struct_fields__)
_OF_DELIVERY = ", ".join(f"notify_deliveries.{name}" for name in Delivery.__struct_fields__)


def insert(tx: Tx, delivery: Delivery) -> None:
    tx.insert("notify_deliveries", msgspec.structs.asdict(delivery))


def get(r: Reader, delivery_id: str) -> Delivery | None:
    return r.struct(Delivery, f"SELECT {DELIVERY} FROM notify_deliveries WHERE id = ?", (delivery_id,))


def save(tx: Tx, after: Delivery) -> bool:
    """What came of it; False when it had ended meanwhile."""
    return (
        tx.run(
            "UPDATE notify_deliveries SET state = ?, attempts = ?, next_try_at = ?, last_error = ?, sent_at = ?"
            " WHERE id = ? AND state = 'pending'",
            (after.state, after.attempts, after.next_try_at, after.last_error, after.sent_at, after.id),
        )
        == 1
    )


def due(r: Reader, limit: int) -> list[tuple[str, str]]:
    """(channel, delivery), what has waited longest first."""
    rows = r.all(
        "SELECT channel_id, id FROM notify_deliveries WHERE state = 'pending' AND next_try_at <= ?"
        " ORDER BY next_try_at, rowid LIMIT ?",
        (r.now, limit),
    )
    return [(row["channel_id"], row["id"]) for row in rows]


def next_due(r: Reader) -> datetime | None:
    found = r.value("SELECT min(next_try_at) FROM notify_deliveries WHERE state = 'pending'")
    return None if found is None else msgspec.convert(found, datetime)


def hold_back(tx: Tx, channel_id: str, until: datetime) -> None:
    """The other side asked to be left alone: nothing goes there before."""
    tx.run(
        "UPDATE notify_deliveries SET next_try_at = max(next_try_at, :until)"
        " WHERE channel_id = :channel AND state = 'pending'",
        {"channel": channel_id, "until": until},
    )


def told_since(r: Reader, account_id: str, since: datetime) -> int:
    """Of how many events an account was told one by one."""
    return int(
        r.value(
            "SELECT count(DISTINCT event_id) FROM notify_deliveries"
            " JOIN notify_channels ON notify_channels.id = channel_id"
            " WHERE account_id = ? AND notify_deliveries.created_at > ? AND folded IS NULL",
            (account_id, since),
        )
    )


def waiting_fold(r: Reader, channel_id: str) -> Delivery | None:
    """The one into which more can still be folded: not yet due, so nobody is about to send it."""
    return r.struct(
        Delivery,
        f"SELECT {DELIVERY} FROM notify_deliveries WHERE channel_id = ? AND state = 'pending'"
        " AND folded IS NOT NULL AND attempts = 0 AND next_try_at > ?",
        (channel_id, r.now),
    )


def fold(tx: Tx, delivery_id: str, counts: dict[str, int]) -> None:
    tx.run("UPDATE notify_deliveries SET folded = ? WHERE id = ?", (counts, delivery_id))


def page(r: Reader, account_id: str, limit: int, before: str | None) -> list[Logged]:
    """Newest first; with `before`, those made before that one. Removed channels' too."""
    rows = r.all(
        f"SELECT {_OF_DELIVERY}, notify_channels.kind AS channel_kind, notify_channels.label AS channel_label"
        " FROM notify_deliveries JOIN notify_channels ON notify_channels.id = channel_id"
        " WHERE account_id = :account AND (:before IS NULL OR notify_deliveries.id < :before)"
        " ORDER BY notify_deliveries.id DESC LIMIT :limit",
        {"account": account_id, "before": before, "limit": limit},
    )
    return [_logged(row) for row in rows]


def forget(tx: Tx, before: datetime) -> int:
    return tx.run("DELETE FROM notify_deliveries WHERE created_at < ? AND state <> 'pending'", (before,))


def _logged(row: dict[str, Any]) -> Logged:
    kind, label = ChannelKind(row.pop("channel_kind")), str(row.pop("channel_label"))
    return Logged(to_struct(Delivery, row), kind, label)
