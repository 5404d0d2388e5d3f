"""The door in front of everything: Host, Origin, path, security headers, and one log line for each request."""

import ipaddress
import re
import socket
import time
from typing import Any
from urllib.parse import urlsplit

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from clawdbox import logs
from clawdbox.errors import Forbidden, NotFound, Problem
from clawdbox.web import sockets
from clawdbox.web.box import Box
from clawdbox.web.peer import Proxies
from clawdbox.web.problems import respond, to_problem
from clawdbox.web.visit import Visit

log = logs.get("web")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CSP = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
]
HSTS = (b"strict-transport-security", b"max-age=31536000")
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:@/\\?#,\s]+)(?::(\d{1,5}))?")
# Spellings of a path that one part of a chain reads otherwise than the next (encoded separators, parameters, dots).
_TRICKS = re.compile(rb"//|;|\\|%2f|%5c|%3b|%0|%1|%7f|/(\.|%2e){1,2}(/|$)", re.IGNORECASE)
_CALLBACK = re.compile(r"/api/v1/auth/oauth/[a-z0-9-]+/callback")
_DEFAULT_PORTS = {"http": "80", "https": "443"}


class Door:
    """ASGI middleware around the whole site. What it refuses, nothing behind it ever sees."""

    def __init__(self, app: ASGIApp, box: Box) -> None:
        self._app = app
        self._box = box
        self._proxies = Proxies(box.settings.trusted_proxies)
        self._public = origin_of(box.settings.public_url) if box.settings.public_url else None
        self._hosts = allowed_hosts(box.settings.allowed_hosts, box.settings.host, self._public)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        visit = self._enter(scope)
        if scope["type"] == ScopeType.WEBSOCKET:
            await self._socket(visit, scope, receive, send)
        else:
            await self._request(visit, scope, receive, send)

    def _enter(self, scope: Scope) -> Visit:
        peer = scope["client"][0] if scope.get("client") else None  # type: ignore[index]
        scheme = "https" if scope["scheme"] in ("https", "wss") else "http"
        client, scheme = self._proxies.resolve(peer, scheme, scope["headers"])
        visit = Visit(str(scope.get("method", "WEBSOCKET")), peer, client, scheme, time.perf_counter())
        scope.setdefault("state", {})["visit"] = visit
        return visit

    async def _request(self, visit: Visit, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                visit.status = message["status"]
                more = self._apps_at(visit) if visit.route == "static" else ""
                csp = (b"content-security-policy", f"{CSP}{more}".encode())
                headers = [*message["headers"], csp, *SECURITY_HEADERS]
                if visit.scheme == "https":
                    headers.append(HSTS)
                if not any(name.lower() == b"cache-control" for name, _ in headers):
                    headers.append((b"cache-control", b"no-store"))
                message["headers"] = headers
            await send(message)

        try:
            refusal = self._refusal(visit, scope)
            if refusal:
                await respond(refusal, visit, guarded)
            else:
                await self._app(scope, receive, guarded)
        except Exception as error:
            if visit.status is not None:
                raise  # an answer has begun: the server can only cut the connection
            await respond(to_problem(error, visit), visit, guarded)
        finally:
            self._tell(visit)

    async def _socket(self, visit: Visit, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(visit, scope)
        try:
            if refusal is None:
                await self._app(scope, receive, send)
            elif isinstance(refusal, Forbidden):
                await sockets.refuse(receive, send, sockets.FORBIDDEN, refusal.code)
            else:
                await sockets.reject(refusal, visit, send)
        finally:
            self._tell(visit)

    def _refusal(self, visit: Visit, scope: Scope) -> Problem | None:
        headers = scope["headers"]
        hosts = [value for name, value in headers if name == b"host"]
        problem = self._host_problem(visit, hosts)
        if problem:
            return problem
        if _TRICKS.search(scope.get("raw_path") or scope["path"].encode()) or "\ufffd" in scope["path"]:
            return NotFound()
        # Reading is guarded, too: a page on another port of this host is of the same site, and brings the cookie along.
        if visit.method == "GET" and _CALLBACK.fullmatch(scope["path"]):
            return None  # where a provider sends the browser back: its state is what guards it
        if visit.method not in SAFE_METHODS or scope["path"].startswith("/api/"):
            return self._origin_problem(visit, headers)
        return None

    def _apps_at(self, visit: Visit) -> str:
        """Where a form may also go: to the origins on which apps of servers are shown, with the ticket for one."""
        domain = self._box.settings.forward_domain
        if domain:
            known = self._public or origin_of(visit.origin)
            scheme, port = (known[0], known[2]) if known else ("https", "443")
            return f" {scheme}://*.{domain.strip('.').lower()}:{port}"
        if visit.scheme == "https":
            return ""
        name = visit.host if visit.host.endswith("]") else visit.host.rpartition(":")[0] or visit.host
        # An address of IPv6 cannot be written there (CSP 3, 2.3.1).
        return " http:" if name.startswith("[") else f" http://{name}:*"

    def _host_problem(self, visit: Visit, hosts: list[bytes]) -> Problem | None:
        """DNS rebinding: a name that a stranger's DNS points here makes the stranger's page same-origin with the box."""
        if len(hosts) != 1:
            return Problem("bad_request", "Exactly one Host header is needed.")
        text = hosts[0].decode("latin-1").lower()
        match = _HOST.fullmatch(text)
        if match is None:
            return Problem("bad_request", "The Host header cannot be read.")
        visit.host = text
        if self._public and self._public[0] == "https" and origin_of(f"https://{text}") == self._public:
            visit.scheme = (
                "https"  # a tunnel in front ends TLS; whoever lies about it is only stricter with themselves
            )
        name = match[1].strip("[]").rstrip(".")
        if name in self._hosts or _is_address(name):
            return None
        return Problem(
            "host_refused",
            f"This box does not answer to the name {name!r}. Use its address, or add the name to allowed_hosts "
            "in config.toml (or CLAWDBOX_ALLOWED_HOSTS).",
            host=name,
            setting="allowed_hosts",
        )

    def _origin_problem(self, visit: Visit, headers: Any) -> Problem | None:
        """Who makes the browser ask: a page of this site, or another site's."""
        found = {name: value.decode("latin-1") for name, value in headers if name in _ORIGIN_HEADERS}
        origin, site = found.get(b"origin"), found.get(b"sec-fetch-site", "none")
        if site not in ("same-origin", "none"):
            return origin_refused()
        if origin is None:
            rides_on_cookie = b"cookie" in found and b"authorization" not in found
            return origin_refused() if visit.method == "WEBSOCKET" and rides_on_cookie else None
        asked = origin_of(origin)
        if asked is not None and asked in (origin_of(visit.origin), self._public):
            return None
        return origin_refused()

    def _tell(self, visit: Visit) -> None:
        seconds = time.perf_counter() - visit.started
        status = visit.status or 0
        if visit.method != "WEBSOCKET":
            self._box.metrics.request(visit.method, visit.route, status, seconds)
        who = visit.principal
        say = log.debug if visit.route in _QUIET_ROUTES and status < 400 else log.info
        say(
            "web.request",
            method=visit.method,
            route=visit.route,
            status=status,
            problem=visit.code,
            ms=round(seconds * 1000, 1),
            client=visit.client,
            account_id=who.account_id if who else None,
            login_id=who.login.id if who else None,
        )


_ORIGIN_HEADERS = frozenset({b"origin", b"sec-fetch-site", b"cookie", b"authorization"})
_QUIET_ROUTES = frozenset({"static", "/health", "/metrics"})


def origin_refused() -> Forbidden:
    return Forbidden(
        "origin_refused",
        "This request comes from another site's page. If you reach the box through a proxy or under another name, "
        "set public_url (and trusted_proxies) in config.toml.",
    )


def allowed_hosts(settings: list[str], bound: str, public: tuple[str, str, str] | None) -> frozenset[str]:
    """Names under which the box may be asked; addresses always are."""
    machine = socket.gethostname().lower()
    names = {"localhost", machine, f"{machine.partition('.')[0]}.local", bound.lower()}
    names |= {name.strip().lower().rstrip(".") for name in settings}
    if public:
        names.add(public[1])
    return frozenset(name for name in names if name)


def origin_of(text: str) -> tuple[str, str, str] | None:
    """(scheme, host, port) in the form in which two origins can be compared; None for `null` and what is no origin."""
    try:
        parts = urlsplit(text)
        port = str(parts.port or _DEFAULT_PORTS.get(parts.scheme, ""))
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or parts.username is not None:
        return None
    return parts.scheme, parts.hostname.rstrip("."), port


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
