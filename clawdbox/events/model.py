"""Events and audit entries as they are stored."""

from datetime import datetime
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
