"""A cable between the phone and the box that can be pulled: a TCP proxy of the test's own."""

import contextlib
import selectors
import socket
import threading
from types import TracebackType
from typing import Self

_CHUNK = 65_536


class Cable:
    """Listens on `port` of loopback and forwards to the box. While `pulled`, nothing goes through and nothing is said."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._selector = selectors.DefaultSelector()
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._plugged = threading.Event()
        self._plugged.set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._plugged.set()
        self._thread.join()
        for end in [*self._pairs, self._listener]:
            end.close()
        self._selector.close()

    def pull(self) -> None:
        self._plugged.clear()

    def mend(self) -> None:
        """The network is back before anybody noticed: what was on its way arrives."""
        self._plugged.set()

    def plug(self) -> None:
        """The network is back, and the old connections are as dead as they were."""
        for end in list(self._pairs):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._plugged.set()

    def _run(self) -> None:
        while not self._ended.is_set():
            self._plugged.wait()
            for key, _ in self._selector.select(timeout=0.05):
                if not self._plugged.is_set():
                    break
                assert isinstance(key.fileobj, socket.socket)
                self._forward(key.fileobj)

    def _forward(self, end: socket.socket) -> None:
        if end is self._listener:
            self._accept()
            return
        other = self._pairs.get(end)
        if other is None:
            return
        try:
            data = end.recv(_CHUNK)
            if data:
                other.sendall(data)
                return
        except OSError:
            pass
        self._drop(end, other)

    def _accept(self) -> None:
        inside, _ = self._listener.accept()
        try:
            outside = socket.create_connection(("127.0.0.1", self._target), timeout=5)
        except OSError:
            inside.close()
            return
        for one, other in ((inside, outside), (outside, inside)):
            one.setblocking(True)
            self._pairs[one] = other
            self._selector.register(one, selectors.EVENT_READ)

    def _drop(self, *ends: socket.socket) -> None:
        for end in ends:
            if self._pairs.pop(end, None) is not None:
                self._selector.unregister(end)
                end.close()
