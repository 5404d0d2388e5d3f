"""The verbs of conversations and their turns."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

import msgspec

from clawdbox.accounts.model import AccountSettings
from clawdbox.agents import replay, sql
from clawdbox.agents.catalogue import Catalogue
from clawdbox.agents.commands import Commands, Within
from clawdbox.agents.file_hands import TextFiles
from clawdbox.agents.flight import Flight, Job, Tools
from clawdbox.agents.gate import Pass, ReadSettings
from clawdbox.agents.model import (
    Context,
    Conversation,
    Turn,
    TurnEnding,
    TurnState,
    WaitsFor,
)
from clawdbox.agents.reverts.guard import Guard
from clawdbox.agents.rules import conversations as conversation_rules
from clawdbox.agents.rules import turns as rules
from clawdbox.agents.rules.limits import TurnLimits
from clawdbox.agents.runtimes.port import Runtime
from clawdbox.agents.runtimes.runbook import Runbook
from clawdbox.agents.turn_writes import TurnWrites
from clawdbox.agents.typed import check_typed
from clawdbox.agents.work import Limits, Work
from clawdbox.approvals.service import Approvals
from clawdbox.errors import Unavailable
from clawdbox.events import Actor, Hub, Ledger
from clawdbox.ids import new_id
from clawdbox.settings import Settings
from clawdbox.ssh.model import CloseReason, Connection, Lease
from clawdbox.ssh.sql import connections as connection_sql
from clawdbox.ssh.sql import leases as lease_sql
from clawdbox.store import Reader, Store, Tx

T = TypeVar("T")
_PATIENCE_S = 10.0  # for a turn that was asked to end; then it is not asked any more


class Stopped(msgspec.Struct, frozen=True):
    """What a kill switch ended."""

    turns: int
    approvals: int
    grants: int


class Conversations(Catalogue):
    """Every verb takes the account whose conversations it may touch; another account's are NotFound.

    `lease_started` and `lease_ended` run within the transaction of the lease's own change, `lease_active` after it.
    """

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        hub: Hub,
        settings: Settings,
        commands: Commands,
        files: TextFiles,
        approvals: Approvals,
        account_settings: ReadSettings,
        runtimes: Iterable[Runtime] = (),
    ) -> None:
        super().__init__(store, ledger, {runtime.name: runtime for runtime in (Runbook(), *runtimes)})
        self._commands = commands
        self._approvals = approvals
        self._account_settings = account_settings
        self._stopping = asyncio.Event()
        self._writes = TurnWrites(ledger, approvals)
        limits = Limits(settings.exec_timeout_max_s, settings.exec_output_bytes)
        self._tools = Tools(
            store,
            hub,
            commands,
            files,
            approvals,
            account_settings,
            limits,
            self._prepare,
            self._writes.end,
            self._stopping,
        )
        self.guard = Guard(store, ledger, hub, settings, commands)
        self.on_stopped: list[
            Callable[[str, str | None], Awaitable[None]]
        ] = []  # the kill switch, of what runs elsewhere
        self._flights: dict[str, Flight] = {}
        self._next: dict[
            str, Lease
        ] = {}  # turn id → the lease on which it goes on once its flight has landed
        self._sending: set[asyncio.Task[Any]] = set()
        approvals.on_changed = self._writes.approval_changed

    # turns

    def typed_check(self, account_id: str, lease_id: str, command: str) -> Within:
        """`typed.check_typed`, for the transaction in which the command begins."""
        return lambda tx: check_typed(tx, self._account_settings, account_id, lease_id, command)

    async def send(self, actor: Actor, account_id: str, conversation_id: str, text: str) -> Turn:
        """Start a turn; it is committed when this returns, and goes on by itself.

        Raises Invalid, Conflict `session_not_active` or `turn_running`.
        """
        rules.check_text(text)
        if self._stopping.is_set():
            raise Unavailable("stopping", "The box is stopping. Send it again once it is back.")
        return await self._whole(self._send(actor, account_id, conversation_id, text))

    async def _send(self, actor: Actor, account_id: str, conversation_id: str, text: str) -> Turn:
        job = await self._store.write(lambda tx: self._begin(tx, actor, account_id, conversation_id, text))
        self._fly(job)
        return job.turn

    async def _prepare(self, work: Work, passed: Pass, command: str) -> None:
        await self.guard.arm(work.actor, work.account_id, work.turn, passed, command)

    def _fly(self, job: Job) -> None:
        self._commands.touch(job.turn.session_lease_id)
        flight = Flight(self._tools, job)
        self._flights[job.turn.id] = flight
        flight.task.add_done_callback(lambda _: self._landed(flight))

    def _landed(self, flight: Flight) -> None:
        if self._flights.get(flight.job.turn.id) is flight:
            del self._flights[flight.job.turn.id]
        lease = self._next.pop(flight.job.turn.id, None)
        if lease is not None and not self._stopping.is_set():
            task = asyncio.get_running_loop().create_task(self._take_up(lease))
            self._sending.add(task)
            task.add_done_callback(self._sent)

    def _begin(self, tx: Tx, actor: Actor, account_id: str, conversation_id: str, text: str) -> Job:
        conversation = sql.conversation(tx, account_id, conversation_id)
        runtime = self._named(conversation.runtime)
        lease = rules.check_start(
            lease_sql.present(tx, account_id, conversation.connection_id),
            sql.running_turn_id(tx, conversation_id),
        )
        turn = Turn(new_id(tx.now), conversation_id, lease.id, text, TurnState.RUNNING, None, tx.now, None)
        self._writes.begin(tx, account_id, turn)
        detail = {"turn_id": turn.id, "session_id": lease.id, "runtime": runtime.name, **rules.trace(text)}
        self._ledger.audit(
            tx,
            actor,
            "conversation.turn",
            "conversation",
            conversation_id,
            detail=detail,
            account_id=account_id,
        )
        return self._job(tx, conversation, turn, lease, actor, runtime, resumed=False)

    def _job(
        self,
        r: Reader,
        conversation: Conversation,
        turn: Turn,
        lease: Lease,
        actor: Actor,
        runtime: Runtime,
        *,
        resumed: bool,
    ) -> Job:
        return Job(
            turn,
            _context(r, lease),
            conversation,
            actor,
            runtime,
            sql.state(r, conversation.id),
            _turn_limits(self._account_settings(r, conversation.account_id)),
            resumed,
            replay.spent(r, turn),
            "".join(event.payload["text"] for event in sql.of_turn(r, turn, ("text",))) if resumed else "",
        )

    async def cancel(self, actor: Actor, account_id: str, conversation_id: str, turn_id: str) -> Turn:
        """End a turn, and stop what it runs. Repeatable; a turn that has ended keeps its end."""
        turn = await self.turn(account_id, conversation_id, turn_id)
        if turn.state is not TurnState.RUNNING:
            return turn
        flight = self._flights.get(turn_id)
        if flight is None or flight.stop():
            await self._store.write(lambda tx: self._note_cancel(tx, actor, account_id, turn, flight is None))
        if flight:
            await _landed([flight], _PATIENCE_S)
        return await self.turn(account_id, conversation_id, turn_id)

    def _note_cancel(self, tx: Tx, actor: Actor, account_id: str, turn: Turn, parked: bool) -> None:
        if parked:
            self._writes.end(tx, account_id, turn, TurnEnding(TurnState.CANCELLED))
        self._ledger.audit(
            tx,
            actor,
            "conversation.cancel",
            "conversation",
            turn.conversation_id,
            detail={"turn_id": turn.id},
            account_id=account_id,
        )

    async def stop_agents(self, actor: Actor, account_id: str, lease_id: str | None) -> Stopped:
        """The kill switch, of a session or of all of the account: loops, commands, questions and grants end now."""

        def change(tx: Tx) -> Stopped:
            if lease_id is not None:
                lease_sql.get(tx, account_id, lease_id)
            turns = sql.running_of(tx, account_id, lease_id)
            waiting = self._approvals.void(tx, account_id, [turn.id for turn in turns], rules.AGENTS_STOPPED)
            for turn in turns:
                sql.append(tx, turn.conversation_id, turn.id, "agents.stopped", {})
                self._writes.end(tx, account_id, turn, TurnEnding(TurnState.CANCELLED, rules.AGENTS_STOPPED))
            stopped = Stopped(
                len(turns), waiting, self._approvals.end_grants(tx, account_id, lease_id, "agents_stopped")
            )
            detail = {"session_id": lease_id, **msgspec.to_builtins(stopped)}
            self._ledger.event(tx, account_id, "agents.stopped", "session", lease_id, detail)
            self._ledger.audit(
                tx, actor, "agents.stop", "session_lease", lease_id, detail=detail, account_id=account_id
            )
            return stopped

        stopped = await self._store.write(change)
        await asyncio.gather(
            *(stop(account_id, lease_id) for stop in self.on_stopped), return_exceptions=True
        )
        return stopped

    # the lease's own transactions

    def lease_started(self, tx: Tx, lease: Lease) -> str:
        """The agent session id of the connection's conversation, which is made with the first lease."""
        conversation = sql.of_connection(tx, lease.account_id, lease.connection_id) or _opened(tx, lease)
        sql.append(tx, conversation.id, None, "lease.started", {"session_id": lease.id})
        self._writes.take_up(tx, lease)
        return conversation.agent_session_id

    async def lease_active(self, lease: Lease) -> None:
        """What waited for a session goes on."""
        await self.guard.lease_active(lease)
        await self._take_up(lease)

    async def _take_up(self, lease: Lease) -> None:
        for job in await self._store.read(lambda r: self._taken_up(r, lease)):
            if job.turn.id in self._flights:
                self._next[job.turn.id] = lease  # it has not let go of the lease before yet
            elif not self._stopping.is_set():
                self._fly(job)

    def _taken_up(self, r: Reader, lease: Lease) -> list[Job]:
        jobs = []
        for turn in sql.running_on_lease(r, lease.id):
            conversation = sql.conversation(r, lease.account_id, turn.conversation_id)
            runtime = self._named(conversation.runtime)
            jobs.append(
                self._job(r, conversation, turn, lease, Actor(lease.account_id), runtime, resumed=True)
            )
        return jobs

    def lease_ended(self, tx: Tx, lease: Lease) -> None:
        """`lease` as it is after its end. Its running turns end with it, or wait for the next one."""
        self._approvals.end_grants(tx, lease.account_id, lease.id, "session_ended")
        conversation = sql.of_connection(tx, lease.account_id, lease.connection_id)
        if conversation is None:
            return
        for turn in sql.running_on_lease(tx, lease.id):
            if lease.close_reason is not CloseReason.USER and self._resumes(tx, turn):
                self._writes.park(tx, lease.account_id, turn)
            elif turn.waits_for is not WaitsFor.SESSION:
                self._writes.end(tx, lease.account_id, turn, rules.on_lease_end(lease))
        payload = {
            "session_id": lease.id,
            "close_reason": lease.close_reason,
            "error_detail": lease.error_detail,
        }
        sql.append(tx, conversation.id, None, "lease.ended", payload)

    def connection_removed(self, tx: Tx, connection: Connection) -> None:
        """In the transaction of the removal: what waits for a session there would wait for good."""
        for turn in sql.waiting_on(tx, connection.account_id, connection.id):
            self._writes.end(tx, connection.account_id, turn, rules.CONNECTION_REMOVED)

    def _resumes(self, r: Reader, turn: Turn) -> bool:
        runtime = self.runtimes.get(sql.runtime_of(r, turn.conversation_id))
        return runtime is not None and runtime.resumes

    # start and stop

    async def start(self) -> None:
        """Turns that ran when the box died wait for the next session, or are lost: said so, and never run again."""

        def change(tx: Tx) -> None:
            for account_id, turn in sql.running_turns(tx):
                if self._resumes(tx, turn):
                    self._writes.park(tx, account_id, turn)
                else:
                    self._writes.end(tx, account_id, turn, rules.CRASHED)

        await self._store.write(change)
        self.guard.start()

    async def stop(self) -> None:
        """End or park every running turn. Before the leases stop, so that their ends are still seen."""
        self._stopping.set()
        await self.guard.stop()
        if self._sending:
            await asyncio.wait(self._sending)
        flights = list(self._flights.values())
        parked = [flight for flight in flights if flight.job.runtime.resumes]
        await self._park([flight.job for flight in parked])
        for flight in flights:
            if flight in parked:
                flight.park()
            else:
                flight.stop(rules.BOX_STOPPED)
        await _landed(flights, _PATIENCE_S)

    async def _park(self, jobs: list[Job]) -> None:
        def change(tx: Tx) -> None:
            for job in jobs:
                self._writes.park(tx, job.account_id, job.turn)

        if jobs:
            await self._store.write(change)

    async def _whole(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it to its end even if the one who asked goes away: a committed turn must not stay without its task."""
        task = asyncio.get_running_loop().create_task(work)
        self._sending.add(task)
        task.add_done_callback(self._sent)
        return await asyncio.shield(task)

    def _sent(self, task: asyncio.Task[Any]) -> None:
        self._sending.discard(task)
        if not task.cancelled():
            task.exception()  # its asker may be gone


async def _landed(flights: list[Flight], patience_s: float) -> None:
    """Wait until they have ended, and make them end when they take too long."""
    tasks = [flight.task for flight in flights]
    if not tasks:
        return
    await asyncio.wait(tasks, timeout=patience_s)
    for flight in flights:
        if not flight.task.done():
            flight.kill()
    await asyncio.wait(tasks, timeout=patience_s)


def _context(r: Reader, lease: Lease) -> Context:
    connection = connection_sql.get(r, lease.account_id, lease.connection_id)
    return Context(
        connection_id=connection.id,
        host=connection.host,
        port=connection.port,
        username=connection.username,
        keypair_id=lease.keypair_id,
        session_lease_id=lease.id,
    )


def _turn_limits(settings: AccountSettings) -> TurnLimits:
    return TurnLimits(
        settings.turn_max_commands,
        settings.turn_max_tokens,
        settings.turn_max_cost_usd,
        settings.turn_max_s,
    )


def _opened(tx: Tx, lease: Lease) -> Conversation:
    made = conversation_rules.made(
        new_id(tx.now), lease.account_id, lease.connection_id, "runbook", {}, None, tx.now
    )
    sql.insert_conversation(tx, made)
    return made
