"""Providers, the people they know, and the flows that lead there and back."""

from datetime import datetime
from enum import StrEnum

import msgspec

from clawdbox.accounts.model import Granted
from clawdbox.vault import Secret


class Kind(StrEnum):
    GITHUB = "github"
    OIDC = "oidc"


class Purpose(StrEnum):
    SIGN_IN = "sign_in"
    LINK = "link"
    STEP_UP = "step_up"


class LoginProvider(msgspec.Struct, frozen=True):
    """`slug` stands in addresses; `issuer` is GitHub's address, or the issuer exactly as the provider names itself."""

    id: str
    slug: str
    kind: Kind
    label: str
    client_id: str
    has_secret: bool
    issuer: str
    scopes: list[str]
    device_flow: bool
    created_at: datetime
    updated_at: datetime


class Client(msgspec.Struct, frozen=True):
    """This box as the provider knows it; the secret shows itself in no repr."""

    client_id: str
    secret: Secret | None
    issuer: str
    scopes: tuple[str, ...]


class Person(msgspec.Struct, frozen=True):
    """Who a provider says has signed in. `(authority, subject)` is all that is ever compared."""

    authority: str
    subject: str
    username: str | None
    name: str | None
    email: str | None
    email_verified: bool
    scopes: list[str]
    signed_in_at: datetime | None = None


class Identity(msgspec.Struct, frozen=True):
    id: str
    account_id: str
    provider: str
    provider_user_id: str
    provider_username: str | None
    provider_email: str | None
    created_at: datetime
    updated_at: datetime


class LoginFlow(msgspec.Struct, frozen=True):
    """`state_hash` binds it to the browser that began it, `login_id` to the login it is about."""

    id: str
    provider_id: str
    kind: str
    purpose: Purpose
    state_hash: str
    login_id: str | None
    invitation_id: str | None
    return_to: str
    device_code_enc: str | None
    interval_s: int | None
    next_poll_at: datetime | None
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None


class Begun(msgspec.Struct, frozen=True):
    """A flow just begun. `ticket` goes into the browser's cookie and is kept nowhere else."""

    flow_id: str
    ticket: str
    expires_at: datetime
    redirect_url: str = ""
    user_code: str = ""
    verification_uri: str = ""
    interval_s: int = 0

    def __repr__(self) -> str:
        return f"Begun({self.flow_id})"


class DeviceCode(msgspec.Struct, frozen=True):
    device_code: str
    user_code: str
    verification_uri: str
    expires_in: int
    interval: int

    def __repr__(self) -> str:
        return "DeviceCode(…)"


class Done(msgspec.Struct, frozen=True):
    """What came of a flow: a new login only where somebody signed in."""

    purpose: Purpose
    return_to: str
    granted: Granted | None


class ProviderRefusal(Exception):
    """What a provider answered instead of a token, in OAuth's word for it."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class ProviderFailed(Exception):
    """The provider was not reached, or its answer cannot be trusted; `why` is a sentence for a person."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why
