"""A command on many connections at once: each is asked at most once, a few at a time, and every answer is written down."""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from clawdbox import logs
from clawdbox.errors import Conflict, Invalid, NotFound, Problem, Unavailable, Upstream
from clawdbox.events import Actor, Ledger
from clawdbox.ids import new_id
from clawdbox.settings import Settings
from clawdbox.ssh.model import Lease
from clawdbox.ssh.model.fleet import AnswerState, FleetAnswer, FleetRun, Outcome, RunState
from clawdbox.ssh.rules import fleet as rules
from clawdbox.ssh.service.execs import Execs, Within, check_command
from clawdbox.ssh.service.leases import Leases
from clawdbox.ssh.sql import connections as connection_sql
from clawdbox.ssh.sql import fleet as sql
from clawdbox.ssh.sql import leases as lease_sql
from clawdbox.store import Reader, Store, Tx

log = logs.get("ssh")
_READ_BYTES = 1_048_576  # of both streams, so that what is kept of one does not depend on the other
_STOP_PATIENCE = 8.0
_AGAIN_S = 5.0  # when the disk was full


class _Flight:
    """A run of this process. `cancel` stops what runs; `ending` is what becomes of the run then."""

    def __init__(self, actor: Actor, run: FleetRun) -> None:
        self.actor = actor
        self.run = run
        self.cancel = asyncio.Event()
        self.ending = RunState.DONE
        self.untold: dict[str, Outcome] = {}  # what a full disk kept from being written


class _Turns:
    """Who of an account may go next: a few connections at once, and as many own leases as its limit lets in."""

    def __init__(self, parallel: int) -> None:
        self.slots = asyncio.Semaphore(parallel)
        self.held = 0
        self.freed = asyncio.Event()

    def release(self) -> None:
        self.held -= 1
        self.freed.set()


