"""Wake-ups inside the process. A wake-up carries nothing: who hears it reads what is new from the store."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Hub:
    """Waiters by key, such as `account:<id>` or `conversation:<id>`."""

    def __init__(self) -> None:
        self._waiters: dict[str, set[asyncio.Event]] = {}

    @contextmanager
    def listen(self, *keys: str) -> Iterator[asyncio.Event]:
        """An asyncio.Event that is set whenever one of the keys is woken; the listener clears it itself."""
        signal = asyncio.Event()
        for key in keys:
            self._waiters.setdefault(key, set()).add(signal)
        try:
            yield signal
        finally:
            for key in keys:
                self._forget(key, signal)

    def is_heard(self, key: str) -> bool:
        """Whether anybody listens to it now."""
        return key in self._waiters

    def wake(self, keys: set[str]) -> None:
        for key in keys:
            for signal in self._waiters.get(key, ()):
                signal.set()

    def _forget(self, key: str, signal: asyncio.Event) -> None:
        waiters = self._waiters.get(key, set())
        waiters.discard(signal)
        if not waiters:
            self._waiters.pop(key, None)
