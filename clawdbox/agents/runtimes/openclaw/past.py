"""What the gateway's history has of a turn: read as a whole once, then only what has come since."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from clawdbox.agents.runtimes.openclaw import frames
from clawdbox.agents.runtimes.openclaw.rules import standing
from clawdbox.agents.runtimes.openclaw.rules.standing import Course, Standing

_ROWS = 100
_MOST_PAGES = 20
_MOST_BYTES = 1024 * 1024

Ask = Callable[[str, dict[str, Any]], Awaitable[msgspec.Raw]]


class Past:
    """Of one turn. `ask` asks whatever gateway is there; the place in the history outlives a connection."""

    def __init__(self, turn_id: str, ask: Ask) -> None:
        self._turn_id = turn_id
        self._ask = ask
        self._rows: list[frames.Message] = []
        self._cursor: str | None = None

    async def look(self, key: str, *, thorough: bool) -> tuple[Standing, frames.History]:
        """How the turn stands. `thorough` looks far back before it says that the message was never sent."""
        history = await self._read(key)
        now = standing.of(self._turn_id, self._rows, history)
        if now.course is Course.UNSENT and thorough:
            await self._read_back(key, history)
            now = standing.of(self._turn_id, self._rows, history)
        return now, history

    async def _read(self, key: str) -> frames.History:
        if self._cursor is not None:
            history = await self._page(key, {"cursor": self._cursor})
            if history.kind == "delta":
                self._rows.extend(frames.messages_of(history))
                self._cursor = history.delta_cursor or self._cursor
                return history
        history = await self._page(key, {"limit": _ROWS})
        self._rows = frames.messages_of(history)
        self._cursor = history.delta_cursor
        return history

    async def _read_back(self, key: str, newest: frames.History) -> None:
        """Older rows, until the turn's message is among them: there may be many since."""
        page = newest if newest.kind != "delta" else await self._page(key, {"limit": _ROWS})
        rows = frames.messages_of(page)
        for _ in range(_MOST_PAGES):
            if standing.is_sent(self._turn_id, rows, newest) or not page.has_more or not page.next_offset:
                break
            page = await self._page(key, {"limit": _ROWS, "offset": page.next_offset})
            rows = [*frames.messages_of(page), *rows]
        self._rows = rows

    async def _page(self, key: str, how: dict[str, Any]) -> frames.History:
        bounds = {"maxBytes": _MOST_BYTES, "inputRunIds": [self._turn_id]}
        answer = await self._ask("chat.history", {"sessionKey": key, **bounds, **how})
        return frames.payload(answer, frames.History)
