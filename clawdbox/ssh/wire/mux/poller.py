"""Waiting for descriptors that belong to somebody else, too.

An event loop's own `add_reader` may put a descriptor into non-blocking mode (uvloop does), and that mode is shared with
the program that passed it: its shell would read end-of-file from its own terminal. So these wait in an epoll of their
own, and the loop watches that epoll.
"""

import asyncio
import select
from contextlib import suppress


class Poller:
    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._epoll = select.epoll()
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._loop.add_reader(self._epoll.fileno(), self._fire)

    async def readable(self, number: int) -> None:
        """Raises PermissionError for what cannot be polled, such as a regular file."""
        await self._wait(number, select.EPOLLIN | select.EPOLLRDHUP)

    async def writable(self, number: int) -> None:
        await self._wait(number, select.EPOLLOUT)

    def close(self) -> None:
        if not self._epoll.closed:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()

    async def _wait(self, number: int, events: int) -> None:
        self._epoll.register(number, events | select.EPOLLONESHOT)
        ready = self._waiting[number] = self._loop.create_future()
        try:
            await ready
        finally:
            # Before anybody closes it: an epoll goes on about a descriptor whose other copies are still open.
            self._waiting.pop(number, None)
            with suppress(OSError, ValueError):
                self._epoll.unregister(number)

    def _fire(self) -> None:
        for number, _events in self._epoll.poll(0):
            ready = self._waiting.get(number)
            if ready is not None and not ready.done():
                ready.set_result(None)
