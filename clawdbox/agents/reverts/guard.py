"""The lock-out guard: before a change that could lock a person out, the server is told to undo it by itself."""

import asyncio
from datetime import timedelta
from typing import Any

import msgspec

from clawdbox import logs
from clawdbox.agents import sql as turn_sql
from clawdbox.agents.commands import Commands
from clawdbox.agents.gate import Pass
from clawdbox.agents.model import Turn
from clawdbox.agents.reverts import rules, sql
from clawdbox.agents.reverts.rules import Revert, RevertState
from clawdbox.errors import Conflict, Problem
from clawdbox.events import Actor, Hub, Ledger
from clawdbox.events.model import SYSTEM
from clawdbox.ids import new_id
from clawdbox.policy import Class
from clawdbox.policy.revert import arm_script, disarm_script, revert_plan, status_script
from clawdbox.settings import Settings
from clawdbox.ssh.model import Lease
from clawdbox.ssh.sql import connections as connection_sql
from clawdbox.ssh.sql import leases as lease_sql
from clawdbox.store import Reader, Store, Tx

log = logs.get("agents")
_ASK_S = 30.0
_LOOK_S = 30.0
_OUTPUT = 4096
# What nobody could read may lock a person out as well as what is known to.
GUARDED = (Class.LOCK_OUT.value, Class.UNKNOWN.value)
_ACTIONS = {
    RevertState.ARMED: "revert.armed",
    RevertState.UNGUARDED: "revert.unguarded",
    RevertState.CONFIRMED: "revert.confirmed",
    RevertState.REVERTED: "revert.reverted",
    RevertState.UNKNOWN: "revert.unknown",
}


