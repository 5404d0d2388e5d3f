"""The job that listens to committed events and sees that they get out."""

import asyncio
from datetime import timedelta

from clawdbox import logs
from clawdbox.events import Hub
from clawdbox.events import sql as event_sql
from clawdbox.notify.service.channels import Channels
from clawdbox.notify.service.courier import DUE, Courier
from clawdbox.notify.service.relay import CONSUMER, Relay
from clawdbox.notify.sql import channels as channel_sql
from clawdbox.notify.sql import deliveries as delivery_sql
from clawdbox.settings import Settings
from clawdbox.store import Store, Tx

log = logs.get("notify")
_GATHER_S = 0.1  # events come in bursts, and a burst costs one look
_LOOK_S = 30.0  # the clock of the box may jump
_TIDY_EVERY_S = 3600.0
_PATIENCE_S = 2.0


class Notifier:
    def __init__(
        self,
        store: Store,
        hub: Hub,
        settings: Settings,
        channels: Channels,
        relay: Relay,
        courier: Courier,
    ) -> None:
        self._store = store
        self._hub = hub
        self._kept = timedelta(days=settings.notify_keep_days)
        self._channels = channels
        self.relay = relay
        self.courier = courier
        self._task: asyncio.Task[None] | None = None
        self._tidied_at: float | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self.courier.stop(_PATIENCE_S)

    async def _follow(self) -> None:
        with self._hub.listen("events", DUE) as signal:
            while True:
                signal.clear()
                wait = await self._look()
                try:
                    async with asyncio.timeout(wait):
                        await signal.wait()
                except TimeoutError:
                    continue
                await asyncio.sleep(_GATHER_S)

    async def _look(self) -> float:
        """Seconds until the next look."""
        try:
            await self.relay.take_all()
            await self.courier.send_due()
            if self._is_time_to_tidy():
                await self.tidy()
            due = await self.courier.next_due()
        except Exception:
            log.exception("notify.failed")
            return _LOOK_S
        left = (due - self._store.clock.now()).total_seconds() if due else _LOOK_S
        return left if 0 < left < _LOOK_S else _LOOK_S  # what is overdue is under way, or rests

    def _is_time_to_tidy(self) -> bool:
        now = self._store.clock.monotonic()
        if self._tidied_at is not None and now - self._tidied_at < _TIDY_EVERY_S:
            return False
        self._tidied_at = now
        return True

    async def tidy(self) -> None:
        """Forget what is long past, and the devices whose login ended by itself."""

        def change(tx: Tx) -> None:
            before = tx.now - self._kept
            delivery_sql.forget(tx, before)
            channel_sql.forget_removed(tx, before)
            event_sql.forget_taken(tx, CONSUMER, before)
            self._channels.forget_ended_logins(tx)

        await self._store.write(change)
