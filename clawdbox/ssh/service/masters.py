"""The master of a lease: its link, its state, and the redialling while the lease lives."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any

from clawdbox import logs
from clawdbox.clock import Clock
from clawdbox.errors import Problem
from clawdbox.ssh.model import MasterState, MasterView
from clawdbox.ssh.rules.leases import MASTER_TRANSITIONS, closed_meanwhile, redial_delay
from clawdbox.ssh.wire.dial import DialFailure
from clawdbox.ssh.wire.link import Link

log = logs.get("ssh")
Dial = Callable[[], Coroutine[Any, Any, Link]]
Changed = Callable[["Master"], None]
Refused = Callable[["Master", DialFailure], Awaitable[None]]

# A redial that fails for one of these will fail again: there is nothing to wait for.
FINAL_CAUSES = frozenset(
    {
        "authentication",
        "host_key_unknown",
        "host_key_changed",
        "key_type_changed",
        "algorithms",
        "address_refused",
        "forwarding",
        "jump_untested",
        "jump_host_key",
        "host_certificate",
        "host_key_revoked",
    }
)
# How long a closing master waits for its commands to end on the server: TERM, two seconds, KILL, and a look.
DRAIN_S = 10.0


class Master:
    """One warm connection for one lease, never shared (HOUSE rule 9). `dial` always re-checks the pin."""

    def __init__(
        self, lease_id: str, clock: Clock, grace: timedelta, dial: Dial, changed: Changed, refused: Refused
    ):
        self.lease_id = lease_id
        self.state = MasterState.DIALLING
        self.since = clock.now()
        self.redials = 0
        self.lost_at: datetime | None = None
        self.last_activity = self.since
        self.link: Link | None = None
        self.running: set[asyncio.Event] = set()  # of each command, what stops it
        self._clock = clock
        self._grace = grace
        self._dial = dial
        self._changed = changed
        self._refused = refused
        self._dialling: asyncio.Task[Link] | None = None
        self._redialling: asyncio.Task[None] | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._moved = asyncio.Event()

    @property
    def view(self) -> MasterView:
        grace_ends_at = self.lost_at + self._grace if self.lost_at else None
        return MasterView(self.state, self.since, self.redials, grace_ends_at)

    @property
    def is_up(self) -> bool:
        return self.state is MasterState.UP and self.link is not None and self.link.is_up

    @property
    def is_closed(self) -> bool:
        return self.state is MasterState.CLOSED

    async def moved(self) -> None:
        """Wait for its next change of state."""
        await self._moved.wait()

    def touch(self) -> None:
        self.last_activity = self._clock.now()

    @contextmanager
    def busy(self, stop: asyncio.Event) -> Iterator[None]:
        """While a command runs, the master is not idle, and waits for it before it closes; `stop` ends the command."""
        self.running.add(stop)
        self._idle.clear()
        try:
            yield
        finally:
            self.running.discard(stop)
            if not self.running:
                self._idle.set()

    async def connect(self) -> None:
        """The first dial. Raises DialFailure, and Conflict when the lease was closed meanwhile."""
        self._dialling = asyncio.ensure_future(self._dial())
        try:
            link = await self._dialling
        except asyncio.CancelledError:
            if self.is_closed:
                raise closed_meanwhile() from None
            raise
        if self.is_closed:
            await link.close()
            raise closed_meanwhile()
        self._up(link)

    async def close(self) -> None:
        """Stop what runs on it, see it end, and close the link. Safe to call twice."""
        if self.state in (MasterState.CLOSED, MasterState.DRAINING):
            return
        if self.state is not MasterState.UP:
            await self._give_up()
            return
        self._move(MasterState.DRAINING)
        for stop in self.running:
            stop.set()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), DRAIN_S)
        if self.link:
            await self.link.close()
        self.link = None
        self._move(MasterState.CLOSED)

    async def _give_up(self) -> None:
        """Close while there is no link: no dial may log in any more."""
        self._move(MasterState.CLOSED)
        dials = [task for task in (self._dialling, self._redialling) if task]
        for task in dials:
            task.cancel()
        if dials:
            await asyncio.wait(dials)

    def _up(self, link: Link) -> None:
        self.link = link
        self.lost_at = None
        self._move(MasterState.UP)
        link.keep_one_ahead()
        link.on_lost(lambda _reason: self._lost(link))

    def _lost(self, link: Link) -> None:
        if self.state is not MasterState.UP or self.link is not link:
            return
        self.link = None
        self.lost_at = self._clock.now()
        self._move(MasterState.LOST)
        self._redialling = asyncio.get_running_loop().create_task(self._redial())

    async def _redial(self) -> None:
        attempt = 0
        while True:
            await asyncio.sleep(redial_delay(attempt, random.random()))  # noqa: S311 - spreads load, guards nothing
            attempt += 1
            self.redials += 1
            self._move(MasterState.DIALLING)
            try:
                link = await self._dial()
            except DialFailure as failure:
                self._move(MasterState.LOST)
                if failure.cause in FINAL_CAUSES:
                    await self._refused(self, failure)
                    return
            except (
                Problem
            ) as problem:  # the box's own trouble, such as a full disk, may pass within the grace
                log.warning("ssh.redial_failed", problem=problem.code, session_lease_id=self.lease_id)
                self._move(MasterState.LOST)
            else:
                self._up(link)
                return

    def _move(self, state: MasterState) -> None:
        assert state in MASTER_TRANSITIONS[self.state], f"{self.state} → {state}"
        self.state = state
        self.since = self._clock.now()
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()
        self._changed(self)
