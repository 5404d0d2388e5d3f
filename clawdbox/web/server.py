"""uvicorn within the process: its own sockets, no signals, and an end in bounded time."""

import asyncio
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from litestar import Litestar
from litestar.types import ASGIApp

from clawdbox.errors import StartRefused
from clawdbox.web.apps.face import ByHost, Face, http_protocol
from clawdbox.web.box import Box
from clawdbox.web.live import MAX_BINARY
from clawdbox.web.protocols import Ws
from clawdbox.web.site import create_app

GRACE_S = 5
_MAX_CONNECTIONS = 2000


def _max_connections() -> int:
    """Half of the files that this process may have open, since SSH and the database need some, too."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else min(_MAX_CONNECTIONS, max(16, soft // 2))


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """For `asyncio.Runner`: uvloop where there is one."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


class BoxServer(uvicorn.Server):
    """Signals belong to who runs the box."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


class WebServer:
    """`start` once the box has started, `stop` once `box.stopping` is set; `ended` resolves if it gives up by itself."""

    ended: asyncio.Task[None]

    def __init__(self, box: Box, sockets: list[socket.socket], app: Litestar | None = None) -> None:
        self._sockets = sockets
        self.port = int(sockets[0].getsockname()[1])
        self._box = box
        self._face = Face(box, self.port)
        self._server = BoxServer(_config(ByHost(app or create_app(box), self._face), self._face))

    async def start(self) -> None:
        """Returns when the sockets are being served."""
        self._box.forwards.face = self._face
        self.ended = asyncio.create_task(self._server.serve(sockets=self._sockets))
        listening = asyncio.create_task(self._server.listening.wait())
        await asyncio.wait({self.ended, listening}, return_when=asyncio.FIRST_COMPLETED)
        listening.cancel()
        if self.ended.done():
            await self.ended
            raise StartRefused(
                "server_failed", "The web server did not start. Its log says why.", exit_code=70
            )

    async def stop(self) -> None:
        """Answer what is being asked, close sockets with 1012, and end within a few seconds whatever happens."""
        self._server.should_exit = True
        self._box.forwards.face = None
        await self._face.close()
        done, _ = await asyncio.wait({self.ended}, timeout=GRACE_S + 2)
        if not done:
            self.ended.cancel()
            await asyncio.wait({self.ended})


def _config(app: ASGIApp, face: Face) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=http_protocol(face),
        ws=Ws,
        ws_max_size=MAX_BINARY + 8,
        ws_ping_interval=None,  # the sockets ask for themselves, in a way that a hung page does not answer
        ws_per_message_deflate=False,  # keystrokes do not shrink, and each socket would cost a window's memory
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # `peer.py` reads them, from trusted proxies alone
        limit_concurrency=_max_connections(),
        timeout_keep_alive=30,
        timeout_graceful_shutdown=GRACE_S,
    )
