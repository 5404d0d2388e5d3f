"""Events and audit entries as they are stored."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec


class Actor(msgspec.Struct, frozen=True):
    """Who acts. Without an account it is the box itself (`system`)."""

    account_id: str | None = None
    ip_address: str | None = None
    login_id: str | None = None

    @property
    def name(self) -> str:
        return f"account:{self.account_id}" if self.account_id else "system"


SYSTEM = Actor()


class Event(msgspec.Struct, frozen=True):
    seq: int
    id: str
    account_id: str | None
    type: str
    subject_type: str
    subject_id: str | None
    payload: dict[str, Any]
    created_at: datetime


class IncidentKind(StrEnum):
    FAILED_LOGINS = "failed_logins"
    HOST_KEY_CHANGED = "host_key_changed"


# As what it is told and stands in the audit trail.
INCIDENTS = {
    IncidentKind.FAILED_LOGINS: "incident.failed_logins",
    IncidentKind.HOST_KEY_CHANGED: "incident.host_key_changed",
}


class Incident(msgspec.Struct, frozen=True):
    """What a person should look at. `subject` is the address or the id it is about; while nobody has seen it, the same
    thing happening again counts up `times`."""

    id: str
    account_id: str
    kind: IncidentKind
    subject: str
    detail: dict[str, Any]
    times: int
    first_at: datetime
    last_at: datetime
    seen_at: datetime | None


class AuditEntry(msgspec.Struct, frozen=True):
    """A row of the audit trail. `mac` = HMAC-SHA256(key, previous mac ‖ this row), in hexadecimal.

    `key_id` names the master key that `key` is derived from; None is the first there was (`audit_keys.py`).
    """

    id: int
    account_id: str | None
    actor: str | None
    action: str
    target_type: str | None
    target_id: str | None
    ip_address: str | None
    result: str | None
    detail: dict[str, Any] | None
    created_at: datetime
    mac: str
    key_id: str | None = None


class AuditArchive(msgspec.Struct, frozen=True):
    """Rows `first_id` to `last_id` lie in a file. `last_mac` is what the next row follows from, `mac` signs all this but
    `removed_at`, when the file was removed for its age."""

    last_id: int
    first_id: int
    month: str
    file_name: str
    sha256: str
    last_mac: str
    key_id: str | None
    created_at: datetime
    mac: str
    removed_at: datetime | None
