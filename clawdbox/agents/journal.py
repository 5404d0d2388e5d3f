"""The pen of one running turn: events in their order, in few writes, and never on a turn that has ended."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, TypeVar

from clawdbox.agents import sql
from clawdbox.agents.model import Turn
from clawdbox.agents.rules.output import EVENT_BYTES, Draft, joined
from clawdbox.store import Reader, Store, Tx

T = TypeVar("T")

_PAUSE_S = 0.1


class TurnEnded(Exception):
    """The turn was ended from elsewhere, or waits for another lease: this flight adds nothing to it any more."""


class Journal:
    """Drafts are written at once after a pause, else gathered for up to 100 ms or 16 KiB.

    The first write that fails is the last: `failure` keeps the error, every later call raises it, and `on_failure`
    is called, so that what fills the journal can be stopped.
    """

    def __init__(self, store: Store, turn: Turn, on_failure: Callable[[], None]) -> None:
        self._store = store
        self._turn = turn
        self._on_failure = on_failure
        self._drafts: list[Draft] = []
        self._beside: Callable[[Tx], None] = _nothing
        self._size = 0
        self._writing = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._flushing: set[asyncio.Task[None]] = set()
        self._last_write = -_PAUSE_S
        self.failure: Exception | None = None

    def add(self, kind: str, payload: dict[str, Any], size: int = 0) -> None:
        """Put down an event that is written soon."""
        self._check()
        draft = Draft(kind, payload, size)
        merged = joined(self._drafts[-1], draft) if self._drafts else None
        if merged:
            self._drafts[-1] = merged
        else:
            self._drafts.append(draft)
        self._size += size
        self._flush_within_a_pause()

    def beside(self, fn: Callable[[Tx], None]) -> None:
        """What has to be written together with what is put down from now on, and never without it.

        A later one replaces it. Whatever writes next writes it, too.
        """
        self._check()
        self._beside = fn
        self._flush_within_a_pause()

    async def drain(self) -> None:
        """Write when there is one write's worth: so a fast command is slowed to what the disk takes."""
        if self._size >= EVENT_BYTES:
            await self.flush()

    async def drain_quietly(self) -> None:
        """The same for one who must not be disturbed: a failure shows in `failure`, and at every later call."""
        with contextlib.suppress(Exception):
            await self.drain()

    async def flush(self) -> None:
        """Everything put down so far is committed when this returns."""
        async with self._writing:
            self._stop_timer()
            self._check()
            if self._drafts or self._beside is not _nothing:
                await self._write(self._take(), _nothing)
                self._last_write = asyncio.get_running_loop().time()

    async def write(self, fn: Callable[[Tx], T]) -> T:
        """Everything put down so far, and then what `fn` does, in one transaction."""
        async with self._writing:
            self._stop_timer()
            self._check()
            return await self._write(self._take(), fn)

    async def apart(self, fn: Callable[[Tx], T]) -> T:
        """After everything put down so far is committed, `fn` in a transaction of its own, whose errors are the caller's.

        Raises TurnEnded.
        """
        await self.flush()
        turn = self._turn

        def change(tx: Tx) -> T:
            if not sql.in_flight(tx, turn):
                raise TurnEnded
            return fn(tx)

        return await self._store.write(change)

    async def read(self, fn: Callable[[Reader], T]) -> T:
        """After everything put down so far is committed."""
        await self.flush()
        return await self._store.read(fn)

    def taken(self) -> Callable[[Tx], None]:
        """What was put down so far, to be written within another's transaction that is asked for right now."""
        self._stop_timer()
        before, turn = self._take(), self._turn

        def add(tx: Tx) -> None:
            if sql.in_flight(tx, turn):
                before(tx)

        return add

    def fail(self, error: Exception) -> None:
        """What was taken could not be written."""
        self.failure = self.failure or error
        self._on_failure()

    async def flush_quietly(self) -> None:
        with contextlib.suppress(Exception):  # kept as `failure`
            await self.flush()

    async def close(self) -> None:
        self._stop_timer()
        if self._flushing:
            await asyncio.wait(self._flushing)

    def _take(self) -> Callable[[Tx], None]:
        """All that was put down so far, and what belongs beside it."""
        drafts, beside, turn = self._drafts, self._beside, self._turn
        self._drafts, self._beside, self._size = [], _nothing, 0

        def put(tx: Tx) -> None:
            _append(tx, turn, drafts)
            beside(tx)

        return put

    async def _write(self, before: Callable[[Tx], None], fn: Callable[[Tx], T]) -> T:
        turn = self._turn

        def change(tx: Tx) -> T:
            if not sql.in_flight(tx, turn):
                raise TurnEnded
            before(tx)
            return fn(tx)

        try:
            return await self._store.write(change)
        except Exception as error:
            self.failure = error
            self._on_failure()
            raise

    def _check(self) -> None:
        if self.failure:
            raise self.failure

    def _flush_within_a_pause(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(max(loop.time(), self._last_write + _PAUSE_S), self._flush_soon)

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _flush_soon(self) -> None:
        self._timer = None
        task = asyncio.get_running_loop().create_task(self.flush_quietly())
        self._flushing.add(task)
        task.add_done_callback(self._flushing.discard)


def _append(tx: Tx, turn: Turn, drafts: list[Draft]) -> None:
    for draft in drafts:
        sql.append(tx, turn.conversation_id, turn.id, draft.type, draft.payload)


def _nothing(_tx: Tx) -> None:
    return
