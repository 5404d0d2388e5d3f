"""What a provider may be, where a flow may lead, and whom a provider's word lets in."""

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from urllib.parse import SplitResult, urlsplit

from clawdbox import names, net
from clawdbox.accounts.login_providers.model import Kind, LoginFlow, LoginProvider, Person
from clawdbox.errors import Conflict, Forbidden, Invalid, Problem, RateLimited, Unauthorized, Upstream

GITHUB = "https://github.com"
FLOW_TTL = timedelta(minutes=10)
MAX_PROVIDERS = 20
SCOPES = {Kind.GITHUB: ["read:user", "user:email"], Kind.OIDC: ["openid", "profile", "email"]}
SLOWER_S = 5  # RFC 8628, 3.5
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,100}")  # RFC 6749, 3.3
_PATH = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")
_TICKET_PARTS = 3
MAX_TICKET = 512


def check_slug(slug: str) -> str:
    if not _SLUG.fullmatch(slug):
        raise Invalid(
            "slug", "Use small letters, digits and inner dashes, 40 at most: it stands in addresses."
        )
    return slug


def check_text(text: str, field: str, most: int) -> str:
    if not text or len(text) > most or text != text.strip() or not (text.isascii() and text.isprintable()):
        raise Invalid(field, "Copy it exactly as the provider shows it, without spaces around it.")
    return text


def check_scopes(kind: Kind, given: Sequence[str] | None) -> list[str]:
    scopes = list(dict.fromkeys(SCOPES[kind] if given is None else given))
    if len(scopes) > 20 or not all(_SCOPE.fullmatch(scope) for scope in scopes):
        raise Invalid("scopes", "Give the names of scopes, such as openid, profile and email.")
    if kind is Kind.OIDC and "openid" not in scopes:
        raise Invalid("scopes", "OpenID Connect needs the scope openid.")
    return scopes


def check_issuer(kind: Kind, text: str | None, *, loopback: bool) -> str:
    """The address exactly as given: an issuer is compared byte by byte."""
    if kind is Kind.GITHUB and not text:
        return GITHUB
    if not text:
        raise Invalid("issuer", "Give the issuer, such as https://auth.example.org/application/o/clawdbox/.")
    check_text(text, "issuer", 500)
    parts = _split(text)
    if parts.query or parts.fragment or "?" in text or "#" in text or not parts.hostname or parts.username:
        raise Invalid("issuer", "An issuer is an address without a query, a fragment or a user.")
    net.canonical_host(parts.hostname, "issuer")
    if not address_allowed(text, loopback=loopback):
        raise Invalid(
            "issuer", "Write https://: who signs in must not be readable, or changeable, on the way."
        )
    return text.rstrip("/") if kind is Kind.GITHUB else text


def address_allowed(url: str, *, loopback: bool) -> bool:
    """Https, or http to this very machine where the settings allow it."""
    parts = _split(url)
    if parts.scheme == "https":
        return bool(parts.hostname)
    host = parts.hostname or ""
    return parts.scheme == "http" and loopback and (host == "localhost" or net.is_loopback(host))


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - reading it is what finds a port that is none
    except ValueError:
        raise Invalid("issuer", "This address cannot be read.") from None
    return parts


def check_room(count: int) -> None:
    if count >= MAX_PROVIDERS:
        raise Conflict("login_provider_limit_reached", f"There are {count} already. Remove one first.")


def slug_taken(slug: str) -> Conflict:
    return Conflict("slug_taken", f"There is a provider {slug!r} already. Choose another name.")


def return_to(text: str | None) -> str:
    """A path of this site; whatever else was asked for leads to its front page."""
    if text is None or len(text) > 1000 or not _PATH.fullmatch(text):
        return "/"
    return text


def callback(origin: str, slug: str) -> str:
    return f"{origin.rstrip('/')}/api/v1/auth/oauth/{slug}/callback"


# the ticket: what the browser keeps of its flow


def ticket(key: bytes, state: str, verifier: str) -> str:
    return f"{state}.{verifier}.{_mac(key, state, verifier)}"


def read_ticket(key: bytes, text: str | None) -> tuple[str, str]:
    """(state, verifier). Raises Unauthorized `oauth_state_invalid` for what this box did not write."""
    parts = (text or "")[:MAX_TICKET].split(".")
    if len(parts) != _TICKET_PARTS or not text or not text.isascii():
        raise state_invalid()
    state, verifier, mac = parts
    if not hmac.compare_digest(_mac(key, state, verifier), mac):
        raise state_invalid()
    return state, verifier


