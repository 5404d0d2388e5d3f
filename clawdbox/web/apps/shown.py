"""An app that is being shown: its place, who may see it, and its connections."""

import base64
import hashlib
import hmac
import html
from typing import TYPE_CHECKING

import httpcore

from clawdbox.errors import Problem
from clawdbox.ssh.model.forwards import Forward
from clawdbox.web.apps.grants import Grant, Grants
from clawdbox.web.apps.heads import RESERVED, Headers, Place, cookies
from clawdbox.web.apps.upstream import NotTrusted, pool
from clawdbox.web.box import Box

if TYPE_CHECKING:
    from clawdbox.ssh.service.live_forward import LiveForward

ENTRY = "/.clawdbox/enter"
_DEFAULT_PORTS = {"http": 80, "https": 443}


def label_of(box: Box, row: Forward) -> str:
    """The same for the same app whenever it is shown, so that it finds its cookies and storage again."""
    text = f"app|{row.account_id}|{row.connection_id}|{row.scheme}|{row.target}"
    digest = hmac.new(box.mac_key("cookie"), text.encode(), hashlib.sha256).digest()
    return base64.b32encode(digest[:10]).decode().lower()


class Shown:
    """`own_host`: the app has a host name for itself; else it shares the box's, on a port of its own."""

    def __init__(self, box: Box, live: "LiveForward", label: str, *, own_host: bool) -> None:
        self.live = live
        self.label = label
        self.own_host = own_host
        self.grants = Grants(box)
        self.pool = pool(live)

    def place(self, origin: str) -> Place:
        row = self.live.row
        scheme = row.scheme or "http"
        target = f"{scheme}://{row.host_header or _host(row, scheme)}"
        names = {row.target, *(f"{name}:{row.target_port}" for name in ("localhost", "127.0.0.1", "[::1]"))}
        if row.host_header:
            default = "" if ":" in row.host_header.rpartition("]")[2] else f":{_DEFAULT_PORTS[scheme]}"
            names.add(row.host_header + default)
        return Place(origin, target, frozenset(names), "" if self.own_host else f"app_{self.label}_")

    def cookie_name(self, place: Place) -> str:
        return f"{'__Host-' if place.is_secure else ''}{RESERVED}app_{self.label}"

    def grant(self, place: Place, headers: Headers) -> Grant | None:
        wanted = self.cookie_name(place)
        return self.grants.of([value for name, value in cookies(headers) if name == wanted])

    def grant_cookie(self, place: Place, token: str) -> str:
        secure = "; Secure" if place.is_secure else ""
        return f"{self.cookie_name(place)}={token}; Path=/; HttpOnly; SameSite=Lax{secure}"

    async def end(self) -> None:
        self.grants.end()
        await self.pool.aclose()


def _host(row: Forward, scheme: str) -> str:
    return row.target.rpartition(":")[0] if row.target_port == _DEFAULT_PORTS[scheme] else row.target


def trouble(error: Exception) -> tuple[int, str]:
    """(status, a sentence for a person) for what kept an app from answering."""
    if isinstance(error, Problem):
        return 502, error.message
    if isinstance(error, NotTrusted):
        return 502, (
            f"The box does not trust the app's certificate ({error}). If it is self-signed, end this forward and open "
            "it again with “Accept any certificate”."
        )
    if isinstance(error, httpcore.PoolTimeout):
        return 503, "Too many connections to this app are open. Close some of its pages, then try again."
    if isinstance(error, httpcore.ConnectError):
        return (
            502,
            "The app does not speak https on that port. End this forward and open it again without https.",
        )
    return 502, "The app ended the connection without an answer. Does it speak http on that port, or https?"


def page(title: str, sentence: str, head: str = "") -> bytes:
    """A small page of the box's own on an app's origin."""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">{head}'
        f"<title>{html.escape(title)}</title><style>body{{font:1rem/1.5 system-ui;max-width:34rem;margin:3rem auto;"
        "padding:0 1rem;color-scheme:light dark;background:Canvas;color:CanvasText}</style>"
        f"<h1>{html.escape(title)}</h1><p>{html.escape(sentence)}</p></html>"
    ).encode()


PAGE_HEADERS: Headers = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
]
STRANGER = (
    "Open this from clawdbox",
    (
        "This address shows an app of one of your servers, to who opened it from clawdbox. Open the session there, "
        "choose Tools, Ports, and open the port in the browser."
    ),
)
