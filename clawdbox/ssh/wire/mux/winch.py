"""SIGWINCH, which `ssh` passes on to the process that answered its ALIVE_CHECK."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager


class Winch:
    """Tells every open terminal at once. Where the loop takes no signals (a thread), sizes are looked at now and then."""

    def __init__(self) -> None:
        self._events: set[asyncio.Event] = set()
        self._heard = False

    def start(self) -> None:
        try:
            asyncio.get_running_loop().add_signal_handler(signal.SIGWINCH, self._fire)
            self._heard = True
        except (RuntimeError, ValueError, NotImplementedError):
            self._heard = False

    def stop(self) -> None:
        if self._heard:
            asyncio.get_running_loop().remove_signal_handler(signal.SIGWINCH)

    @contextmanager
    def listen(self) -> Iterator[asyncio.Event]:
        event = asyncio.Event()
        self._events.add(event)
        try:
            yield event
        finally:
            self._events.discard(event)

    def _fire(self) -> None:
        for event in self._events:
            event.set()
