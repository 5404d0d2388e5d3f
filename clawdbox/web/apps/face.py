"""Where apps are shown: each on a port of its own, or, with `forward_domain`, on a host name of its own."""

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import uvicorn
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send
from uvicorn.server import ServerState

from clawdbox.accounts import Principal
from clawdbox.errors import Conflict, NotFound
from clawdbox.web.apps.heads import Headers, Place
from clawdbox.web.apps.proxy import Proxy
from clawdbox.web.apps.shown import ENTRY, Shown, label_of
from clawdbox.web.apps.tunnel import Tunnel
from clawdbox.web.box import Box
from clawdbox.web.guards import origin_of
from clawdbox.web.listening import bind_all
from clawdbox.web.peer import Proxies
from clawdbox.web.protocols import Http
from clawdbox.web.visit import Visit

if TYPE_CHECKING:
    from clawdbox.ssh.service.live_forward import LiveForward

_MOST_CONNECTIONS = 256


class Face:
    """Handed to the forwards by the web server (`Forwards.face`)."""

    def __init__(self, box: Box, own_port: int) -> None:
        settings = box.settings
        self._box = box
        self._proxies = Proxies(settings.trusted_proxies)
        self._public = origin_of(settings.public_url) if settings.public_url else None
        self._own_names = {self._public[1]} if self._public else set()
        self.domain = settings.forward_domain.strip(".").lower() if settings.forward_domain else None
        first = settings.forward_web_port or own_port + 1
        last = min(first + settings.forward_web_ports, 65536)
        self.ports = None if self.domain else range(first, last)
        self._proxy = Proxy(box.forwards)
        self._by_label: dict[str, Shown] = {}
        self._by_forward: dict[str, Shown] = {}
        self._listeners: dict[str, _Listener] = {}

    # what the forwards ask of it

    async def show(self, live: "LiveForward", port: int | None) -> int | None:
        label, number = label_of(self._box, live.row), 1
        while (chosen := label if number == 1 else f"{label}-{number}") in self._by_label:
            number += 1
        shown = Shown(self._box, live, chosen, own_host=port is None)
        if port is not None:
            listener = _Listener(self, shown)
            await listener.open(self._box.settings.host, port)
            self._listeners[live.row.id] = listener
        self._by_label[chosen] = self._by_forward[live.row.id] = shown
        return port

    async def hide(self, live: "LiveForward") -> None:
        shown = self._by_forward.pop(live.row.id, None)
        if shown is None:
            return
        del self._by_label[shown.label]
        await shown.end()
        listener = self._listeners.pop(live.row.id, None)
        if listener:
            await listener.close()

    async def close(self) -> None:
        """The web server stops: nobody is shown anything any more."""
        for shown in list(self._by_forward.values()):
            await self.hide(shown.live)

    # what the API asks of it

    def ticket(self, forward_id: str, principal: Principal, visit: Visit) -> tuple[str, str]:
        """(address to send the ticket to, ticket). Raises NotFound, and Conflict when no browser could get there."""
        shown = self._by_forward.get(forward_id)
        if shown is None:
            raise NotFound
        return self.origin(shown, visit) + ENTRY, shown.grants.ticket(principal)

    def origin(self, shown: Shown, visit: Visit) -> str:
        if self.domain:
            scheme, port = self._outside(visit)
            return f"{scheme}://{shown.label}.{self.domain}{port}"
        if visit.scheme == "https":
            raise Conflict(
                "forward_unreachable",
                "You reach the box over https, through a tunnel or a proxy, which leads to one address only. Open the "
                "app from the same network (http and the box's own address), or set forward_domain in config.toml.",
                setting="forward_domain",
            )
        return f"http://{_host_name(visit.host)}:{shown.live.row.bound_port}"

    def _outside(self, visit: Visit) -> tuple[str, str]:
        """Scheme and `:port` of the box's address as browsers know it."""
        known = self._public or origin_of(visit.origin)
        assert known is not None
        scheme, _, port = known
        return scheme, "" if port == {"http": "80", "https": "443"}[scheme] else f":{port}"

    # who asks

    def is_for_app(self, headers: Headers) -> bool:
        """Whether the Host header names an app, shown or not, rather than the box."""
        if self.domain is None:
            return False
        name = self._name(headers)
        return name.endswith(f".{self.domain}") and name not in self._own_names

    def by_host(self, headers: Headers, peer: Any) -> tuple[Shown, Place] | None:
        label = self._name(headers).partition(".")[0]
        shown = self._by_label.get(label) if self.is_for_app(headers) else None
        return self.placed(shown, headers, peer) if shown else None

    def placed(self, shown: Shown, headers: Headers, peer: Any) -> tuple[Shown, Place]:
        scheme = "https" if self.domain and self._public and self._public[0] == "https" else "http"
        _, scheme = self._proxies.resolve(peer[0] if peer else None, scheme, headers)
        return shown, shown.place(f"{scheme}://{_host(headers)}")

    def _name(self, headers: Headers) -> str:
        return _host_name(_host(headers)).rstrip(".")

    async def answer(
        self, found: tuple[Shown, Place] | None, scope: HTTPScope, receive: Receive, send: Send
    ) -> None:
        if found is None:
            await self._proxy.unknown(send)
        else:
            await self._proxy.handle(*found, scope, receive, send)


