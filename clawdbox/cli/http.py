"""The web server in this process: uvicorn on a socket of our own."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import uvicorn

from clawdbox.cli import exits

if TYPE_CHECKING:
    from clawdbox.settings import Settings

_GRACE_S = 5


def bind(host: str, port: int) -> socket.socket:
    """Listen before the box is opened: its port is known then, and a port that is taken costs nothing."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, address = found[0][0], found[0][4]
        dual = family == socket.AF_INET6 and host == "::" and socket.has_dualstack_ipv6()
        return socket.create_server(address[:2], family=family, dualstack_ipv6=dual, backlog=1024)
    except OSError as error:
        raise exits.Stop(
            "cannot_listen",
            f"The box cannot listen on {host} port {port}: {error.strerror}. Choose another with --host and --port.",
            exits.CANNOT_CREATE,
        ) from None


class WebServer(uvicorn.Server):
    """Signals are the command's, not uvicorn's, which would raise them again after its own stop."""

    def __init__(self, app: Any, settings: "Settings") -> None:
        config = uvicorn.Config(
            app,
            http="httptools",
            ws="websockets-sansio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=settings.trusted_proxies or None,
            timeout_graceful_shutdown=_GRACE_S,
        )
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


class Web:
    """Runs until `stop`; `ended` resolves early if the server gives up by itself."""

    def __init__(self, app: Any, settings: "Settings", listener: socket.socket) -> None:
        self._server = WebServer(app, settings)
        self._listener = listener
        self.ended: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.ended = asyncio.create_task(self._server.serve(sockets=[self._listener]))
        listening = asyncio.create_task(self._server.listening.wait())
        await asyncio.wait({self.ended, listening}, return_when=asyncio.FIRST_COMPLETED)
        listening.cancel()
        if self.ended.done():
            await self.ended

    async def stop(self) -> None:
        """Open sockets are closed with 1012, so that pages know to come back."""
        self._server.should_exit = True
        if self.ended:
            await self.ended
