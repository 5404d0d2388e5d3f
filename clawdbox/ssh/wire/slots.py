"""A queue for a server's MaxSessions: whoever finds no free session waits in line instead of failing."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from clawdbox.ssh.wire.model import ChannelRefused

T = TypeVar("T")

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0
_PATIENCE_ALONE = 3.0


class Full(Exception):
    """The server has no session left at this moment, though the connection is well."""


class Slots:
    """First come, first served. Only the head of the line asks the server again: whenever one of our own sessions
    has ended, and once in a while besides, since a server frees a session a little after it says so."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._freed = asyncio.Event()
        self.held = 0

    @property
    def has_line(self) -> bool:
        """Whether somebody waits for a session."""
        return self._turn.locked()

    def take(self) -> None:
        self.held += 1

    def release(self) -> None:
        self.held -= 1
        self._freed.set()

    def wake(self) -> None:
        """Let the head of the line look again, for it may learn that the connection is gone."""
        self._freed.set()

    async def open(self, attempt: Callable[[], Awaitable[T]], *, ahead: bool = False) -> T:
        """Run `attempt` until it stops raising Full. `ahead` does not stand in line (for stopping what blocks it)."""
        if ahead:
            return await self._insist(attempt)
        if not self._turn.locked():
            try:
                return await attempt()
            except Full:
                pass
        async with self._turn:
            return await self._insist(attempt)

    async def _insist(self, attempt: Callable[[], Awaitable[T]]) -> T:
        pause, alone = _FIRST_PAUSE, 0.0
        while True:
            self._freed.clear()
            try:
                return await attempt()
            except Full:
                alone = 0.0 if self.held else alone + pause
            if alone > _PATIENCE_ALONE:
                raise ChannelRefused("The server opens no session at all (MaxSessions 0?).")
            await self._pause(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._freed.wait()
        except TimeoutError:
            pass
