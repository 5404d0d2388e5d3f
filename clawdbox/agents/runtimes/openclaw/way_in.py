"""The control socket of one turn: by it the gateway's own commands reach the server, each judged before it runs."""

import asyncio

from clawdbox.agents.model import Context
from clawdbox.agents.runtimes.openclaw.rules import context as context_rules
from clawdbox.agents.runtimes.openclaw.rules import socket as rules
from clawdbox.agents.runtimes.openclaw.rules.context import Reach
from clawdbox.agents.runtimes.port import Hands, TurnCancelled
from clawdbox.errors import Conflict
from clawdbox.ids import new_token
from clawdbox.ssh.rules.control import Request, Verdict
from clawdbox.ssh.service.control_sockets import ControlSocket, ControlSockets
from clawdbox.ssh.service.leases import Leases

_GONE = "The agent has given the command up, so that nothing waits for an answer."
_NONE = "This box offers no control sockets, so that no command of the gateway can reach the server."


class WayIn:
    """Open from `open` to `close`, or to the end of its lease. Its path is the same in all turns of a conversation."""

    def __init__(self, leases: Leases, sockets: ControlSockets, context: Context, hands: Hands) -> None:
        self._leases = leases
        self._sockets = sockets
        self._context = context
        self._hands = hands
        self._socket: ControlSocket | None = None
        self.prefix: str | None = None

    async def open(self) -> Reach:
        """Repeatable. A box without control sockets lets nobody in, and says so."""
        if self._socket is None:
            conversation = self._hands.conversation
            link = f"openclaw:{conversation.id}"
            path = self._sockets.stable_path(link)
            if path is None:
                return Reach(None, _NONE)
            lease = await self._leases.get(conversation.account_id, self._context.session_lease_id)
            try:
                self._socket = await self._sockets.open_for(
                    lease,
                    name=f"openclaw:{self._hands.turn_id}",
                    policy=rules.POLICY,
                    ask=self._ask,
                    link=link,
                    bare=True,
                )
            except OSError:
                return Reach(None, _NONE)
            if self._socket is None:
                return Reach(None, _NONE)
            self.prefix = context_rules.prefix(str(path), self._context)
        return Reach(self.prefix)

    async def close(self) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            await self._sockets.close(socket)

    async def _ask(self, request: Request) -> Verdict:
        reason = rules.refusal(request)
        if reason is not None:
            return Verdict(False, reason)
        assert request.command is not None
        call_id = f"socket:{new_token()}"
        try:
            decision = await self._hands.gate(
                request.command, call_id=call_id, title="Run a command on the server"
            )
        except TurnCancelled:
            return Verdict(False, "The turn has ended.")
        except (
            Conflict
        ) as reached:  # one message has used what it may: the agent hears it, and nothing more runs
            return Verdict(False, reached.message)
        except asyncio.CancelledError:  # the command itself has gone: its answer would lead nowhere
            await asyncio.shield(self._hands.withdraw(call_id, _GONE))
            raise
        return Verdict(decision.allowed, decision.why)
