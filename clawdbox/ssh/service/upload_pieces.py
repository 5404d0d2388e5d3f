"""The pieces of an upload that are on their way to the server: the next is taken before the last is confirmed."""

import asyncio
from collections import deque
from collections.abc import Coroutine

AHEAD = 2  # pieces on their way at once: while one is confirmed, the other fills the line


class Pieces:
    """Taken in order, written at the same time. After a failure the offset is where the first that failed began."""

    def __init__(self) -> None:
        self.offset = 0
        self._under_way: deque[tuple[int, asyncio.Future[None]]] = deque()

    def __len__(self) -> int:
        return len(self._under_way)

    def begin(self, length: int, write: Coroutine[None, None, None]) -> None:
        """Take a piece of `length` bytes for the offset; what goes wrong is told by the next `settle`."""
        writing = asyncio.ensure_future(write)
        writing.add_done_callback(_look_away)
        self._under_way.append((self.offset, writing))
        self.offset += length

    async def settle(self, left: int = 0) -> None:
        """Wait until no more than `left` pieces are unconfirmed. Raises what the first that failed has raised; then
        none is under way any more.
        """
        while self._under_way and (len(self._under_way) > left or self._under_way[0][1].done()):
            start, first = self._under_way[0]
            await asyncio.wait({first})
            if first.cancelled() or first.exception() is not None:
                await asyncio.wait([writing for _, writing in self._under_way])
                self._under_way.clear()
                self.offset = start
                first.result()
            self._under_way.popleft()

    async def drop(self) -> None:
        """Give up what is on its way."""
        self.cancel()
        if self._under_way:
            await asyncio.wait([writing for _, writing in self._under_way])
            self.offset = self._under_way[0][0]
            self._under_way.clear()

    def cancel(self) -> None:
        for _, writing in self._under_way:
            writing.cancel()


def _look_away(writing: "asyncio.Future[None]") -> None:
    """An upload that nobody goes on with asks no more how its last pieces ended."""
    if not writing.cancelled():
        writing.exception()