class Fleet:
    def __init__(
        self, store: Store, ledger: Ledger, settings: Settings, leases: Leases, execs: Execs
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._settings = settings
        self._leases = leases
        self._execs = execs
        self._flights: dict[str, _Flight] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._turns: dict[str, _Turns] = defaultdict(lambda: _Turns(settings.fleet_parallel))
        self._stopping = asyncio.Event()
        self.check: Callable[[str, str, str], Within] | None = None  # (account id, lease id, command)

    # reading

    async def get(self, account_id: str, run_id: str) -> tuple[FleetRun, list[FleetAnswer]]:
        return await self._store.read(lambda r: (sql.get_run(r, account_id, run_id), sql.answers(r, run_id)))

    async def answer(self, account_id: str, run_id: str, answer_id: str) -> FleetAnswer:
        def look(r: Reader) -> FleetAnswer:
            sql.get_run(r, account_id, run_id)
            return sql.answer(r, run_id, answer_id)

        return await self._store.read(look)

    async def page(
        self, account_id: str, limit: int, offset: int
    ) -> tuple[list[tuple[FleetRun, dict[str, int]]], int]:
        """([(run, state → how many answers)], how many runs there are), the newest first."""

        def look(r: Reader) -> tuple[list[tuple[FleetRun, dict[str, int]]], int]:
            runs, total = sql.runs(r, account_id, limit, offset)
            counts = sql.counts(r, [run.id for run in runs])
            return [(run, counts[run.id]) for run in runs], total

        return await self._store.read(look)

    # running

    async def start(
        self,
        actor: Actor,
        account_id: str,
        command: str,
        connection_ids: list[str],
        *,
        timeout_s: float,
        title: str | None = None,
    ) -> FleetRun:
        """Commit a run and let it go on by itself.

        Raises NotFound for a connection that is not the account's, Invalid, Conflict `fleet_limit_reached`.
        """
        check_command(command)
        if self._stopping.is_set():
            raise Unavailable("stopping", "The box is stopping. Start the run once it is back.")

        async def launch() -> FleetRun:
            run, answers = await self._store.write(
                lambda tx: self._intend(tx, actor, account_id, command, connection_ids, timeout_s, title)
            )
            flight = self._flights[run.id] = _Flight(actor, run)
            self._spawn(self._fly(flight, answers))
            return run

        # Whoever asked may give up while it is being written down: a run that is there must not wait for ever.
        return await asyncio.shield(asyncio.ensure_future(launch()))

    def _intend(
        self,
        tx: Tx,
        actor: Actor,
        account_id: str,
        command: str,
        connection_ids: list[str],
        timeout_s: float,
        title: str | None,
    ) -> tuple[FleetRun, dict[str, str]]:
        chosen = rules.check_run(connection_ids, sql.running(tx, account_id))
        for connection_id in chosen:
            connection_sql.get(tx, account_id, connection_id)
        run = FleetRun(new_id(tx.now), account_id, title, command, timeout_s, RunState.RUNNING, tx.now, None)
        sql.insert_run(tx, run)
        answers = {new_id(tx.now): connection_id for connection_id in chosen}
        for answer_id, connection_id in answers.items():
            sql.insert_answer(tx, answer_id, run.id, connection_id)
        sql.delete_old(tx, account_id, rules.KEPT_RUNS)
        detail = {"connections": len(chosen), "snippet": title}
        self._ledger.event(tx, account_id, "fleet.started", "fleet_run", run.id, detail)
        digest = hashlib.sha256(command.encode(errors="surrogateescape")).hexdigest()
        self._ledger.audit(
            tx, actor, "fleet.run", "fleet_run", run.id, detail={**detail, "command_sha256": digest}
        )
        return run, answers

    async def _fly(self, flight: _Flight, answers: dict[str, str]) -> None:
        run = flight.run
        try:
            await asyncio.gather(
                *(self._ask(flight, answer_id, connection) for answer_id, connection in answers.items())
            )
            await self._land(flight)
        finally:
            self._flights.pop(run.id, None)
            log.info("ssh.fleet", state=str(flight.ending), connections=len(answers), fleet_run_id=run.id)

    async def _land(self, flight: _Flight) -> None:
        """Write down the end, once the disk takes it: a run that seems to go on for ever would be in the way of others."""

        def change(tx: Tx) -> None:
            for answer_id, outcome in flight.untold.items():
                self._tell(tx, flight.run, answer_id, outcome)
            self._end(tx, flight.run, flight.ending)

        while True:
            try:
                await self._store.write(change)
                return
            except Problem as problem:
                log.warning("ssh.fleet_not_written", problem=problem.code, fleet_run_id=flight.run.id)
            if self._stopping.is_set():
                return  # the next start of the box says what is known
            with suppress(TimeoutError):
                async with asyncio.timeout(_AGAIN_S):
                    await self._stopping.wait()

    async def _ask(self, flight: _Flight, answer_id: str, connection_id: str) -> None:
        """One connection, to its one outcome, whatever happens."""
        async with self._turns[flight.run.account_id].slots:
            if flight.cancel.is_set():
                return  # its outcome is written already
            try:
                outcome = await self._outcome(flight, answer_id, connection_id)
            except (Conflict, Invalid, NotFound, Upstream) as problem:
                outcome = rules.refused(problem)
            except Exception:
                log.exception("ssh.fleet_failed", fleet_run_id=flight.run.id)
                outcome = rules.LOST
            if outcome:
                await self._note(flight, answer_id, outcome)

    async def _note(self, flight: _Flight, answer_id: str, outcome: Outcome) -> None:
        try:
            await self._store.write(lambda tx: self._tell(tx, flight.run, answer_id, outcome))
        except Problem:
            flight.untold[answer_id] = outcome

    async def _outcome(self, flight: _Flight, answer_id: str, connection_id: str) -> Outcome | None:
        try:
            lease, own = await self._lease(flight, connection_id)
        except Problem as problem:
            return rules.refused(problem)
        if lease is None:
            return None
        try:
            try:
                if not await self._store.write(lambda tx: self._begin(tx, flight.run, answer_id, lease)):
                    return None
            except Problem as problem:  # a full disk: nothing was sent
                return rules.refused(problem)
            answer = await self._execs.execute(
                flight.actor,
                flight.run.account_id,
                lease.id,
                flight.run.command,
                timeout_s=flight.run.timeout_s,
                max_output_bytes=_READ_BYTES,
                cancel=flight.cancel,
                on_start=self.check(flight.run.account_id, lease.id, flight.run.command)
                if self.check
                else None,
            )
            return rules.answered(answer)
        finally:
            if own:
                await self._give_back(flight, lease)

    # leases

    async def _lease(self, flight: _Flight, connection_id: str) -> tuple[Lease | None, bool]:
        """(the connection's present lease, or one of our own; whether it is our own). None when cancelled meanwhile."""
        account_id = flight.run.account_id
        present = await self._leases.present(account_id, connection_id)
        if present:
            return present, False
        turns = self._turns[account_id]
        while not flight.cancel.is_set():
            turns.held += 1
            turns.freed.clear()
            try:
                return await self._leases.start(flight.actor, account_id, connection_id), True
            except Problem as problem:
                turns.held -= 1
                if problem.code != "lease_limit_reached" or turns.held == 0:
                    turns.freed.set()  # who waits for us must look again, too
                    raise
            except BaseException:
                turns.release()
                raise
            await _first(turns.freed, flight.cancel)
        return None, False

    async def _give_back(self, flight: _Flight, lease: Lease) -> None:
        """Close it, unless somebody has begun to work in it meanwhile: then it is a session like any other."""
        try:
            terminals = await self._store.read(lambda r: lease_sql.terminals(r, lease.id))
            if not self._leases.is_used(lease.id) and all(row["state"] != "open" for row in terminals):
                await self._leases.close(flight.actor, lease.account_id, lease.id)
        except Exception:
            log.exception("ssh.fleet_close_failed", session_lease_id=lease.id)
        finally:
            self._turns[lease.account_id].release()

    # ending

    async def cancel(self, actor: Actor, account_id: str, run_id: str) -> tuple[FleetRun, list[FleetAnswer]]:
        """Stop what runs, and send nothing more. A run that has ended stays as it is."""

        def change(tx: Tx) -> bool:
            run = sql.get_run(tx, account_id, run_id)
            if run.state is not RunState.RUNNING:
                return False
            self._drop_waiting(tx, run, rules.CANCELLED)
            self._ledger.audit(tx, actor, "fleet.cancel", "fleet_run", run_id)
            return True

        flight = self._flights.get(run_id)
        if await self._store.write(change) and flight:
            flight.ending = RunState.CANCELLED
            flight.cancel.set()
        return await self.get(account_id, run_id)

    async def recover(self) -> int:
        """After a crash: what was on its way is lost, what waited was never sent. Returns how many runs that were."""

        def change(tx: Tx) -> int:
            runs = sql.unfinished(tx)
            for run in runs:
                for answer_id, state in sql.open_answers(tx, run.id):
                    self._tell(tx, run, answer_id, rules.after_the_box_ended(state))
                self._end(tx, run, RunState.INTERRUPTED)
            return len(runs)

        return await self._store.write(change)

    async def stop(self) -> None:
        """Before the leases end: nothing more is sent, and what runs is stopped."""
        self._stopping.set()
        for flight in list(self._flights.values()):
            run = flight.run
            await self._store.write(lambda tx, run=run: self._drop_waiting(tx, run, rules.BOX_ENDED))  # type: ignore[misc]
            flight.ending = RunState.INTERRUPTED
            flight.cancel.set()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_STOP_PATIENCE)

    # writing

    def _begin(self, tx: Tx, run: FleetRun, answer_id: str, lease: Lease) -> bool:
        if not sql.start_answer(tx, answer_id, lease.id):
            return False
        self._event(tx, run, answer_id, AnswerState.RUNNING)
        return True

    def _tell(self, tx: Tx, run: FleetRun, answer_id: str, outcome: Outcome) -> None:
        if sql.end_answer(tx, answer_id, outcome):
            self._event(tx, run, answer_id, outcome.state)

    def _drop_waiting(self, tx: Tx, run: FleetRun, outcome: Outcome) -> None:
        for answer_id, state in sql.open_answers(tx, run.id):
            if state is AnswerState.WAITING:
                self._tell(tx, run, answer_id, outcome)

    def _end(self, tx: Tx, run: FleetRun, state: RunState) -> None:
        if sql.end_run(tx, run.id, state):
            counts = sql.counts(tx, [run.id])[run.id]
            self._ledger.event(
                tx, run.account_id, "fleet.ended", "fleet_run", run.id, {"state": state, "answers": counts}
            )

    def _event(self, tx: Tx, run: FleetRun, answer_id: str, state: AnswerState) -> None:
        payload = {"answer_id": answer_id, "state": state}
        self._ledger.event(tx, run.account_id, "fleet.answer", "fleet_run", run.id, payload)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("ssh.task_failed", error=repr(error))


async def _first(*events: asyncio.Event) -> None:
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
            with suppress(asyncio.CancelledError):
                await wait
