"""uvicorn within the process: its own sockets, no signals, and an end in bounded time."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import uvicorn
from litestar import Litestar

from clawdbox.errors import StartRefused
from clawdbox.web.box import Box
from clawdbox.web.live import MAX_BINARY
from clawdbox.web.protocols import Http, Ws
from clawdbox.web.site import create_app

GRACE_S = 5
_BACKLOG = 1024
_MAX_CONNECTIONS = 2000


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """For `asyncio.Runner`: uvloop where there is one."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def listen(host: str, port: int) -> list[socket.socket]:
    """Sockets on every address of `host`, all on one port (any free one when it is 0). Raises StartRefused."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise StartRefused(
            "host_unknown", f"The box cannot listen on {host!r}: {error}. Choose another --host."
        ) from None
    sockets: list[socket.socket] = []
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            chosen = sockets[0].getsockname()[1] if sockets else port
            sockets.append(_bind(family, (address[0], chosen, *address[2:])))
    except OSError as error:
        for bound in sockets:
            bound.close()
        raise StartRefused(
            "port_in_use",
            f"The box cannot listen on {host}, port {port}: {error.strerror}. Choose another --port.",
        ) from None
    return sockets


def _bind(family: int, address: tuple[object, ...]) -> socket.socket:
    # Named TCP, else asyncio leaves Nagle's algorithm on and every answer takes 40 ms longer.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(address)
        bound.listen(_BACKLOG)
    except OSError:
        bound.close()
        raise
    bound.setblocking(False)
    return bound


class _Server(uvicorn.Server):
    """Signals belong to who runs the box."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class WebServer:
    """`start` when the box has started; `stop` when `box.stopping` is set, before or while the box stops."""

    def __init__(self, box: Box, sockets: list[socket.socket], app: Litestar | None = None) -> None:
        self._sockets = sockets
        self.port = int(sockets[0].getsockname()[1])
        config = uvicorn.Config(
            app or create_app(box),
            http=Http,
            ws=Ws,
            ws_max_size=MAX_BINARY + 8,
            ws_ping_interval=None,  # the sockets ask for themselves, in a way that a hung page does not answer
            ws_per_message_deflate=False,  # keystrokes do not shrink, and each socket would cost a window's memory
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_MAX_CONNECTIONS,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=GRACE_S,
        )
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns when the sockets are being served."""
        self._task = asyncio.create_task(self._server.serve(sockets=self._sockets))
        while not self._server.started:
            if self._task.done():
                self._task.result()
                raise StartRefused("server_failed", "The web server did not start. Its log says why.")
            await asyncio.sleep(0.001)

    async def stop(self) -> None:
        """Answer what is being asked, close sockets with 1012, and end within a few seconds whatever happens."""
        if self._task is None:
            return
        self._server.should_exit = True
        done, _ = await asyncio.wait([self._task], timeout=GRACE_S + 3)
        if not done:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
