"""The runtime `acp`: a code agent that runs on the server, and outlives the link, the lease and the box."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from clawdbox import logs
from clawdbox.agents import sql
from clawdbox.agents.model import Context, Conversation, TurnState
from clawdbox.agents.runtimes.acp import endings, scripts
from clawdbox.agents.runtimes.acp.known import KNOWN
from clawdbox.agents.runtimes.acp.look import CodeAgents
from clawdbox.agents.runtimes.acp.memory import recalled
from clawdbox.agents.runtimes.acp.options import Chosen, chosen
from clawdbox.agents.runtimes.acp.turn import AcpTurn
from clawdbox.agents.runtimes.port import Choice, Hands, Offer
from clawdbox.errors import Problem
from clawdbox.events import Actor, Ledger
from clawdbox.settings import Settings
from clawdbox.ssh.model import Lease
from clawdbox.ssh.service.streams import LinkLost, Streams
from clawdbox.ssh.sql import leases as lease_sql
from clawdbox.store import Store

log = logs.get("agents")
_KILL_S = 10.0
_CLOSING_S = 2.0
_GRACE_S = 1.2
NAME = "acp"


class Acp:
    name = NAME
    resumes = judged = True

    def __init__(
        self, store: Store, ledger: Ledger, settings: Settings, streams: Streams, agents: CodeAgents
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._idle_s = settings.code_agent_idle_s
        self._streams = streams
        self._agents = agents
        self._working: dict[
            str, tuple[str, asyncio.Event]
        ] = {}  # turn → its lease, and whether it is called off
        self._leaving: set[asyncio.Task[None]] = set()

    async def offer(self, account_id: str, connection_id: str) -> Offer:
        """What was found when somebody last looked; before that, all that is known."""
        found = {one.name: one for one in self._agents.last(connection_id) or []}
        choices = []
        for row in KNOWN:
            seen = found.get(row.name)
            choices.append(
                Choice(
                    id=row.name,
                    label=row.label,
                    detail=(seen.version or "") if seen else "",
                    ready=seen.ready if seen else not found,
                    hint=seen.hint if seen else "",
                    options={"agent": row.name},
                )
            )
        return Offer(tuple(choices))

    async def run(self, turn_text: str, context: Context, hands: Hands) -> None:
        picked = chosen(hands.conversation.runtime_options)
        self._working[hands.turn_id] = (context.session_lease_id, asyncio.Event())
        turn = AcpTurn(
            self._streams,
            hands,
            context.session_lease_id,
            picked,
            self._idle_s,
            lambda gen: self._note_start(hands.conversation, context, picked, gen),
        )
        try:
            await turn.run(turn_text)
        finally:
            if not hands.cancelled.is_set():
                self._landed(hands.turn_id)

    async def stop(self, context: Context, hands: Hands) -> None:
        """Call it off: what waits for an answer is told so, and an agent that goes on all the same is ended."""
        try:
            script = endings.calling_off(hands.conversation.id, recalled(hands.state), _GRACE_S)
            if script is not None:
                said = await self._streams.ask(
                    hands.conversation.account_id, context.session_lease_id, script, _KILL_S, last=True
                )
                log.info("code_agent.called_off", turn_id=hands.turn_id, outcome=said.decode().strip()[:40])
        finally:
            self._landed(hands.turn_id)

    # what ends agents from elsewhere

    async def stop_all(self, account_id: str, lease_id: str | None) -> None:
        """The kill switch: the processes of all agents of a session, or of all of the account, working or not."""
        leases = await self._store.read(lambda r: sql.leases_with_runtime(r, account_id, lease_id, NAME))
        async with asyncio.timeout(_KILL_S):
            await asyncio.gather(
                *(self._kill(account_id, one, dict.fromkeys(ids, "")) for one, ids in leases.items())
            )

    def left(self, conversation: Conversation) -> None:
        """It was put away, or something else thinks in it now."""
        if conversation.runtime == NAME:
            self._beside(self._leave(conversation))

    async def lease_active(self, lease: Lease) -> None:
        """What could not be told while there was no link: turns that were ended, conversations that were put away."""
        found = await self._store.read(
            lambda r: sql.states_of_runtime(r, lease.account_id, lease.connection_id, NAME)
        )
        doomed = {
            one: recalled(state).gen
            for one, archived, state, open_turn in found
            if archived or _is_left_over(state, open_turn)
        }
        if doomed:
            self._beside(self._kill(lease.account_id, lease.id, doomed))

    async def lease_closing(self, lease_id: str) -> None:
        """The link waits, but not long, until the turns that ended with the lease are called off on the server."""
        try:
            for turn_id, (at, landed) in list(self._working.items()):
                if at == lease_id:
                    await self._until_called_off(turn_id, landed)
        finally:
            self._streams.forget(lease_id)

    async def _until_called_off(self, turn_id: str, landed: asyncio.Event) -> None:
        if await self._state_of(turn_id) is TurnState.RUNNING:
            self._landed(turn_id)  # it goes on with the next lease
            return
        try:
            async with asyncio.timeout(_CLOSING_S):
                await landed.wait()
        except TimeoutError:
            log.warning("code_agent.not_called_off", turn_id=turn_id)

    async def _state_of(self, turn_id: str) -> TurnState:
        return await self._store.read(lambda r: sql.state_of(r, turn_id))

    async def close(self) -> None:
        for task in list(self._leaving):
            task.cancel()
        await asyncio.gather(*self._leaving, return_exceptions=True)

    # inside

    async def _leave(self, conversation: Conversation) -> None:
        lease = await self._store.read(
            lambda r: lease_sql.present(r, conversation.account_id, conversation.connection_id)
        )
        if lease is not None:
            await self._kill(conversation.account_id, lease.id, {conversation.id: ""}, remove=True)

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Nobody waits for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _kill(
        self, account_id: str, lease_id: str, agents: dict[str, str], *, remove: bool = False
    ) -> None:
        try:
            script = scripts.kill(agents, remove=remove)
            said = await self._streams.ask(account_id, lease_id, script, _KILL_S)
        except (Problem, LinkLost, TimeoutError) as error:  # the next lease looks again
            log.warning("code_agent.not_ended", session_lease_id=lease_id, error=repr(error))
            return
        left = said.decode("utf-8", "replace").split().count("left")
        log.info("code_agent.ended", session_lease_id=lease_id, agents=len(agents), left=left)

    def _landed(self, turn_id: str) -> None:
        working = self._working.pop(turn_id, None)
        if working:
            working[1].set()

    async def _note_start(
        self, conversation: Conversation, context: Context, picked: Chosen, gen: str
    ) -> None:
        detail: dict[str, Any] = {
            "agent": picked.name,
            "start": gen,
            "directory": picked.directory,
            "command_sha256": picked.command_sha256,
            "session_lease_id": context.session_lease_id,
        }
        await self._store.write(
            lambda tx: self._ledger.audit(
                tx,
                Actor(conversation.account_id),
                "code_agent.start",
                "conversation",
                conversation.id,
                detail=detail,
                account_id=conversation.account_id,
            )
        )


def _is_left_over(state: dict[str, Any], open_turn: str | None) -> bool:
    """Whether its agent may still work on a message whose turn has ended."""
    prompt = recalled(state).prompt
    return prompt is not None and prompt.is_open and prompt.turn_id != open_turn
