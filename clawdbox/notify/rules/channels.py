"""What may be a channel: addresses in their one form, and nothing secret sent in the clear."""

import base64
import binascii
import re
from collections.abc import Iterable
from urllib.parse import urlsplit, urlunsplit

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey

from clawdbox.errors import Conflict, Invalid
from clawdbox.net import canonical_host
from clawdbox.notify.model import CHOOSABLE, ChannelKind, Email, Ntfy, Target, Webhook, WebPush

MAX_CHANNELS = 20  # of an account
_MAX_URL = 2048
_TOPIC = re.compile(r"[-_A-Za-z0-9]{1,64}")  # as ntfy has it
_LOCAL_PART = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}")
_PORTS = {"http": 80, "https": 443}
_RESERVED = re.compile(r"(^|\.)(localhost|local|lan|home|internal|invalid|test|example|arpa)$")
NOBODY = "mailto:owner@example.com"


def check_room(count: int) -> None:
    """Raises Conflict."""
    if count >= MAX_CHANNELS:
        raise Conflict(
            "channel_limit_reached",
            f"There are {MAX_CHANNELS} channels already. Remove one that is not used.",
        )


def check_kinds(kinds: Iterable[str]) -> list[str]:
    """In their one order. Raises Invalid."""
    asked = set(kinds)
    unknown = asked - {str(kind) for kind in CHOOSABLE}
    if unknown:
        raise Invalid("kinds", f"There is nothing called {min(unknown)} to be told of.")
    return [str(kind) for kind in CHOOSABLE if kind in asked]


def check_target(target: Target, *, plain_http: bool) -> Target:
    """The target with its addresses in their one form. Raises Invalid. `plain_http`: even to a public address."""
    match target:
        case WebPush():
            return _webpush(target, plain_http)
        case Ntfy():
            return _ntfy(target, plain_http)
        case Email():
            return _email(target)
        case Webhook():
            url = check_url(target.url, "url", http=target.local or plain_http)
            return Webhook(url, target.secret, target.local)


def check_url(text: str, field: str, *, http: bool) -> str:
    """Raises Invalid for what is no plain address of a web server."""
    if len(text) > _MAX_URL or not text.isascii() or not text.isprintable() or " " in text:
        raise Invalid(field, "Give a plain address such as https://ntfy.sh, without spaces.")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise Invalid(field, "This address cannot be read. Look at its port.") from None
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise Invalid(field, "An address begins with https:// and a host name.")
    if parts.scheme == "http" and not http:
        raise Invalid(field, "Only https:// keeps this secret on its way. In your own network, say so first.")
    if "@" in parts.netloc:
        raise Invalid(field, "Leave user name and password out of the address.")
    if port == 0:
        raise Invalid(field, "There is no port 0.")
    host = canonical_host(parts.hostname, field)
    shown = f"[{host}]" if ":" in host else host
    usual = port is None or port == _PORTS[parts.scheme]
    return urlunsplit(
        (parts.scheme, shown if usual else f"{shown}:{port}", parts.path or "/", parts.query, "")
    )


def host_of(target: Target) -> str:
    """All that is ever shown of where a channel leads."""
    match target:
        case WebPush():
            return urlsplit(target.endpoint).hostname or ""
        case Ntfy():
            return urlsplit(target.server).hostname or ""
        case Email():
            return target.host
        case Webhook():
            return urlsplit(target.url).hostname or ""


def kind_of(target: Target) -> ChannelKind:
    return _KINDS[type(target)]


_KINDS: dict[type, ChannelKind] = {
    WebPush: ChannelKind.WEBPUSH,
    Ntfy: ChannelKind.NTFY,
    Email: ChannelKind.EMAIL,
    Webhook: ChannelKind.WEBHOOK,
}


def contact(*offers: str | None) -> str:
    """Who answers for the pushes (RFC 8292, 2.1): the first offer that push services accept. They refuse names that are
    only known at home."""
    for offer in offers:
        parts = urlsplit(offer or "")
        name = parts.path.rpartition("@")[2] if parts.scheme == "mailto" else parts.hostname or ""
        known_to_all = "." in name and not re.search(r"\.\d+$", name) and not _RESERVED.search(name)
        if offer and parts.scheme in ("https", "mailto") and known_to_all:
            return offer
    return NOBODY


def _webpush(target: WebPush, plain_http: bool) -> WebPush:
    endpoint = check_url(target.endpoint, "endpoint", http=plain_http)
    try:
        EllipticCurvePublicKey.from_encoded_point(SECP256R1(), from_base64(target.p256dh))
        secret = from_base64(target.auth)
    except ValueError:
        raise Invalid("p256dh", "These are not the keys of a browser's subscription.") from None
    if len(secret) != 16:
        raise Invalid("auth", "These are not the keys of a browser's subscription.")
    return WebPush(endpoint, target.p256dh, target.auth, target.origin)


def _ntfy(target: Ntfy, plain_http: bool) -> Ntfy:
    server = check_url(target.server, "server", http=target.local or plain_http)
    if not _TOPIC.fullmatch(target.topic):
        raise Invalid("topic", "A topic has letters, digits, - and _ only, 64 at most.")
    if target.token is not None and not (target.token.isascii() and target.token.isprintable()):
        raise Invalid("token", "A token has no spaces and no special letters.")
    return Ntfy(server, target.topic, target.token or None, target.local)


def _email(target: Email) -> Email:
    host = canonical_host(target.host)
    username, password = target.username or None, target.password or None
    if target.security == "none" and not target.local:
        raise Invalid("security", "Without encryption, mail only goes to a server in your own network.")
    if target.security == "none" and password:
        raise Invalid("security", "A password is only sent encrypted. Choose TLS or STARTTLS.")
    if (username is None) != (password is None):
        raise Invalid("password", "Give both a user name and a password, or neither.")
    sender, to = check_mail(target.sender, "sender"), check_mail(target.to, "to")
    return Email(host, target.port, target.security, username, password, sender, to, target.local)


def check_mail(text: str, field: str) -> str:
    local, _, domain = text.strip().rpartition("@")
    if not _LOCAL_PART.fullmatch(local):
        raise Invalid(field, "Give one mail address, such as anna@example.com.")
    return f"{local}@{canonical_host(domain, field)}"


def from_base64(text: str) -> bytes:
    """base64url with or without its padding. Raises ValueError."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