class ByHost:
    """ASGI middleware around the box's site: what is asked of an app's host name never reaches the site."""

    def __init__(self, app: ASGIApp, face: Face) -> None:
        self._app = app
        self._face = face

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = list(scope.get("headers") or [])
        if scope["type"] == ScopeType.HTTP and self._face.is_for_app(headers):
            await self._face.answer(self._face.by_host(headers, scope.get("client")), scope, receive, send)
        else:
            await self._app(scope, receive, send)


def http_protocol(face: Face) -> type[Http]:
    """uvicorn's protocol for the box's own port: WebSockets of apps go past the box's own."""

    class ByHostHttp(Http):
        def handle_websocket_upgrade(self) -> None:
            if face.is_for_app(self.headers):
                self.ws_protocol_class = partial(Tunnel, face.by_host)  # type: ignore[assignment]
            super().handle_websocket_upgrade()

    return ByHostHttp


class _Listener:
    """A port on which one app is shown."""

    def __init__(self, face: Face, shown: Shown) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            found = face.placed(shown, list(scope["headers"]), scope.get("client"))
            await face.answer(found, cast(HTTPScope, scope), receive, send)  # WebSockets go to the tunnel

        self._config = uvicorn.Config(
            app,
            http=Http,
            ws=partial(Tunnel, partial(face.placed, shown)),  # type: ignore[arg-type]
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_MOST_CONNECTIONS,
            timeout_keep_alive=30,
        )
        self._state = ServerState()
        self._servers: list[asyncio.Server] = []

    async def open(self, host: str, port: int) -> None:
        """Raises OSError when something else listens there."""
        self._config.load()
        loop = asyncio.get_running_loop()
        for bound in bind_all(host, port):
            self._servers.append(await loop.create_server(self._protocol, sock=bound))

    def _protocol(self) -> asyncio.Protocol:
        return Http(config=self._config, server_state=self._state, app_state={})

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        for connection in list(self._state.connections):
            connection.transport.abort()
        if self._state.tasks:
            await asyncio.wait(self._state.tasks, timeout=5)


def _host(headers: Headers) -> str:
    """Empty when there are several: then nobody knows which of them counts."""
    found = [value.decode("latin-1").lower() for name, value in headers if name == b"host"]
    return found[0] if len(found) == 1 else ""


def _host_name(host: str) -> str:
    """Without its port; an IPv6 address keeps its brackets."""
    name, _, port = host.rpartition(":")
    return name if name and port.isdigit() else host
