"""Who is signed in, and for how long."""

from datetime import datetime, timedelta

from clawdbox.accounts.model import Account, Login
from clawdbox.errors import Conflict, Invalid, Unauthorized

# A use is written down at most this often, so that reading costs no write.
USE_RESOLUTION = timedelta(seconds=60)
IDLE_TIMEOUT_RANGE = (60, 86_400)
MAX_LEASES_RANGE = (1, 50)


def check_login(account: Account, login: Login, now: datetime) -> None:
    """Raises Unauthorized when the login has ended, or its account is disabled."""
    if login.revoked_at or login.expires_at <= now or not account.is_active:
        raise Unauthorized


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


def check_settings(idle_timeout_s: int | None, max_leases: int | None) -> None:
    _within("idle_timeout_s", idle_timeout_s, IDLE_TIMEOUT_RANGE)
    _within("max_leases", max_leases, MAX_LEASES_RANGE)


def _within(field: str, value: int | None, bounds: tuple[int, int]) -> None:
    if value is not None and not bounds[0] <= value <= bounds[1]:
        raise Invalid(field, f"Choose a number from {bounds[0]} to {bounds[1]}.")


def check_disable(account: Account, others_active: int) -> None:
    if account.role == "owner" and others_active == 0:
        raise Conflict(
            "last_owner", "This is the only owner that is left; disabling it would lock everyone out."
        )
