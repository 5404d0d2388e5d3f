"""A turn in flight: from its commit to the commit of its end, whatever happens in between."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import msgspec

from clawdbox import logs
from clawdbox.agents import sql
from clawdbox.agents.commands import Commands
from clawdbox.agents.file_hands import TextFiles
from clawdbox.agents.gate import Gate, ReadSettings
from clawdbox.agents.hands import TurnHands
from clawdbox.agents.journal import Journal, TurnEnded
from clawdbox.agents.model import Context, Conversation, Turn, TurnEnding, TurnState
from clawdbox.agents.rules import limits as limit_rules
from clawdbox.agents.rules import turns as rules
from clawdbox.agents.rules.limits import Spent, TurnLimits
from clawdbox.agents.runtimes.port import Runtime, TurnCancelled, TurnLost
from clawdbox.agents.work import Limits, Prepare, Work
from clawdbox.approvals.service import Approvals
from clawdbox.errors import Problem
from clawdbox.events import Actor, Hub
from clawdbox.store import Store, Tx

log = logs.get("agents")
_RETRY_S = (1.0, 2.0, 5.0, 10.0, 30.0)
_STOP_S = 2.0  # for what runs outside the box to be ended

EndTurn = Callable[[Tx, str, Turn, TurnEnding], None]


class Tools(msgspec.Struct, frozen=True):
    """What every turn shares. `end_turn` writes the end of a turn, unless it has ended."""

    store: Store
    hub: Hub
    commands: Commands
    files: TextFiles
    approvals: Approvals
    settings: ReadSettings
    limits: Limits
    prepare: Prepare
    end_turn: EndTurn
    stopping: asyncio.Event


class Job(msgspec.Struct, frozen=True):
    """One turn and all that its runtime has to know."""

    turn: Turn
    context: Context
    conversation: Conversation
    actor: Actor
    runtime: Runtime
    state: Mapping[str, Any]
    limits: TurnLimits
    resumed: bool = False
    spent: Spent = Spent()
    said: str = ""

    @property
    def account_id(self) -> str:
        return self.conversation.account_id


class Flight:
    """Runs `job` as a task. `stop` asks it to end, `park` to leave the turn as it is, `kill` does not ask."""

    def __init__(self, tools: Tools, job: Job) -> None:
        self._tools = tools
        self._job = job
        self._cancelled = asyncio.Event()
        self._parked = False
        self._ending_said: TurnEnding | None = None
        self._journal = Journal(tools.store, job.turn, self._cancelled.set)
        self._gate = Gate(
            tools.store,
            tools.approvals,
            tools.settings,
            self._journal,
            job.account_id,
            job.turn,
            self._cancelled,
            job.spent.unasked,
        )
        self._hands = self._make_hands()
        self.task = asyncio.get_running_loop().create_task(self._fly())

    @property
    def job(self) -> Job:
        return self._job

    def stop(self, reason: str | None = None) -> bool:
        """Whether this was the call that stopped it."""
        return self._stop(TurnEnding(TurnState.CANCELLED, reason))

    def _stop(self, ending: TurnEnding) -> bool:
        if self._cancelled.is_set():
            return False
        self._ending_said = ending
        self._cancelled.set()
        return True

    def park(self) -> None:
        """Its turn waits for another lease, which is written already."""
        self._parked = True
        self._cancelled.set()

    def kill(self) -> None:
        self.task.cancel()

    async def _fly(self) -> None:
        loop = asyncio.get_running_loop()
        watches = [loop.create_task(self._watch()), loop.create_task(self._count_time())]
        try:
            ending = await self._ending()
        finally:
            for watch in watches:
                watch.cancel()
            await asyncio.gather(*watches, return_exceptions=True)
        if self._cancelled.is_set() and not self._parked:
            await self._stop_outside()
        if ending is not None:
            await self._end(ending)

    async def _watch(self) -> None:
        """Hear of an end that comes from elsewhere: the lease's, or everything's."""
        turn = self._job.turn
        with self._tools.hub.listen(f"turn:{turn.id}") as signal:
            while await self._tools.store.read(lambda r: sql.in_flight(r, turn)):
                await signal.wait()
                signal.clear()
        state = await self._tools.store.read(lambda r: sql.state_of(r, turn.id))
        if state is TurnState.RUNNING:
            self.park()
        self._cancelled.set()

    async def _count_time(self) -> None:
        """End a turn that has worked too long; the time in which it waits for an answer does not count."""
        if not self._job.runtime.judged:
            return
        loop = asyncio.get_running_loop()
        begun, allowed = loop.time(), self._job.limits.seconds
        while (left := allowed + self._gate.waited_s - (loop.time() - begun)) > 0:  # noqa: ASYNC110 - a deadline that moves
            await asyncio.sleep(left)
        reached = limit_rules.reached(f"{allowed / 60:g} minutes of work")
        self._stop(TurnEnding(TurnState.FAILED, reached.message))

    async def _ending(self) -> TurnEnding | None:
        """How the runtime ended; None when the turn has its end already, or waits for another lease."""
        try:
            ending = await self._think()
        finally:
            await self._journal.close()
        failure = self._journal.failure
        if isinstance(failure, TurnEnded) or self._parked:
            return None
        if failure is not None:
            log.error("turn.unsaved", turn_id=self._job.turn.id, error=str(failure))
            return TurnEnding(TurnState.FAILED, rules.UNSAVED)
        return ending

    async def _think(self) -> TurnEnding:
        job = self._job
        try:
            await job.runtime.run(job.turn.text, job.context, self._hands)
            self._hands.finish_words()
            await self._journal.flush()
        except TurnLost as error:
            return await self._flushed(TurnEnding(TurnState.LOST, str(error)))
        except Problem as error:
            return await self._flushed(TurnEnding(TurnState.FAILED, error.message))
        except (TurnCancelled, TurnEnded, asyncio.CancelledError):
            return await self._flushed(self._ending_said or TurnEnding(TurnState.CANCELLED))
        except Exception:
            if self._journal.failure is None:
                log.exception("turn.broken", turn_id=job.turn.id, runtime=job.runtime.name)
            return await self._flushed(rules.BROKEN)
        return TurnEnding(TurnState.DONE)

    async def _flushed(self, ending: TurnEnding) -> TurnEnding:
        """What was said before the end stands before it."""
        with suppress(Exception):  # kept as the journal's failure
            self._hands.finish_words()
        await self._journal.flush_quietly()
        return ending

    async def _stop_outside(self) -> None:
        job = self._job
        try:
            async with asyncio.timeout(_STOP_S):
                await job.runtime.stop(job.context, self._hands)
        except Exception as error:  # noqa: BLE001 - a lost link, most likely: nothing more can be done from here
            log.warning("turn.stop_failed", turn_id=job.turn.id, runtime=job.runtime.name, error=repr(error))

    def _make_hands(self) -> TurnHands:
        tools, job = self._tools, self._job
        work = Work(
            job.turn,
            job.conversation,
            job.actor,
            job.runtime,
            job.resumed,
            job.state,
            job.limits,
            job.spent,
            job.said,
        )
        return TurnHands(
            tools.store,
            tools.commands,
            tools.files,
            self._journal,
            self._gate,
            tools.limits,
            work,
            self._cancelled,
            tools.prepare,
        )

    async def _end(self, ending: TurnEnding) -> None:
        """Write the end, trying again while the disk refuses: until then the turn counts as running."""
        turn = self._job.turn

        def change(tx: Tx) -> None:
            if sql.in_flight(tx, turn):  # else it ended from elsewhere, or waits for another lease
                self._tools.end_turn(tx, self._job.account_id, turn, ending)

        for attempt in range(1_000_000):
            try:
                await self._tools.store.write(change)
                return
            except Exception as error:  # noqa: BLE001 - a full disk, most likely; the next start tells it as lost
                log.error("turn.end_unsaved", turn_id=turn.id, error=str(error))  # noqa: TRY400
            if await self._stopped_within(_RETRY_S[min(attempt, len(_RETRY_S) - 1)]):
                return

    async def _stopped_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self._tools.stopping.wait()
        except TimeoutError:
            return False
