"""A turn in flight: from its commit to the commit of its end, whatever happens in between."""

import asyncio
from collections.abc import Callable

import msgspec

from clawdbox import logs
from clawdbox.agents import sql
from clawdbox.agents.hands import Commands, Limits, TurnHands
from clawdbox.agents.journal import Journal, TurnEnded
from clawdbox.agents.model import Context, Turn, TurnEnding, TurnState
from clawdbox.agents.rules import turns as rules
from clawdbox.agents.runtimes.port import Runtime, TurnCancelled, TurnLost
from clawdbox.errors import Problem
from clawdbox.events import Actor, Hub
from clawdbox.store import Store, Tx

log = logs.get("agents")
_RETRY_S = (1.0, 2.0, 5.0, 10.0, 30.0)

EndTurn = Callable[[Tx, str, Turn, TurnEnding], None]


class Tools(msgspec.Struct, frozen=True):
    """What every turn shares. `end_turn` writes the end of a turn, unless it has ended."""

    store: Store
    hub: Hub
    commands: Commands
    limits: Limits
    end_turn: EndTurn
    stopping: asyncio.Event


class Job(msgspec.Struct, frozen=True):
    """One turn and all that its runtime has to know."""

    turn: Turn
    context: Context
    account_id: str
    actor: Actor
    runtime: Runtime


class Flight:
    """Runs `job` as a task. `stop` asks it to end, `kill` does not ask."""

    def __init__(self, tools: Tools, job: Job) -> None:
        self._tools = tools
        self._job = job
        self._cancelled = asyncio.Event()
        self._reason: str | None = None
        self._journal = Journal(tools.store, job.turn, self._cancelled.set)
        self.task = asyncio.get_running_loop().create_task(self._fly())

    def stop(self, reason: str | None = None) -> bool:
        """Whether this was the call that stopped it."""
        if self._cancelled.is_set():
            return False
        self._reason = reason
        self._cancelled.set()
        return True

    def kill(self) -> None:
        self.task.cancel()

    async def _fly(self) -> None:
        watch = asyncio.get_running_loop().create_task(self._watch())
        try:
            ending = await self._ending()
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
        if ending is not None:
            await self._end(ending)

    async def _watch(self) -> None:
        """Hear of an end that comes from elsewhere: the lease's."""
        turn = self._job.turn
        with self._tools.hub.listen(f"turn:{turn.id}") as signal:
            while await self._tools.store.read(lambda r: sql.state_of(r, turn.id)) is TurnState.RUNNING:
                await signal.wait()
                signal.clear()
        self._cancelled.set()

    async def _ending(self) -> TurnEnding | None:
        """How the runtime ended; None when the turn has its end already."""
        try:
            ending = await self._think()
        finally:
            await self._journal.close()
        failure = self._journal.failure
        if isinstance(failure, TurnEnded):
            return None
        if failure is not None:
            log.error("turn.unsaved", turn_id=self._job.turn.id, error=str(failure))
            return TurnEnding(TurnState.FAILED, rules.UNSAVED)
        return ending

    async def _think(self) -> TurnEnding:
        job = self._job
        try:
            await job.runtime.run(job.turn.text, job.context, self._hands())
            await self._journal.flush()
        except TurnLost as error:
            return await self._flushed(TurnEnding(TurnState.LOST, str(error)))
        except Problem as error:
            return await self._flushed(TurnEnding(TurnState.FAILED, error.message))
        except (TurnCancelled, asyncio.CancelledError):
            return await self._flushed(TurnEnding(TurnState.CANCELLED, self._reason))
        except Exception:
            if self._journal.failure is None:
                log.exception("turn.broken", turn_id=job.turn.id, runtime=job.runtime.name)
            return await self._flushed(rules.BROKEN)
        return TurnEnding(TurnState.DONE)

    async def _flushed(self, ending: TurnEnding) -> TurnEnding:
        """What was said before the end stands before it."""
        await self._journal.flush_quietly()
        return ending

    def _hands(self) -> TurnHands:
        tools, job = self._tools, self._job
        return TurnHands(
            tools.commands,
            self._journal,
            tools.store.clock,
            tools.limits,
            job.actor,
            job.account_id,
            job.turn,
            self._cancelled,
        )

    async def _end(self, ending: TurnEnding) -> None:
        """Write the end, trying again while the disk refuses: until then the turn counts as running."""
        for attempt in range(1_000_000):
            try:
                await self._tools.store.write(
                    lambda tx: self._tools.end_turn(tx, self._job.account_id, self._job.turn, ending)
                )
                return
            except Exception as error:  # noqa: BLE001 - a full disk, most likely; the next start tells it as lost
                log.error("turn.end_unsaved", turn_id=self._job.turn.id, error=str(error))  # noqa: TRY400
            if await self._stopped_within(_RETRY_S[min(attempt, len(_RETRY_S) - 1)]):
                return

    async def _stopped_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self._tools.stopping.wait()
        except TimeoutError:
            return False
