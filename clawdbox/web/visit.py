"""What the web knows of one request or socket while it is being answered, and of who is asking."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from litestar.connection import ASGIConnection, Request
from litestar.datastructures import State

from clawdbox.accounts import Principal
from clawdbox.events import Actor
from clawdbox.web.box import Box

Req = Request[Any, Any, State]


class Means(StrEnum):
    """How a login came with the request: only a browser's cookie is sent without anyone's will (CSRF)."""

    COOKIE = "cookie"
    BEARER = "bearer"


class Visit:
    """`token` is what the principal was known by; `peer` is the socket's other end, `client` the one behind trusted proxies; `host` is the Host header."""

    __slots__ = (
        "action",
        "client",
        "code",
        "host",
        "means",
        "method",
        "peer",
        "principal",
        "reference",
        "route",
        "scheme",
        "started",
        "status",
        "token",
    )

    def __init__(
        self, method: str, peer: str | None, client: str | None, scheme: str, started: float
    ) -> None:
        self.method = method
        self.peer = peer
        self.client = client
        self.scheme = scheme
        self.started = started
        self.host = ""
        self.route = "unknown"
        self.action: str | None = None
        self.principal: Principal | None = None
        self.means: Means | None = None
        self.status: int | None = None
        self.code: str | None = None
        self.reference: str | None = None
        self.token: str | None = None

    @property
    def origin(self) -> str:
        """Where the browser that asks believes to be, such as `http://192.168.1.20:8022`."""
        return f"{self.scheme}://{self.host}"

    @property
    def actor(self) -> Actor:
        return self.principal.actor if self.principal else Actor(None, self.client)


def visit_of(scope: Mapping[str, Any]) -> Visit:
    visit = scope["state"]["visit"]
    assert isinstance(visit, Visit)
    return visit


def box_of(connection: ASGIConnection[Any, Any, Any, State]) -> Box:
    box: Box = connection.app.state["box"]
    return box


def at(connection: ASGIConnection[Any, Any, Any, State]) -> tuple[Box, Principal]:
    """The box, and on whose behalf it is asked. Only for routes behind a login."""
    principal = visit_of(connection.scope).principal
    assert principal is not None
    return box_of(connection), principal


def public_origin(box: Box, visit: Visit) -> str:
    """The address to put into links: the public one, else the one by which the asker reached the box."""
    return box.settings.public_url.rstrip("/") if box.settings.public_url else visit.origin
