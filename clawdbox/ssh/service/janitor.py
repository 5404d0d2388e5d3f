"""Signs of life and their absence: heartbeats, idle time-outs, orphans (document 05, sections 5.2 to 5.4)."""

import asyncio
from datetime import datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from clawdbox import logs
from clawdbox.accounts import Accounts
from clawdbox.events import Hub
from clawdbox.settings import Settings
from clawdbox.ssh.model import Lease
from clawdbox.ssh.rules import leases as rules
from clawdbox.ssh.service.leases import Leases
from clawdbox.ssh.sql import leases as sql
from clawdbox.store import Reader, Store, Tx

log = logs.get("ssh")


class Janitor:
    """Sweeps on a schedule, and at once when something happened that ends leases (a revoked key, a disabled account)."""

    def __init__(
        self, store: Store, hub: Hub, settings: Settings, accounts: Accounts, leases: Leases
    ) -> None:
        self._store = store
        self._hub = hub
        self._settings = settings
        self._accounts = accounts
        self._leases = leases
        self._scheduler = AsyncIOScheduler(timezone="UTC")
        self._sweeping = asyncio.Lock()
        self._follower: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._every(self.beat, self._settings.heartbeat_interval_s)
        self._every(self.sweep, self._settings.janitor_interval_s)
        self._scheduler.start()
        self._follower = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        self._scheduler.shutdown(wait=False)
        if self._follower:
            self._follower.cancel()
            await asyncio.wait([self._follower])

    async def beat(self, now: datetime | None = None) -> None:
        """The box sees its masters alive. One write for all of them; it makes no event."""
        held = list(self._leases.held.items())
        if not held:
            return
        now = now or self._store.clock.now()

        def change(tx: Tx) -> None:
            for lease_id, master in held:
                sql.beat(tx, lease_id, now if master.is_up else None, master.last_activity)

        await self._store.write(change)

    async def sweep(self) -> int:
        """End what must end; returns how many leases that were.

        One `now` for the heartbeat and the verdict: a machine that sleeps between the two has lost nothing.
        """
        async with self._sweeping:
            now = self._store.clock.now()
            await self.beat(now)
            endings = {}
            for facts in await self._store.read(self._standing):
                ending = rules.verdict(facts, await self._limits(facts.lease), now)
                if ending:
                    log.info("janitor.ends", reason=str(ending.reason), session_lease_id=facts.lease.id)
                    endings[facts.lease.id] = ending
            await self._leases.end_all(endings)  # at once: each may wait for its commands to end
            return len(endings)

    def _standing(self, r: Reader) -> list[rules.LeaseFacts]:
        return [self._facts(r, lease) for lease in sql.open_leases(r)]

    def _facts(self, r: Reader, lease: Lease) -> rules.LeaseFacts:
        master = self._leases.held.get(lease.id)
        revoked, active = sql.standing(r, lease)
        stored = lease.last_activity_at or lease.created_at
        activity: datetime = max(master.last_activity, stored) if master else stored
        if master and master.running:
            activity = r.now  # a command that says nothing is at work all the same
        return rules.LeaseFacts(lease, master.view if master else None, activity, revoked, active)

    async def _limits(self, lease: Lease) -> rules.Limits:
        account = await self._accounts.settings(lease.account_id)
        return rules.Limits(
            idle=timedelta(seconds=account.idle_timeout_s),
            grace=timedelta(seconds=self._settings.grace_s),
            dead=timedelta(seconds=self._settings.heartbeat_dead_s),
        )

    async def _follow(self) -> None:
        with self._hub.listen("leases:sweep") as signal:
            while True:
                await signal.wait()
                signal.clear()
                await self._tidy()

    async def _tidy(self) -> None:
        try:
            await self.sweep()
        except Exception:
            log.exception("janitor.failed")

    def _every(self, job: object, seconds: float) -> None:
        self._scheduler.add_job(job, "interval", seconds=seconds, max_instances=1, coalesce=True)
