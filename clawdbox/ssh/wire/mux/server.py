"""A control socket: who may connect, and what becomes of the clients when it closes."""

import asyncio
import logging
import os
import socket
from contextlib import suppress
from pathlib import Path

from clawdbox.ssh.wire.mux.client import Client
from clawdbox.ssh.wire.mux.desk import Desk
from clawdbox.ssh.wire.mux.forwards import Forwards
from clawdbox.ssh.wire.mux.line import Line, peer_of
from clawdbox.ssh.wire.mux.packets import Malformed
from clawdbox.ssh.wire.mux.poller import Poller
from clawdbox.ssh.wire.mux.winch import Winch

log = logging.getLogger(__name__)
MOST_CLIENTS = 512
_BACKLOG = 128
_BREATH_S = 0.5


class ControlServer:
    """Listens at `path` from `start` to `stop_listening`; `close` ends what goes on."""

    def __init__(self, path: Path, desk: Desk, poller: Poller, winch: Winch) -> None:
        self.path = path
        self._desk = desk
        self._poller = poller
        self._winch = winch
        self._forwards = Forwards()
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._clients: set[asyncio.Task[None]] = set()
        self._room = asyncio.Event()

    def start(self) -> None:
        """Raises OSError. Whatever lies at `path` is replaced."""
        with suppress(FileNotFoundError):
            self.path.unlink()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            listener.setblocking(False)
            before = os.umask(0o177)  # nobody else may open it at any moment
            try:
                listener.bind(os.fspath(self.path))
            finally:
                os.umask(before)
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
        self._listener = listener
        self._accepting = asyncio.ensure_future(self._accept(listener))

    def stop_listening(self) -> None:
        """No client comes any more; those that are there stay."""
        if self._listener is None:
            return
        self._listener = None
        assert self._accepting is not None
        self._accepting.cancel()  # which closes the listener, once nobody waits on it
        with suppress(FileNotFoundError):
            self.path.unlink()

    def close_forwards(self) -> None:
        self._forwards.close()

    async def close(self, patience_s: float) -> None:
        """Clients whose session is being ended get that long to hear how."""
        self.stop_listening()
        self.close_forwards()
        if self._clients:
            await asyncio.wait(self._clients, timeout=patience_s)
        left = [*self._clients]
        for task in left:
            task.cancel()
        if self._accepting is not None:
            left.append(self._accepting)
        await asyncio.gather(*left, return_exceptions=True)

    @property
    def listens(self) -> bool:
        return self._listener is not None

    @property
    def clients(self) -> int:
        return len(self._clients)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with listener:
            while True:
                while len(self._clients) >= MOST_CLIENTS:
                    self._room.clear()
                    await self._room.wait()
                try:
                    sock, _ = await loop.sock_accept(listener)
                except OSError as error:  # no descriptor is left, at this moment
                    log.warning("a control socket could not take a client: %s", error)
                    await asyncio.sleep(_BREATH_S)
                    continue
                self._welcome(sock)

    def _welcome(self, sock: socket.socket) -> None:
        try:
            pid, uid = peer_of(sock)
            if uid != os.geteuid():
                sock.close()
                return
            line = Line(sock)
        except OSError:
            sock.close()
            return
        client = Client(line, pid, self._desk, self._poller, self._winch, self._forwards)
        task = asyncio.ensure_future(self._serve(client, line))
        self._clients.add(task)
        task.add_done_callback(self._left)

    def _left(self, task: "asyncio.Task[None]") -> None:
        self._clients.discard(task)
        self._room.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a client of a control socket could not be served", exc_info=error)

    async def _serve(self, client: Client, line: Line) -> None:
        try:
            await client.serve()
        except (Malformed, TimeoutError, ConnectionError):
            pass  # it said nothing that could be answered, nothing at all, or has gone
        finally:
            line.close()