class Guard:
    """One for the box. `arm` is called with a change that was allowed and has not begun."""

    def __init__(
        self, store: Store, ledger: Ledger, hub: Hub, settings: Settings, commands: Commands
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._hub = hub
        self._seconds = int(settings.revert_after_s)
        self._commands = commands
        self._task: asyncio.Task[None] | None = None

    # reading

    async def of_connection(self, account_id: str, connection_id: str) -> list[Revert]:
        """The newest first."""

        def look(r: Reader) -> list[Revert]:
            connection_sql.get(r, account_id, connection_id)
            return sql.reverts(r, account_id, connection_id)

        return await self._store.read(look)

    async def open(self, account_id: str) -> list[Revert]:
        """Those that a person may still confirm, of all connections."""
        return await self._store.read(lambda r: sql.open_reverts(r, account_id))

    # before the change

    async def arm(self, actor: Actor, account_id: str, turn: Turn, passed: Pass, command: str) -> None:
        """Save on the server and start its timer, if this command calls for it. Raises Conflict without a link."""
        plan = revert_plan(command) if passed.klass in GUARDED else None
        if plan is None or await self._store.read(lambda r: sql.is_armed(r, turn.id, command)):
            return
        revert = await self._store.write(
            lambda tx: self._intend(tx, account_id, turn, passed.bound.connection_id, command, plan.what)
        )
        script = arm_script(plan, revert.id, self._seconds)
        status, stdout = await self._ask(actor, account_id, turn.session_lease_id, script, turn.id)
        state = rules.after_arming(status, stdout)
        await self._store.write(lambda tx: self._settle(tx, actor, revert.id, state))

    def _intend(
        self, tx: Tx, account_id: str, turn: Turn, connection_id: str, command: str, what: str
    ) -> Revert:
        revert = Revert(
            id=new_id(tx.now),
            account_id=account_id,
            connection_id=connection_id,
            turn_id=turn.id,
            command=command,
            what=what,
            state=RevertState.ARMING,
            detail="",
            due_at=tx.now + timedelta(seconds=self._seconds),
            created_at=tx.now,
            ended_at=None,
        )
        sql.insert_revert(tx, revert)
        return revert

    # after it

    async def confirm(self, actor: Actor, account_id: str, revert_id: str) -> Revert:
        """The person is still in: the server's timer is stopped. Repeatable.

        Raises Conflict `revert_done`, `revert_unguarded`, `session_not_active`, and `revert_unknown` when the server
        could not say what became of it.
        """
        revert, lease = await self._store.read(lambda r: _with_lease(r, account_id, revert_id))
        rules.check_confirm(revert)
        if revert.state is RevertState.CONFIRMED:
            return revert
        if lease is None:
            raise Conflict(
                "session_not_active",
                "Start a session first: that it starts is the proof that you are still in.",
            )
        status, stdout = await self._ask(actor, account_id, lease.id, disarm_script(revert.id), None)
        state = rules.after_asking(status, stdout)
        after = await self._store.write(lambda tx: self._settle(tx, actor, revert.id, state))
        rules.check_confirm(after)
        if after.state is not RevertState.CONFIRMED:
            raise Conflict(
                "revert_unknown",
                "The server could not say what became of its timer. Try again, or look at the change yourself.",
            )
        return after

    async def lease_active(self, lease: Lease) -> None:
        """A server that can be asked again tells what became of its timers."""
        overdue = await self._store.read(lambda r: sql.overdue_reverts(r, lease.connection_id))
        for revert in overdue:
            await self._look(revert, lease.id)

    async def _look(self, revert: Revert, lease_id: str | None) -> None:
        state = RevertState.UNKNOWN
        if lease_id is not None:
            actor = Actor(revert.account_id)
            try:
                status, stdout = await self._ask(
                    actor, revert.account_id, lease_id, status_script(revert.id), None
                )
                state = rules.after_asking(status, stdout)
            except Problem as problem:
                log.info("revert.not_asked", revert_id=revert.id, problem=problem.code)
        if state is not RevertState.ARMED:
            await self._store.write(lambda tx: self._settle(tx, SYSTEM, revert.id, state))

    async def _ask(
        self, actor: Actor, account_id: str, lease_id: str, script: str, turn_id: str | None
    ) -> tuple[int | None, str]:
        answer = await self._commands.execute(
            actor,
            account_id,
            lease_id,
            script,
            timeout_s=_ASK_S,
            max_output_bytes=_OUTPUT,
            turn_id=turn_id,
        )
        return answer.exit_status, answer.stdout.decode("utf-8", "replace")

    def _settle(self, tx: Tx, actor: Actor, revert_id: str, state: RevertState) -> Revert:
        before = sql.revert(tx, revert_id)
        if state is before.state or state not in rules.TRANSITIONS[before.state]:
            return before
        ended = None if state in (RevertState.ARMED, RevertState.UNKNOWN) else tx.now
        after = msgspec.structs.replace(before, state=state, ended_at=ended)
        sql.save_revert(tx, after)
        told: dict[str, Any] = {
            "connection_id": after.connection_id,
            "state": after.state,
            "due_at": after.due_at,
        }
        conversation_id = turn_sql.conversation_of_turn(tx, after.turn_id)
        payload = {"revert_id": after.id, "what": after.what, **told}
        turn_sql.append(tx, conversation_id, after.turn_id, "revert", payload)
        self._ledger.event(tx, after.account_id, "revert.changed", "revert", after.id, told)
        self._ledger.audit(
            tx, actor, _ACTIONS[after.state], "revert", after.id, detail=told, account_id=after.account_id
        )
        tx.wake("reverts")
        return after

    # time

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._follow())

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _follow(self) -> None:
        with self._hub.listen("reverts") as signal:
            while True:
                signal.clear()
                await self.look()
                try:
                    async with asyncio.timeout(_LOOK_S):
                        await signal.wait()
                except TimeoutError:
                    pass

    async def look(self) -> None:
        """Ask the servers of timers that have run out."""
        try:
            for revert in await self._store.read(lambda r: sql.overdue_reverts(r, None)):
                lease = await self._store.read(
                    lambda r, revert=revert: lease_sql.present(r, revert.account_id, revert.connection_id)  # type: ignore[misc]
                )
                await self._look(revert, lease.id if lease else None)
        except Exception:
            log.exception("guard.failed")


def _with_lease(r: Reader, account_id: str, revert_id: str) -> tuple[Revert, Lease | None]:
    revert = sql.revert_of(r, account_id, revert_id)
    return revert, lease_sql.present(r, account_id, revert.connection_id)
