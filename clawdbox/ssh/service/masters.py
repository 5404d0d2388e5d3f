"""The master of a lease: its link, its state, and the redialling while the lease lives."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from clawdbox.clock import Clock
from clawdbox.errors import Conflict
from clawdbox.ssh.model import MasterState, MasterView
from clawdbox.ssh.rules.leases import MASTER_TRANSITIONS, redial_delay
from clawdbox.ssh.wire.dial import DialFailure
from clawdbox.ssh.wire.link import Link

Dial = Callable[[], Awaitable[Link]]
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
    }
)


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
        self.running: set[asyncio.Event] = set()
        self._clock = clock
        self._grace = grace
        self._dial = dial
        self._changed = changed
        self._refused = refused
        self._redialling: asyncio.Task[None] | None = None

    @property
    def view(self) -> MasterView:
        grace_ends_at = self.lost_at + self._grace if self.lost_at else None
        return MasterView(self.state, self.since, self.redials, grace_ends_at)

    @property
    def is_up(self) -> bool:
        return self.state is MasterState.UP and self.link is not None and self.link.is_up

    def touch(self) -> None:
        self.last_activity = self._clock.now()

    async def connect(self) -> None:
        """The first dial. Raises DialFailure, and Conflict when the lease was closed meanwhile."""
        link = await self._dial()
        if self.state is MasterState.CLOSED:
            await link.close()
            raise Conflict("session_not_active", "This session was closed while it was being started.")
        self._up(link)

    async def close(self) -> None:
        """Stop what runs on it and close the link. Safe to call twice."""
        if self.state is MasterState.CLOSED:
            return
        if self.state is MasterState.UP:
            self._move(MasterState.DRAINING)
        if self._redialling:
            self._redialling.cancel()
            await asyncio.wait([self._redialling])
        for cancel in self.running:
            cancel.set()
        if self.link:
            await self.link.close()
        self.link = None
        self._move(MasterState.CLOSED)

    def _up(self, link: Link) -> None:
        self.link = link
        self.lost_at = None
        self._move(MasterState.UP)
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
            else:
                self._up(link)
                return

    def _move(self, state: MasterState) -> None:
        assert state in MASTER_TRANSITIONS[self.state], f"{self.state} → {state}"
        self.state = state
        self.since = self._clock.now()
        self._changed(self)