def nonce_of(verifier: str) -> str:
    """What an ID token must repeat. Only the browser's own cookie leads to it."""
    return _base64(hashlib.sha256(b"clawdbox/nonce/" + verifier.encode()).digest())


def _mac(key: bytes, state: str, verifier: str) -> str:
    text = f"oauth\0{state}\0{verifier}".encode()
    return _base64(hmac.new(key, text, hashlib.sha256).digest())


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def same(offered: str, kept: str) -> bool:
    return hmac.compare_digest(offered.encode(), kept.encode())


def check_flow(flow: LoginFlow | None, provider: LoginProvider, kind: str, now: datetime) -> LoginFlow:
    """Raises Unauthorized, alike for a flow that is unknown, another provider's, used or expired."""
    if flow is None or flow.provider_id != provider.id or flow.kind != kind:
        raise state_invalid()
    if flow.used_at or flow.expires_at <= now:
        raise state_invalid()
    return flow


def check_pace(flow: LoginFlow, now: datetime) -> None:
    """A provider that is asked too often asks for more patience: the box keeps it from coming to that."""
    if flow.next_poll_at and flow.next_poll_at > now:
        wait = max(1, round((flow.next_poll_at - now).total_seconds()))
        raise RateLimited(wait, f"The provider wants to be asked less often. Try again in {wait} seconds.")


# what is said when it fails


def state_invalid() -> Unauthorized:
    return Unauthorized(
        "oauth_state_invalid",
        "This way back from the provider does not belong to a sign-in that this browser began, or it was used"
        " before, or took longer than ten minutes. Start again.",
    )


def refused(code: str) -> Problem:
    """A provider's refusal, as OAuth (RFC 6749, RFC 8628) and GitHub name it."""
    if code == "access_denied":
        return Unauthorized(
            "oauth_denied", "The provider did not sign you in. Nothing was changed. Try again."
        )
    if code == "expired_token":
        return Unauthorized("oauth_expired", "The code was not entered in time. Ask for a new one.")
    if code in _SETUP:
        return failed(
            "The provider refuses this box: its client id, secret or callback address is wrong there."
        )
    if code in _STALE:
        return state_invalid()
    return failed("The provider refused without a reason that is known.")


_SETUP = frozenset(
    {"invalid_client", "incorrect_client_credentials", "unauthorized_client", "redirect_uri_mismatch",
     "application_suspended", "device_flow_disabled", "unsupported_grant_type", "invalid_scope"}
)  # fmt: skip
_STALE = frozenset({"invalid_grant", "bad_verification_code", "incorrect_device_code"})


def failed(why: str) -> Upstream:
    return Upstream("oauth_provider_failed", f"{why} Try again, or sign in another way.")


def provider_unknown() -> Problem:
    return Problem(
        "login_provider_unknown",
        "This box has no such way to sign in. GET /api/v1/auth/methods lists those it has.",
    )


def no_callback() -> Conflict:
    return Conflict(
        "oauth_no_callback",
        "No provider can send a browser back here: the box has no public_url. Use the provider's code for devices,"
        " or set public_url.",
    )


def no_device_flow() -> Conflict:
    return Conflict("oauth_no_device_flow", "This provider is not set up for codes on another device.")


def identity_taken() -> Conflict:
    return Conflict("identity_taken", "This identity belongs to another account here. Unlink it there first.")


def check_step_up(
    account_id: str | None, flow: LoginFlow, person: Person, wanted: str, *, anew: bool
) -> None:
    """The same person, and `anew` one who has just signed in there. Raises Forbidden `identity_mismatch`."""
    if account_id != wanted:
        raise Forbidden(
            "identity_mismatch", "Whoever signed in at the provider is not who is signed in here. Try again."
        )
    since = flow.created_at - timedelta(minutes=1)  # its clock may differ from ours
    if anew and (person.signed_in_at is None or person.signed_in_at < since):
        raise Forbidden(
            "identity_mismatch", "The provider did not ask who is there. Prove it in another way."
        )


def check_unlink(others: int, other_ways: Sequence[str], *, last_way_too: bool) -> None:
    if others == 0 and not other_ways and not last_way_too:
        raise Conflict(
            "last_way_in",
            "This is the last way in besides a pairing link from the box's terminal. Add a passkey or another"
            " provider first, or unlink it knowing that.",
        )


def display_name(person: Person) -> str:
    return names.printable(person.name or person.username or "", names.MAX_LABEL) or "Somebody"
