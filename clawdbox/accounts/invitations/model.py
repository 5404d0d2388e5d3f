"""Who may sign up."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

import msgspec


class Mode(StrEnum):
    """`owner`: nobody; `allow_list`: who is on the list, or invited; `invited`: who is invited."""

    OWNER = "owner"
    ALLOW_LIST = "allow_list"
    INVITED = "invited"


class Allowed(msgspec.Struct, frozen=True):
    """Somebody a provider knows: by their name there, or by an e-mail address that it has verified."""

    provider: str
    match: Literal["username", "email"]
    value: str


class SignUp(msgspec.Struct, frozen=True):
    """`role` is what somebody on the list becomes."""

    mode: Mode = Mode.OWNER
    role: str = "operator"
    allowed: tuple[Allowed, ...] = ()


class Invitation(msgspec.Struct, frozen=True):
    id: str
    label: str
    role: str
    created_by: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None
    used_by: str | None
    withdrawn_at: datetime | None


class Invited(msgspec.Struct, frozen=True):
    """`code` is shown once; only its hash is kept."""

    invitation: Invitation
    code: str

    def __repr__(self) -> str:
        return f"Invited({self.invitation.id})"
