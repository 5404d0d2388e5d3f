"""Rows of `events` and `audit_log`."""

from datetime import datetime
from typing import Any

from clawdbox.events.model import AuditEntry, Event
from clawdbox.store import Reader

EVENT = "seq, id, account_id, type, subject_type, subject_id, payload, created_at"
AUDIT = "id, account_id, actor, action, target_type, target_id, ip_address, result, detail, created_at, mac"


def events_after(r: Reader, account_id: str, after: int, limit: int) -> list[Event]:
    return r.structs(
        Event,
        f"SELECT {EVENT} FROM events WHERE account_id = ? AND seq > ? ORDER BY seq LIMIT ?",
        (account_id, after, limit),
    )


def last_event(r: Reader, account_id: str) -> int:
    return int(r.value("SELECT max(seq) FROM events WHERE account_id = ?", (account_id,)) or 0)


def audit_page(
    r: Reader, account_id: str, limit: int, before: datetime | None, action: str | None
) -> list[AuditEntry]:
    return r.structs(
        AuditEntry,
        f"SELECT {AUDIT} FROM audit_log WHERE account_id = :account"
        " AND (:before IS NULL OR created_at < :before) AND (:action IS NULL OR action = :action)"
        " ORDER BY created_at DESC, id DESC LIMIT :limit",
        {"account": account_id, "before": before, "action": action, "limit": limit},
    )


def audit_after(r: Reader, after: int, limit: int) -> list[AuditEntry]:
    return r.structs(
        AuditEntry,
        f"SELECT {AUDIT} FROM audit_log WHERE id > ? ORDER BY id LIMIT ?",
        (after, limit),
    )


def audit_rows_after(r: Reader, after: int, limit: int) -> list[dict[str, Any]]:
    """Bare rows, for a check that must also survive what somebody wrote into them."""
    return r.all(f"SELECT {AUDIT} FROM audit_log WHERE id > ? ORDER BY id LIMIT ?", (after, limit))


def last_audit(r: Reader) -> dict[str, Any] | None:
    return r.one("SELECT mac, created_at FROM audit_log ORDER BY id DESC LIMIT 1")


def last_issued_audit_id(r: Reader) -> int:
    return int(r.value("SELECT seq FROM sqlite_sequence WHERE name = 'audit_log'") or 0)
