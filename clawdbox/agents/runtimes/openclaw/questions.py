"""The gateway's exec approvals of one conversation, as questions in the box's own inbox."""

import asyncio
from typing import Any

from clawdbox import logs
from clawdbox.agents.runtimes.openclaw import frames
from clawdbox.agents.runtimes.openclaw.frames import ExecApproval
from clawdbox.agents.runtimes.openclaw.rules import questions as rules
from clawdbox.agents.runtimes.openclaw.rules.context import Reach
from clawdbox.agents.runtimes.openclaw.wire.client import Client, Lost, Refused
from clawdbox.agents.runtimes.port import Hands, TurnCancelled

log = logs.get("agents")


class Questions:
    """Each is asked once, whatever is connected anew in between, and resolved once."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands
        self._client: Client | None = None
        self._key = ""
        self._reach = Reach()
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._decided: dict[str, str] = {}
        self._told: set[str] = set()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def begin(self, client: Client, key: str, reach: Reach) -> None:
        """With a gateway that has just been entered: what waits there is asked, what is gone is withdrawn."""
        self._client, self._key, self._reach = client, key, reach
        try:
            answer = await client.request("exec.approval.list", {})
        except Refused as refused:  # a gateway that lets this device answer nothing
            log.warning("openclaw.no_approvals", reason=refused.reason, turn_id=self._hands.turn_id)
            return
        waiting = {
            one.id: one for one in frames.payload(answer, tuple[ExecApproval, ...]) if self._is_ours(one)
        }
        for id_ in set(self._asking) - set(waiting):
            await self._withdraw(id_)
        for approval in waiting.values():
            self._ask(approval)

    async def hear(self, event: frames.Event) -> None:
        if event.event == "exec.approval.requested":
            approval = frames.payload(event.payload, ExecApproval)
            if self._is_ours(approval):
                self._ask(approval)
        elif event.event == "exec.approval.resolved":
            await self._withdraw(frames.payload(event.payload, frames.ApprovalEnd).id)

    async def failed(self) -> None:
        """Waits for ever, or raises what a question could not get over (a limit of the turn)."""
        await asyncio.shield(self._failed)

    def disconnected(self) -> None:
        """The questions stay open: whoever answers meanwhile is heard, and the gateway told once it is back."""
        self._client = None

    async def close(self) -> None:
        """The turn ends, and nobody needs an answer any more; one that waits for another session needs them still."""
        self._client = None
        for id_ in list(self._asking):
            await self._withdraw(id_)
        if self._failed.done():
            self._failed.exception()
        else:
            self._failed.cancel()

    def _is_ours(self, approval: ExecApproval) -> bool:
        return approval.request.session_key == self._key

    def _ask(self, approval: ExecApproval) -> None:
        if approval.id in self._asking or approval.id in self._told:
            return
        task = asyncio.get_running_loop().create_task(self._settle(approval))
        self._asking[approval.id] = task
        task.add_done_callback(lambda done: self._settled(approval.id, done))

    async def _settle(self, approval: ExecApproval) -> None:
        if approval.id not in self._decided:
            self._decided[approval.id] = await self._decide(approval)
        await self._resolve(approval.id, self._decided[approval.id])

    async def _decide(self, approval: ExecApproval) -> str:
        known = rules.unasked(approval.request, self._reach)
        if known is not None:
            return known
        decision = await self._hands.ask(rules.question(approval))
        return rules.ALLOW if decision.allowed else rules.DENY

    async def _resolve(self, id_: str, decision: str) -> None:
        """A gateway that is away hears of it when it is back: the question is still in its list then."""
        if self._client is None:
            return
        try:
            await self._client.request("exec.approval.resolve", {"id": id_, "decision": decision})
        except Refused as refused:  # somebody else was first, or it has expired
            log.info("openclaw.approval_gone", reason=refused.reason, turn_id=self._hands.turn_id)
        except Lost:
            return
        self._told.add(id_)

    def _settled(self, id_: str, task: "asyncio.Task[Any]") -> None:
        if self._asking.get(id_) is task:
            del self._asking[id_]
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and not isinstance(error, TurnCancelled) and not self._failed.done():
            self._failed.set_exception(error)

    async def _withdraw(self, id_: str) -> None:
        """Resolved elsewhere, expired, or of no use any more: nobody is asked by this box."""
        task = self._asking.get(id_)
        if task is None or (id_ in self._decided and self._client is not None):
            return  # it is on its way to the gateway
        del self._asking[id_]
        task.cancel()
        await asyncio.wait({task})
        if id_ not in self._decided and not self._hands.cancelled.is_set():
            await self._hands.withdraw(rules.call_id(id_), rules.GONE)
