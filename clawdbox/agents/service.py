"""The verbs of conversations and their turns."""

import asyncio
from collections.abc import Coroutine, Iterable
from datetime import timedelta
from typing import Any, TypeVar

from clawdbox.agents import sql
from clawdbox.agents.flight import Flight, Job, Tools
from clawdbox.agents.hands import Commands, Limits
from clawdbox.agents.model import (
    Context,
    Conversation,
    ConversationEvent,
    ConversationFacts,
    Turn,
    TurnEnding,
    TurnState,
)
from clawdbox.agents.rules import turns as rules
from clawdbox.agents.runtimes.port import Runtime
from clawdbox.agents.runtimes.runbook import Runbook
from clawdbox.errors import Conflict, NotFound, Unavailable
from clawdbox.events import Actor, Hub, Ledger
from clawdbox.ids import new_id
from clawdbox.settings import Settings
from clawdbox.ssh.model import Lease
from clawdbox.ssh.sql import connections as connection_sql
from clawdbox.ssh.sql import leases as lease_sql
from clawdbox.store import Reader, Store, Tx

T = TypeVar("T")
_PATIENCE_S = 10.0  # for a turn that was asked to end; then it is not asked any more


class Conversations:
    """Every verb takes the account whose conversations it may touch; another account's are NotFound.

    `lease_started` and `lease_ended` run within the transaction of the lease's own change.
    """

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        hub: Hub,
        settings: Settings,
        commands: Commands,
        runtimes: Iterable[Runtime] = (),
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._commands = commands
        self._runtimes = {runtime.name: runtime for runtime in (Runbook(), *runtimes)}
        self._stopping = asyncio.Event()
        limits = Limits(settings.exec_timeout_max_s, settings.exec_output_bytes)
        self._tools = Tools(store, hub, commands, limits, self._end, self._stopping)
        self._flights: dict[str, Flight] = {}
        self._sending: set[asyncio.Task[Any]] = set()

    # reading

    async def of_connection(self, account_id: str, connection_id: str) -> Conversation:
        """Raises NotFound until the connection's first session has started."""
        found = await self._store.read(lambda r: sql.of_connection(r, account_id, connection_id))
        if found is None:
            raise NotFound
        return found

    async def get(self, account_id: str, conversation_id: str) -> Conversation:
        return await self._store.read(lambda r: sql.conversation(r, account_id, conversation_id))

    async def facts(self, conversation: Conversation) -> ConversationFacts:
        def look(r: Reader) -> ConversationFacts:
            lease = lease_sql.present(r, conversation.account_id, conversation.connection_id)
            return ConversationFacts(
                session_id=lease.id if lease else None,
                last_seq=sql.last_seq(r, conversation.id),
                running_turn_id=sql.running_turn_id(r, conversation.id),
            )

        return await self._store.read(look)

    async def events(
        self, account_id: str, conversation_id: str, after: int, limit: int
    ) -> list[ConversationEvent]:
        """Oldest first. New ones are announced under the hub's key `conversation:<id>`."""

        def look(r: Reader) -> list[ConversationEvent]:
            sql.conversation(r, account_id, conversation_id)
            return sql.events_after(r, conversation_id, after, limit)

        return await self._store.read(look)

    async def turn(self, account_id: str, conversation_id: str, turn_id: str) -> Turn:
        def look(r: Reader) -> Turn:
            sql.conversation(r, account_id, conversation_id)
            return sql.turn(r, conversation_id, turn_id)

        return await self._store.read(look)

    # turns

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
        self._commands.touch(job.turn.session_lease_id)
        flight = Flight(self._tools, job)
        self._flights[job.turn.id] = flight
        flight.task.add_done_callback(lambda _: self._flights.pop(job.turn.id, None))
        return job.turn

    def _begin(self, tx: Tx, actor: Actor, account_id: str, conversation_id: str, text: str) -> Job:
        conversation = sql.conversation(tx, account_id, conversation_id)
        runtime = self._runtime(conversation)
        lease = rules.check_start(
            lease_sql.present(tx, account_id, conversation.connection_id),
            sql.running_turn_id(tx, conversation_id),
        )
        turn = Turn(new_id(tx.now), conversation_id, lease.id, text, TurnState.RUNNING, None, tx.now, None)
        sql.insert_turn(tx, turn)
        sql.append(tx, conversation_id, turn.id, "turn.started", {"text": text})
        self._tell(tx, account_id, "turn.started", turn, turn.state)
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
        return Job(turn, _context(tx, lease), account_id, actor, runtime)

    async def cancel(self, actor: Actor, account_id: str, conversation_id: str, turn_id: str) -> Turn:
        """End a turn, and stop what it runs. Repeatable; a turn that has ended keeps its end."""
        turn = await self.turn(account_id, conversation_id, turn_id)
        if turn.state is not TurnState.RUNNING:
            return turn
        flight = self._flights.get(turn_id)
        if flight and flight.stop():
            await self._store.write(
                lambda tx: self._ledger.audit(
                    tx,
                    actor,
                    "conversation.cancel",
                    "conversation",
                    conversation_id,
                    detail={"turn_id": turn_id},
                    account_id=account_id,
                )
            )
        if flight:
            await _landed([flight], _PATIENCE_S)
        return await self.turn(account_id, conversation_id, turn_id)

    def _runtime(self, conversation: Conversation) -> Runtime:
        runtime = self._runtimes.get(conversation.runtime)
        if runtime is None:
            raise Conflict(
                "runtime_unavailable",
                f"This box has no runtime called {conversation.runtime}. It offers: {', '.join(self._runtimes)}.",
            )
        return runtime

    def _end(self, tx: Tx, account_id: str, turn: Turn, ending: TurnEnding) -> None:
        if not rules.may_become(sql.state_of(tx, turn.id), ending.state):
            return
        sql.end_turn(tx, turn.id, ending)
        for command_id, started_at in sql.open_commands(tx, turn):
            payload = {
                "command_id": command_id,
                "exit_status": None,
                "duration_ms": 0.0
                if ending is rules.CRASHED
                else (tx.now - started_at) / timedelta(milliseconds=1),
                "truncated": True,
                "state": rules.OPEN_COMMAND[ending.state],
            }
            sql.append(tx, turn.conversation_id, turn.id, "command.finished", payload)
        end = {"state": ending.state, "error": ending.error}
        sql.append(tx, turn.conversation_id, turn.id, "turn.finished", end)
        self._tell(tx, account_id, "turn.finished", turn, ending.state)
        tx.wake(f"turn:{turn.id}")

    def _tell(self, tx: Tx, account_id: str, kind: str, turn: Turn, state: TurnState) -> None:
        payload = {
            "conversation_id": turn.conversation_id,
            "session_id": turn.session_lease_id,
            "state": state,
        }
        self._ledger.event(tx, account_id, kind, "turn", turn.id, payload)

    # the lease's own transactions

    def lease_started(self, tx: Tx, lease: Lease) -> str:
        """The agent session id of the connection's conversation, which is made with the first lease."""
        conversation = sql.of_connection(tx, lease.account_id, lease.connection_id) or _opened(tx, lease)
        sql.append(tx, conversation.id, None, "lease.started", {"session_id": lease.id})
        return conversation.agent_session_id

    def lease_ended(self, tx: Tx, lease: Lease) -> None:
        """`lease` as it is after its end. Its running turn ends with it."""
        conversation = sql.of_connection(tx, lease.account_id, lease.connection_id)
        if conversation is None:
            return
        for turn in sql.running_on_lease(tx, lease.id):
            self._end(tx, lease.account_id, turn, rules.on_lease_end(lease))
        payload = {
            "session_id": lease.id,
            "close_reason": lease.close_reason,
            "error_detail": lease.error_detail,
        }
        sql.append(tx, conversation.id, None, "lease.ended", payload)

    # start and stop

    async def start(self) -> None:
        """Turns that ran when the box died are lost: said so, and never run again."""

        def change(tx: Tx) -> None:
            for account_id, turn in sql.running_turns(tx):
                self._end(tx, account_id, turn, rules.CRASHED)

        await self._store.write(change)

    async def stop(self) -> None:
        """End every running turn. Before the leases stop, so that their ends are still seen."""
        self._stopping.set()
        if self._sending:
            await asyncio.wait(self._sending)
        flights = list(self._flights.values())
        for flight in flights:
            flight.stop(rules.BOX_STOPPED)
        await _landed(flights, _PATIENCE_S)

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


def _opened(tx: Tx, lease: Lease) -> Conversation:
    conversation_id = new_id(tx.now)
    conversation = Conversation(
        id=conversation_id,
        account_id=lease.account_id,
        connection_id=lease.connection_id,
        runtime="runbook",
        agent_session_id=f"runbook:{conversation_id}",
        created_at=tx.now,
    )
    sql.insert_conversation(tx, conversation)
    return conversation
