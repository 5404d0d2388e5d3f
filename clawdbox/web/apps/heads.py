"""What is changed in the heads of requests and answers between a browser and an app on a server. Pure.

The app believes to be asked at its own address; the browser sees the origin that the box gave it. Whatever would reach
beyond that origin (the box's cookies, headers that hold for the whole host) stops here.
"""

from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit, urlunsplit

import msgspec

Headers = list[tuple[bytes, bytes]]
RESERVED = "clawdbox_"  # no cookie of this name passes, in either direction
# Of one connection, not of the message (RFC 9110, 7.6.1).
_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
_NOT_FORWARDED = frozenset(
    {
        b"cookie",
        b"expect",
        b"forwarded",
        b"host",
        b"via",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-forwarded-proto",
        b"x-forwarded-server",
        b"x-real-ip",
    }
)
# These hold for the host, so for the box and its other apps too, or call home behind the page's back.
_NOT_ANSWERED = frozenset(
    {
        b"alt-svc",
        b"clear-site-data",
        b"content-location",
        b"expect-ct",
        b"nel",
        b"public-key-pins",
        b"report-to",
        b"reporting-endpoints",
        b"set-cookie2",
        b"strict-transport-security",
    }
)


class Place(msgspec.Struct, frozen=True):
    """Where an app is shown and where it lives.

    `origin` is the browser's (`http://192.168.1.20:8023`), `target` the app's own (`http://localhost:3000`), `names` are
    further `host:port` of the app. `prefix` stands before the names of its cookies where it shares its host with
    others; it is empty where the host is the app's alone.
    """

    origin: str
    target: str
    names: frozenset[str]
    prefix: str

    @property
    def is_secure(self) -> bool:
        return self.origin.startswith("https:")

    @property
    def shares_host(self) -> bool:
        return bool(self.prefix)


# to the app


