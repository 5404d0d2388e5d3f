"""Things that are good once, for minutes: challenges, codes, requests of strangers.

They live in memory alone. None of them has to outlive the process, and what anybody can ask for must not write to disk.
"""

from collections import OrderedDict
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from clawdbox.clock import Clock

T = TypeVar("T")


class ShortLived(Generic[T]):
    """By key, until taken or expired. Of more than `most` the oldest goes."""

    def __init__(self, clock: Clock, ttl: timedelta, most: int = 1000) -> None:
        self._clock = clock
        self._ttl = ttl
        self._most = most
        self._held: OrderedDict[str, tuple[datetime, T]] = OrderedDict()

    def put(self, key: str, value: T) -> datetime:
        """When it will have expired."""
        expires_at = self._clock.now() + self._ttl
        self._held.pop(key, None)
        self._held[key] = (expires_at, value)
        while len(self._held) > self._most:
            self._held.popitem(last=False)
        return expires_at

    def look(self, key: str) -> T | None:
        held = self._held.get(key)
        return held[1] if held and self._clock.now() < held[0] else None

    def take(self, key: str) -> T | None:
        """The value, which nobody gets again."""
        value = self.look(key)
        self._held.pop(key, None)
        return value

    def clear(self) -> None:
        self._held.clear()

    def living(self) -> Iterator[tuple[str, datetime, T]]:
        """The newest first."""
        now = self._clock.now()
        for key, (expires_at, value) in reversed(self._held.items()):
            if now < expires_at:
                yield key, expires_at, value
