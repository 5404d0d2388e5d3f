"""Accounts, logins, and the Principal on whose behalf a request runs."""

from datetime import datetime

import msgspec

from clawdbox.events import Actor


class Account(msgspec.Struct, frozen=True):
    """A person."""

    id: str
    display_name: str
    email: str | None
    role: str
    created_at: datetime
    last_seen_at: datetime | None
    is_active: bool


class Login(msgspec.Struct, frozen=True):
    """A signed-in browser, or an API token (`kind` = `token`, whose name is its `device_name`).

    `method` is how it came about; `verified_at` when its person last proved to be there (step-up).
    """

    id: str
    account_id: str
    kind: str
    scope: str
    device_name: str | None
    ip_address: str | None
    user_agent: str | None
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None
    method: str
    verified_at: datetime | None


class Device(msgspec.Struct, frozen=True):
    """What a browser says of itself, and where it asks from; made harmless before it is kept."""

    name: str | None
    ip_address: str | None
    user_agent: str | None


class Granted(msgspec.Struct, frozen=True):
    """A login just granted. `token` leaves the box here, once; only its hash is kept."""

    account: Account
    login: Login
    token: str

    def __repr__(self) -> str:
        return f"Granted({self.login.id})"


class Passkey(msgspec.Struct, frozen=True):
    """`sign_count` is how often its authenticator says it was used; those that are synchronized say 0."""

    id: str
    account_id: str
    credential_id: str
    public_key: str
    sign_count: int
    rp_id: str
    label: str
    backed_up: bool
    created_at: datetime
    last_used_at: datetime | None


class PairingCode(msgspec.Struct, frozen=True):
    """`code` is shown once; only its hash is kept."""

    code: str
    expires_at: datetime

    def __repr__(self) -> str:
        return "PairingCode(…)"


class Principal(msgspec.Struct, frozen=True):
    account: Account
    login: Login
    ip_address: str | None

    @property
    def account_id(self) -> str:
        return self.account.id

    @property
    def actor(self) -> Actor:
        return Actor(self.account.id, self.ip_address, self.login.id)


class AccountSettings(msgspec.Struct, frozen=True):
    """`idle_timeout_s` in seconds; `max_leases` at the same time; `turn_max_*` what one message to an agent may use.

    `agent_mode` says what an agent asks about (`policy.Mode`), `unattended_commands` how many of a turn that change
    something may run without a question where nobody is there.
    """

    idle_timeout_s: int
    max_leases: int
    agent_mode: str
    turn_max_commands: int
    turn_max_tokens: int
    turn_max_cost_usd: float
    turn_max_s: int
    unattended_commands: int
