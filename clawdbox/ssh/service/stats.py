"""Facts and live figures of a server: probed while somebody looks, over the lease's own link.

A probe is a fixed script that only reads. So it is not written down one by one: a row in `executions`, committed before
the first one leaves, and an entry in the audit trail stand for a whole period of looking. It does not count as use of
the session either: who only watches lets it end at its idle time-out (ADR 0016).
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

import msgspec

from clawdbox import logs
from clawdbox.errors import Conflict, Problem, Upstream
from clawdbox.events import Actor, Hub, Ledger
from clawdbox.ids import new_id
from clawdbox.settings import Settings
from clawdbox.ssh.model import Lease
from clawdbox.ssh.model.stats import Facts, Reading, Sample, ShellStart
from clawdbox.ssh.rules import leases as lease_rules
from clawdbox.ssh.rules import probe, shell_start
from clawdbox.ssh.service.leases import Leases
from clawdbox.ssh.sql import leases as sql
from clawdbox.ssh.wire.execs import run
from clawdbox.ssh.wire.model import ChannelRefused, ExecResult, LinkLost
from clawdbox.store import Store, Tx

log = logs.get("ssh")
HISTORY_S = 900
FACTS_AGE_S = 60.0
LINGER_S = 30.0  # of real time: after nobody has looked for so long, a period of looking is over
_TIMEOUT_S = 10.0
_FLOOD_BYTES = 1_048_576
_SLOWEST_S = 60.0
_COMMAND = "# statistics of the server: a fixed script that only reads"


class Look(msgspec.Struct, frozen=True):
    """The samples kept, the oldest first; what is wrong with the newest probe; whether there will be no more."""

    history: list[Sample]
    problem: Problem | None
    over: bool


class _Period:
    """What is known of a lease's server while somebody looks, and shortly after."""

    def __init__(self, actor: Actor, lease: Lease, row_id: str, begun: datetime, keep: int) -> None:
        self.actor = actor
        self.lease = lease
        self.row_id = row_id
        self.begun = begun
        self.history: deque[Sample] = deque(maxlen=keep)
        self.last: Reading | None = None
        self.facts: Facts | None = None
        self.problem: Problem | None = None
        self.over = False
        self.watchers = 0
        self.probes = 0
        self.failures = 0
        self.looked = asyncio.Event()
        self.turn = asyncio.Lock()
        self.task: asyncio.Task[None] | None = None


