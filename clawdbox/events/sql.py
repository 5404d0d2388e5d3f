"""Rows of `events`, `event_inbox`, `audit_log` and `audit_keys`."""

from datetime import datetime
from typing import Any

from clawdbox.errors import NotFound
from clawdbox.events.model import AuditArchive, AuditEntry, Event, Incident
from clawdbox.store import Reader, Tx

EVENT = "seq, id, account_id, type, subject_type, subject_id, payload, created_at"
AUDIT = "id, account_id, actor, action, target_type, target_id, ip_address, result, detail, created_at, mac, key_id"


def events_after(r: Reader, account_id: str, after: int, limit: int) -> list[Event]:
    return r.structs(
        Event,
        f"SELECT {EVENT} FROM events WHERE account_id = ? AND seq > ? ORDER BY seq LIMIT ?",
        (account_id, after, limit),
    )


def last_event(r: Reader, account_id: str) -> int:
    return int(r.value("SELECT max(seq) FROM events WHERE account_id = ?", (account_id,)) or 0)


# the outbox, and the inboxes of those who hear it


def outbox_after(r: Reader, types: tuple[str, ...], after: int, limit: int) -> list[Event]:
    """Events of these types of every account, in the order of their commits."""
    return r.structs(
        Event,
        f"SELECT {EVENT} FROM events WHERE seq > ? AND type IN (SELECT value FROM json_each(?)) ORDER BY seq LIMIT ?",
        (after, types, limit),
    )


def event(r: Reader, event_id: str) -> Event | None:
    return r.struct(Event, f"SELECT {EVENT} FROM events WHERE id = ?", (event_id,))


def take(tx: Tx, event_id: str, consumer: str) -> bool:
    """Whether the consumer takes the event now; what it does with it belongs into the same transaction."""
    return tx.run("INSERT OR IGNORE INTO event_inbox VALUES (?, ?, ?)", (event_id, consumer, tx.now)) == 1


def last_taken(r: Reader, consumer: str) -> int:
    """The sequence number of the newest event that the consumer has taken."""
    return int(
        r.value(
            "SELECT max(events.seq) FROM event_inbox JOIN events ON events.id = event_inbox.event_id"
            " WHERE event_inbox.consumer = ?",
            (consumer,),
        )
        or 0
    )


def forget_taken(tx: Tx, consumer: str, before: datetime) -> int:
    """Inbox rows of long ago, but not the newest, which says how far the consumer has come."""
    return tx.run(
        "DELETE FROM event_inbox WHERE consumer = :consumer AND taken_at < :before AND event_id <> ("
        " SELECT events.id FROM event_inbox AS other JOIN events ON events.id = other.event_id"
        " WHERE other.consumer = :consumer ORDER BY events.seq DESC LIMIT 1)",
        {"consumer": consumer, "before": before},
    )


# incidents

INCIDENT = "id, account_id, kind, subject, detail, times, first_at, last_at, seen_at"


def incidents(r: Reader, account_id: str, limit: int, *, only_open: bool) -> list[Incident]:
    return r.structs(
        Incident,
        f"SELECT {INCIDENT} FROM incidents WHERE account_id = ? AND (NOT ? OR seen_at IS NULL)"
        " ORDER BY last_at DESC, id DESC LIMIT ?",
        (account_id, only_open, limit),
    )


def incident(r: Reader, account_id: str, incident_id: str) -> Incident:
    found = r.struct(
        Incident,
        f"SELECT {INCIDENT} FROM incidents WHERE account_id = ? AND id = ?",
        (account_id, incident_id),
    )
    if found is None:
        raise NotFound
    return found


def open_incident(r: Reader, account_id: str, kind: str, subject: str) -> Incident | None:
    return r.struct(
        Incident,
        f"SELECT {INCIDENT} FROM incidents WHERE account_id = ? AND kind = ? AND subject = ? AND seen_at IS NULL",
        (account_id, kind, subject),
    )


def count_incident(tx: Tx, incident_id: str, detail: dict[str, Any]) -> None:
    tx.run(
        "UPDATE incidents SET times = times + 1, last_at = ?, detail = ? WHERE id = ?",
        (tx.now, detail, incident_id),
    )


def see_incident(tx: Tx, incident_id: str) -> None:
    tx.run("UPDATE incidents SET seen_at = ? WHERE id = ? AND seen_at IS NULL", (tx.now, incident_id))


# the audit trail


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


def audit_of_account_after(r: Reader, account_id: str, after: int, limit: int) -> list[AuditEntry]:
    return r.structs(
        AuditEntry,
        f"SELECT {AUDIT} FROM audit_log WHERE account_id = ? AND id > ? ORDER BY id LIMIT ?",
        (account_id, after, limit),
    )


def audit_rows_after(r: Reader, after: int, limit: int) -> list[dict[str, Any]]:
    """Bare rows, for a check that must also survive what somebody wrote into them."""
    return r.all(f"SELECT {AUDIT} FROM audit_log WHERE id > ? ORDER BY id LIMIT ?", (after, limit))


def last_audit(r: Reader) -> dict[str, Any] | None:
    return r.one("SELECT mac, created_at FROM audit_log ORDER BY id DESC LIMIT 1")


def last_issued_audit_id(r: Reader) -> int:
    return int(r.value("SELECT seq FROM sqlite_sequence WHERE name = 'audit_log'") or 0)


def audit_keys(r: Reader) -> list[dict[str, Any]]:
    """The first there was comes first."""
    return r.all("SELECT key_id, key_enc FROM audit_keys ORDER BY n")


def has_audit_key(r: Reader, key_id: str) -> bool:
    return r.value("SELECT 1 FROM audit_keys WHERE key_id = ?", (key_id,)) is not None


def keep_audit_key(tx: Tx, key_id: str, sealed: str) -> None:
    tx.run(
        "INSERT OR IGNORE INTO audit_keys (key_id, key_enc, created_at) VALUES (?, ?, ?)",
        (key_id, sealed, tx.now),
    )


# archives of it

ARCHIVE = "last_id, first_id, month, file_name, sha256, last_mac, key_id, created_at, mac, removed_at"


def archives(r: Reader) -> list[AuditArchive]:
    return r.structs(AuditArchive, f"SELECT {ARCHIVE} FROM audit_archives ORDER BY last_id")


def last_archive(r: Reader) -> AuditArchive | None:
    return r.struct(AuditArchive, f"SELECT {ARCHIVE} FROM audit_archives ORDER BY last_id DESC LIMIT 1")


def archives_before(r: Reader, before: datetime) -> list[AuditArchive]:
    return r.structs(
        AuditArchive,
        f"SELECT {ARCHIVE} FROM audit_archives WHERE removed_at IS NULL AND created_at < ? ORDER BY last_id",
        (before,),
    )


def archive_removed(tx: Tx, last_id: int) -> None:
    tx.run("UPDATE audit_archives SET removed_at = ? WHERE last_id = ?", (tx.now, last_id))


def last_audit_id_before(r: Reader, after: int, moment: datetime) -> int:
    """The last row behind `after` before which, itself included, none is of that moment or later."""
    first_later = r.value("SELECT min(id) FROM audit_log WHERE id > ? AND created_at >= ?", (after, moment))
    return int(first_later) - 1 if first_later else last_issued_audit_id(r)


def delete_archived(tx: Tx, last_id: int) -> None:
    """A trigger lets go only of what an archive has."""
    tx.run("DELETE FROM audit_log WHERE id <= ?", (last_id,))