def to_app(place: Place, headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """The head of a request as the app is sent it; `transfer-encoding` stays, since it says how the body comes."""
    found = list(headers)
    dropped = _HOP | _listed(found) | _NOT_FORWARDED
    sent: Headers = [(b"host", place.target.partition("://")[2].encode())]
    for name, value in found:
        if name == b"transfer-encoding":
            sent.append((name, b"chunked"))
        elif name == b"origin":
            sent.append((name, _origin(place, value)))
        elif name == b"referer":
            if rewritten := _referer(place, value):
                sent.append((name, rewritten))
        elif name not in dropped:
            sent.append((name, value))
    cookies = "; ".join(app_cookies(place, found))
    return [*sent, (b"cookie", cookies.encode("latin-1"))] if cookies else sent


def upgrade_to_app(place: Place, headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    return [*to_app(place, headers), (b"connection", b"Upgrade"), (b"upgrade", b"websocket")]


def app_cookies(place: Place, headers: Iterable[tuple[bytes, bytes]]) -> Iterator[str]:
    """Only those that the app itself has set: others on this host are the box's, or another app's."""
    for name, value in cookies(headers):
        if place.shares_host and name.startswith(place.prefix):
            yield f"{name.removeprefix(place.prefix)}={value}"
        elif not place.shares_host and not is_reserved(name):
            yield f"{name}={value}"


def cookies(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[str, str]]:
    for header, text in headers:
        if header == b"cookie":
            for pair in text.decode("latin-1").split(";"):
                name, equals, value = pair.strip().partition("=")
                if equals:
                    yield name, value


def is_reserved(name: str) -> bool:
    return name.strip().lower().removeprefix("__host-").removeprefix("__secure-").startswith(RESERVED)


def _origin(place: Place, value: bytes) -> bytes:
    return place.target.encode() if value == place.origin.encode() else value


def _referer(place: Place, value: bytes) -> bytes | None:
    """Another page's address is none of the app's business."""
    text = value.decode("latin-1")
    if text == place.origin or text.startswith(f"{place.origin}/"):
        return (place.target + text.removeprefix(place.origin)).encode("latin-1")
    return None


# from the app


def from_app(place: Place, status: int, headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    found = [(name.lower(), value) for name, value in headers]
    dropped = _HOP | _listed(found) | _NOT_ANSWERED
    if (
        place.shares_host
    ):  # the port may show another app later, and a browser keeps what it was given by the port
        dropped = dropped | {b"cache-control", b"expires", b"service-worker-allowed"}
    if status == 304:
        dropped = dropped | {b"content-length"}
    answered: Headers = []
    for name, value in found:
        if name == b"location":
            answered.append((name, _location(place, value)))
        elif name == b"refresh":
            answered.append((name, _refresh(place, value)))
        elif name == b"set-cookie":
            if rewritten := set_cookie(place, value.decode("latin-1")):
                answered.append((name, rewritten.encode("latin-1")))
        elif name not in dropped:
            answered.append((name, value))
    return answered + _fence(place, answered)


def upgrade_from_app(place: Place, headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    return [*from_app(place, 101, headers), (b"connection", b"Upgrade"), (b"upgrade", b"websocket")]


def _fence(place: Place, answered: Headers) -> Headers:
    """Other origins of the same host are of the same *site*, where browsers guard less: neither may they frame the
    app nor load what it answers."""
    more: Headers = [
        (b"content-security-policy", b"frame-ancestors 'self'"),
        (b"origin-agent-cluster", b"?1"),
    ]
    if place.shares_host:
        more.append((b"cache-control", b"no-store"))
    if not any(name == b"cross-origin-resource-policy" for name, _ in answered):
        more.append((b"cross-origin-resource-policy", b"same-origin"))
    return more


def set_cookie(place: Place, text: str) -> str | None:
    """A Set-Cookie for the app's own origin alone; None for one that must not be set."""
    pair, *attributes = [part.strip() for part in text.split(";")]
    name, equals, value = pair.partition("=")
    name = name.strip()
    if not equals or not name or is_reserved(name):
        return None
    kept = [part for part in attributes if _is_kept(place, part.partition("=")[0].strip().lower(), part)]
    return "; ".join([f"{place.prefix}{name}={value.strip()}", *kept])


def _is_kept(place: Place, attribute: str, part: str) -> bool:
    if attribute == "domain":
        return False
    if place.is_secure:
        return True
    # Over plain http a browser would refuse the cookie altogether, and SameSite=None is for secure ones only.
    return attribute not in ("secure", "partitioned") and part.replace(" ", "").lower() != "samesite=none"


def _location(place: Place, value: bytes) -> bytes:
    """An address of the app itself becomes one of the origin that shows it; any other stays."""
    text = value.decode("latin-1")
    try:
        parts = urlsplit(text)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return value
    if parts.scheme not in ("http", "https", "") or not parts.hostname:
        return value
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if f"{host}:{port}" not in place.names:
        return value
    path = parts.path if parts.path.startswith("/") else f"/{parts.path}"
    # Two slashes at the beginning would be another host.
    return urlunsplit(("", "", f"/{path.lstrip('/')}", parts.query, parts.fragment)).encode("latin-1")


def _refresh(place: Place, value: bytes) -> bytes:
    before, found, url = value.partition(b"url=")
    return before + found + _location(place, url.strip(b"'\" ")) if found else value


def _listed(headers: Headers) -> frozenset[bytes]:
    """Headers that `Connection` declares to be of this hop."""
    lists = [value for name, value in headers if name.lower() == b"connection"]
    return frozenset(part.strip().lower() for text in lists for part in text.split(b","))


# who may ask


def refusal(
    place: Place, method: str, headers: Iterable[tuple[bytes, bytes]], *, socket: bool = False
) -> str | None:
    """Why a browser's request is not passed on, or None.

    Another origin of this host is of the same site, so its pages send the app's cookies along: what they ask for is
    refused, but for a person's own step from one page to another.
    """
    found = {name: value.decode("latin-1") for name, value in headers if name in _WHO}
    origin, site = found.get(b"origin"), found.get(b"sec-fetch-site")
    if place.shares_host and (b"service-worker" in found or found.get(b"sec-fetch-dest") == "serviceworker"):
        return "A worker would stay in the browser when this port shows another app."
    if site == "same-origin":
        return None
    if site in ("same-site", "cross-site"):
        walks = found.get(b"sec-fetch-mode") == "navigate" and found.get(b"sec-fetch-dest") == "document"
        return None if walks and method in ("GET", "HEAD") and not socket else _ANOTHER
    if origin is not None and origin != place.origin:
        return _ANOTHER
    return _ANOTHER if socket and origin is None else None


_ANOTHER = "This was asked by another site's page."
_WHO = frozenset({b"origin", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest", b"service-worker"})