class Stats:
    def __init__(self, store: Store, ledger: Ledger, hub: Hub, settings: Settings, leases: Leases) -> None:
        self._store = store
        self._ledger = ledger
        self._hub = hub
        self._leases = leases
        self._interval_s = settings.stats_interval_s
        self._keep = max(2, int(HISTORY_S / settings.stats_interval_s))
        self._periods: dict[str, _Period] = {}
        self._opening = asyncio.Lock()

    async def facts(self, actor: Actor, account_id: str, lease_id: str) -> Facts:
        """At most a minute old. Raises NotFound, Conflict `session_not_active`, Upstream `probe_failed`."""
        period = await self._look(actor, account_id, lease_id)
        async with period.turn:
            if period.facts is None or self._age(period.facts.at) > FACTS_AGE_S:
                await self._probe(period, full=True)
        if period.facts is None:
            raise period.problem or _silent()
        return period.facts

    async def latest(self, actor: Actor, account_id: str, lease_id: str) -> tuple[Sample, list[Sample]]:
        """(the newest sample, those of the last 15 minutes, the oldest first). Raises as `facts` does."""
        period = await self._look(actor, account_id, lease_id)
        async with period.turn:
            if not period.history or self._age(period.history[-1].at) > self._interval_s:
                await self._probe(period)
        if not period.history or period.problem:
            raise period.problem or _silent()
        return period.history[-1], list(period.history)

    @asynccontextmanager
    async def watching(
        self, actor: Actor, account_id: str, lease_id: str
    ) -> AsyncIterator[Callable[[], Look]]:
        """Probe every few seconds until the last one stops watching; the hub's key `stats:<lease>` tells of each.

        Gives a function that tells what is known now.
        """
        period = await self._look(actor, account_id, lease_id)
        period.watchers += 1
        period.looked.set()
        try:
            yield lambda: Look(list(period.history), period.problem, period.over)
        finally:
            period.watchers -= 1
            period.looked.set()

    async def shell_start(self, actor: Actor, account_id: str, lease_id: str) -> ShellStart:
        """Measure what the login shell does before a command. Raises as `facts` does."""
        period = await self._look(actor, account_id, lease_id)
        async with period.turn:
            runs = []
            for _ in range(shell_start.RUNS):
                period.probes += 1
                result = await self._run(period, shell_start.COMMAND)
                runs.append(shell_start.parse(result.stdout))
        return shell_start.verdict(runs)

    async def stop(self) -> None:
        """Before the leases end."""
        tasks = [period.task for period in self._periods.values() if period.task]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=5)

    async def close(self, lease_id: str) -> None:
        """The lease ends: nobody looks any more."""
        period = self._periods.get(lease_id)
        if period and period.task:
            period.task.cancel()
            await asyncio.wait([period.task], timeout=5)

    # inside

    def _age(self, at: datetime) -> float:
        return (self._store.clock.now() - at).total_seconds()

    async def _look(self, actor: Actor, account_id: str, lease_id: str) -> _Period:
        lease, _, _ = await self._leases.up(account_id, lease_id)
        async with self._opening:
            period = self._periods.get(lease_id)
            if period is None:
                row_id = new_id(self._store.clock.now())
                begun = await self._store.write(lambda tx: _begin(tx, row_id, lease))
                period = self._periods[lease_id] = _Period(actor, lease, row_id, begun, self._keep)
                period.task = asyncio.create_task(self._tend(period))
        period.looked.set()
        return period

    async def _tend(self, period: _Period) -> None:
        """Probe while there are watchers; end the period once nobody has looked for a while."""
        try:
            while True:
                if period.watchers:
                    await self._tick(period)
                    pause = min(_SLOWEST_S, self._interval_s * 2**period.failures)
                    await self._unless_left(period, pause)
                    continue
                period.looked.clear()
                try:
                    async with asyncio.timeout(LINGER_S):
                        await period.looked.wait()
                except TimeoutError:
                    if not period.watchers:
                        return
        finally:
            self._periods.pop(period.lease.id, None)
            period.over = True
            self._hub.wake({f"stats:{period.lease.id}"})
            await asyncio.shield(self._end(period))

    async def _unless_left(self, period: _Period, seconds: float) -> None:
        """Wait for the next tick, or until the last watcher has gone."""
        deadline = asyncio.get_running_loop().time() + seconds
        while period.watchers and (left := deadline - asyncio.get_running_loop().time()) > 0:
            period.looked.clear()
            try:
                async with asyncio.timeout(left):
                    await period.looked.wait()
            except TimeoutError:
                return

    async def _tick(self, period: _Period) -> None:
        async with period.turn:
            await self._probe(period)
        self._hub.wake({f"stats:{period.lease.id}"})

    async def _probe(self, period: _Period, *, full: bool = False) -> None:
        """One reading, into the period: a sample, or what is wrong."""
        period.probes += 1
        try:
            result = await self._run(period, probe.script(full=full))
            reading = probe.parse(result.stdout, self._store.clock.now())
            if not probe.understood(reading):
                raise _silent()
        except Problem as problem:
            period.problem = problem
            period.failures = min(period.failures + 1, 5)
            return
        period.problem, period.failures = None, 0
        sample = probe.between(period.last, reading) if period.last else reading.sample
        period.last = reading
        period.history.append(sample)
        if full:
            period.facts = reading.facts

    async def _run(self, period: _Period, script: str) -> ExecResult:
        _, _, link = await self._leases.up(period.lease.account_id, period.lease.id)
        try:
            result = await run(
                link,
                script,
                timeout_s=_TIMEOUT_S,
                max_output_bytes=probe.OUTPUT_BYTES,
                flood_bytes=_FLOOD_BYTES,
            )
        except ChannelRefused as refusal:
            raise Conflict("command_refused", f"{refusal} No figures can be read.") from None
        except LinkLost:
            raise _silent() from None
        if result.timed_out:
            raise Upstream(
                "probe_failed",
                "The server did not answer in 10 seconds. It may be very busy; the box tries again more slowly.",
                cause="timeout",
            )
        if result.flooded or result.lost:
            raise _silent()
        return result

    async def _end(self, period: _Period) -> None:
        def change(tx: Tx) -> None:
            duration = (tx.now - period.begun).total_seconds() * 1000
            sql.finish_execution(tx, period.row_id, "done", 0, duration, False)
            self._ledger.audit(
                tx,
                period.actor,
                "session.watch",
                "session_lease",
                period.lease.id,
                detail={"probes": period.probes, "seconds": round(duration / 1000)},
                account_id=period.lease.account_id,
            )

        await self._store.write(change)
        log.info("ssh.watched", probes=period.probes, session_lease_id=period.lease.id)


def _begin(tx: Tx, row_id: str, lease: Lease) -> datetime:
    lease_rules.check_still_active(sql.get(tx, lease.account_id, lease.id))
    sql.start_execution(tx, row_id, lease, None, _COMMAND)
    return tx.now


def _silent() -> Upstream:
    return Upstream(
        "probe_failed",
        "The server gave no figures that can be read. Its login shell may not run commands, or print something of its own.",
        cause="no_answer",
    )
