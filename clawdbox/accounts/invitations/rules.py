"""Whom the owner lets in."""

from datetime import datetime, timedelta

from clawdbox.accounts.invitations.model import Allowed, Invitation, Mode, SignUp
from clawdbox.errors import Conflict, Forbidden, Invalid, Unauthorized

MAX_ALLOWED = 200
MAX_OPEN = 50
TTL_RANGE = (timedelta(minutes=5), timedelta(days=30))
MATCHES = ("username", "email")


def check_sign_up(wanted: SignUp) -> SignUp:
    if len(wanted.allowed) > MAX_ALLOWED:
        raise Invalid("allowed", f"Keep the list to {MAX_ALLOWED} people, or invite them.")
    for entry in wanted.allowed:
        value = entry.value
        if not value or len(value) > 254 or value != value.strip() or not value.isprintable():
            raise Invalid("allowed", "Write each name as the provider writes it.")
        if entry.match == "email" and value.count("@") != 1:
            raise Invalid("allowed", f"{value!r} is no e-mail address.")
    return wanted


def admitted(sign_up: SignUp, slug: str, username: str | None, verified_email: str | None) -> str:
    """The role of somebody new whom a provider vouches for. Raises Forbidden `signup_refused`."""
    if sign_up.mode is Mode.ALLOW_LIST:
        for entry in sign_up.allowed:
            if entry.provider == slug and _is(entry, username, verified_email):
                return sign_up.role
    raise refused()


def _is(entry: Allowed, username: str | None, verified_email: str | None) -> bool:
    known = username if entry.match == "username" else verified_email
    return known is not None and known.casefold() == entry.value.casefold()


def refused() -> Forbidden:
    return Forbidden(
        "signup_refused",
        "Nobody here is known by this identity, and the owner of the box has not let it in. If you have an account,"
        " sign in as usual and link it under Settings; else ask the owner for an invitation.",
    )


def check_invite(sign_up: SignUp, open_now: int, ttl: timedelta) -> None:
    if sign_up.mode is Mode.OWNER:
        raise Conflict(
            "signup_closed", "This box is the owner's alone. Choose who may sign up under Settings first."
        )
    if open_now >= MAX_OPEN:
        raise Conflict("invitation_limit_reached", f"{open_now} invitations are open. Withdraw one first.")
    low, high = TTL_RANGE
    if not low <= ttl <= high:
        raise Invalid("expires_in_s", "Choose from 5 minutes to 30 days.")


def check_invitation(found: Invitation | None, sign_up: SignUp, now: datetime) -> Invitation:
    """Raises Unauthorized, alike for one that is unknown, used, withdrawn or expired."""
    over = found is None or found.used_at or found.withdrawn_at or found.expires_at <= now
    if found is None or over or sign_up.mode is Mode.OWNER:
        raise Unauthorized(
            "invitation_invalid",
            "This invitation is used up, withdrawn, expired or mistyped. Ask the owner of the box for a new one.",
        )
    return found
