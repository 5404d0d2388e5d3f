"""Public keys that speak about host keys."""

from datetime import datetime
from enum import StrEnum

import msgspec


class MarkKind(StrEnum):
    """`@cert-authority` and `@revoked` of known_hosts (sshd(8))."""

    AUTHORITY = "authority"
    REVOKED = "revoked"


class HostAuthority(msgspec.Struct, frozen=True):
    """A key that signs host certificates for hosts that match `patterns`, or a host key that is trusted there no more.

    `public_key` is type and base64, without a comment.
    """

    id: str
    account_id: str
    kind: MarkKind
    label: str
    patterns: str
    key_type: str
    public_key: str
    fingerprint: str
    created_at: datetime
    removed_at: datetime | None = None
