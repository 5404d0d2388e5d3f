"""Who is signed in, and for how long."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from clawdbox.accounts.model import Account, AccountSettings, Login
from clawdbox.errors import Conflict, Forbidden, Invalid, Unauthorized

# A use is written down at most this often, so that reading costs no write.
USE_RESOLUTION = timedelta(seconds=60)
IDLE_TIMEOUT_RANGE = (60, 86_400)
MAX_LEASES_RANGE = (1, 50)


def check_login(account: Account, login: Login, now: datetime) -> None:
    """Raises Unauthorized when the login has ended, or its account is disabled."""
    if login.revoked_at or login.expires_at <= now or not account.is_active:
        raise Unauthorized


def is_fresh(login: Login, ttl: timedelta, now: datetime) -> bool:
    """Whether its person proved to be there a moment ago."""
    return login.verified_at is not None and timedelta(0) <= now - login.verified_at < ttl


def step_up_required(means: list[str]) -> Forbidden:
    return Forbidden(
        "step_up_required",
        "Prove that it is you: with a passkey, or with the code that `clawdbox confirm` takes on the box.",
        means=means,
    )


def slide(login: Login, ttl: timedelta, now: datetime) -> datetime | None:
    """The new end of a browser's login if this use should be written down, else None. Tokens keep the end they got."""
    if login.last_used_at and now - login.last_used_at < USE_RESOLUTION:
        return None
    return login.expires_at if login.kind == "token" else now + ttl


def check_code(expires_at: datetime, used_at: datetime | None, account: Account, now: datetime) -> None:
    """Raises Unauthorized, alike for a wrong, used and expired code."""
    if used_at or expires_at <= now or not account.is_active:
        raise pairing_refused()


def pairing_refused() -> Unauthorized:
    return Unauthorized(
        "pairing_code_invalid",
        "This pairing link is used up, expired or mistyped. Get a new one: run `clawdbox pair` on the box,"
        " or open Settings on a phone that is signed in.",
    )


BOUNDS: dict[str, tuple[float, float]] = {
    "idle_timeout_s": IDLE_TIMEOUT_RANGE,
    "max_leases": MAX_LEASES_RANGE,
    "turn_max_commands": (1, 10_000),
    "turn_max_tokens": (1_000, 100_000_000),
    "turn_max_cost_usd": (0.01, 10_000),
    "turn_max_s": (60, 86_400),
    "unattended_commands": (1, 10_000),
}
AGENT_MODES = ("ask_everything", "read_freely", "unattended")


def lowers_settings(before: AccountSettings, given: Mapping[str, Any]) -> bool:
    """Whether agents would ask less than before."""
    mode = given.get("agent_mode") or before.agent_mode
    return AGENT_MODES.index(mode) > AGENT_MODES.index(before.agent_mode)


def check_settings(given: Mapping[str, Any]) -> None:
    """Raises Invalid."""
    for name, (low, high) in BOUNDS.items():
        value = given.get(name)
        if value is not None and not low <= value <= high:
            raise Invalid(name, f"Choose a number from {low:g} to {high:g}.")
    if given.get("agent_mode", AGENT_MODES[0]) not in AGENT_MODES:
        raise Invalid("agent_mode", f"Choose one of {', '.join(AGENT_MODES)}.")


def check_disable(account: Account, others_active: int) -> None:
    if account.role == "owner" and others_active == 0:
        raise Conflict(
            "last_owner", "This is the only owner that is left; disabling it would lock everyone out."
        )
