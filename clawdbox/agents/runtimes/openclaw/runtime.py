"""The runtime: each turn is a talk with the gateway that the conversation has chosen."""

import asyncio
from typing import Any

from clawdbox import logs
from clawdbox.agents.model import Context
from clawdbox.agents.runtimes.openclaw.model import Gateway
from clawdbox.agents.runtimes.openclaw.rules import gateways as rules
from clawdbox.agents.runtimes.openclaw.service import Gateways, NotEntered
from clawdbox.agents.runtimes.openclaw.talk import Talk, session_name
from clawdbox.agents.runtimes.openclaw.voice import SESSION
from clawdbox.agents.runtimes.openclaw.wire.client import Client, Lost, Refused
from clawdbox.agents.runtimes.port import Hands, Offer
from clawdbox.errors import Conflict, NotFound
from clawdbox.ssh.service.control_sockets import ControlSockets
from clawdbox.ssh.service.leases import Leases

log = logs.get("agents")
_KEPT_S = 5.0  # a connection of a turn that was cancelled, for `stop`
_ABORT_S = 1.5


class OpenClaw:
    """Its commands on the server are judged: they come through a control socket that asks for each of them."""

    def __init__(self, gateways: Gateways, leases: Leases, sockets: ControlSockets) -> None:
        self._gateways = gateways
        self._leases = leases
        self._sockets = sockets
        self._kept: dict[str, Client] = {}
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def name(self) -> str:
        return "openclaw"

    @property
    def resumes(self) -> bool:
        return True

    @property
    def judged(self) -> bool:
        return True

    async def offer(self, account_id: str, connection_id: str) -> Offer:
        gateways = await self._gateways.list(account_id)
        choices = tuple(rules.choice(one) for one in gateways if rules.is_usable(one, connection_id))
        return Offer(choices, "" if choices else "Add an OpenClaw gateway in Settings → OpenClaw first.")

    async def run(self, turn_text: str, context: Context, hands: Hands) -> None:
        gateway = await self._gateway(context, hands)
        talk = Talk(self._gateways, self._leases, self._sockets, gateway, turn_text, context, hands)
        try:
            await talk.run()
        except Exception:
            if not hands.cancelled.is_set():  # nobody calls `stop` then, and nothing is to go on unwatched
                await self._abort(talk.client, hands)
            raise
        finally:
            if talk.client is not None:
                await self._keep(talk.client, hands)

    async def stop(self, context: Context, hands: Hands) -> None:
        client = self._kept.pop(hands.turn_id, None)
        if client is None or client.is_lost:
            try:
                gateway = await self._gateway(context, hands)
                client = (await self._gateways.enter(gateway, context.session_lease_id)).client
            except (NotEntered, Conflict, NotFound) as error:
                log.warning("openclaw.not_stopped", turn_id=hands.turn_id, error=str(error))
                return
        try:
            await self._abort(client, hands)
        finally:
            await client.close()

    async def _gateway(self, context: Context, hands: Hands) -> Gateway:
        """Raises Conflict `gateway_removed` and `gateway_elsewhere`."""
        chosen: Any = hands.conversation.runtime_options.get("gateway_id")
        try:
            gateway = await self._gateways.get(hands.conversation.account_id, str(chosen))
        except NotFound:
            raise Conflict(
                "gateway_removed",
                "The gateway of this conversation was removed. Choose another one, or begin a new conversation.",
            ) from None
        rules.check_usable(gateway, context.connection_id)
        return gateway

    async def _abort(self, client: Client | None, hands: Hands) -> None:
        """Whatever runs in the conversation's session at the gateway; a run that has ended stays ended."""
        if client is None or client.is_lost:
            return
        key = str(hands.state.get(SESSION) or session_name(hands.conversation))
        try:
            await client.request("chat.abort", {"sessionKey": key}, timeout=_ABORT_S)
        except (Refused, Lost) as error:
            log.warning("openclaw.not_aborted", turn_id=hands.turn_id, error=str(error))

    async def _keep(self, client: Client, hands: Hands) -> None:
        """Close it; one whose turn was cancelled only in a moment, since `stop` may still need it."""
        if not hands.cancelled.is_set():
            await client.close()
            return
        self._kept[hands.turn_id] = client
        task = asyncio.get_running_loop().create_task(self._close_soon(hands.turn_id, client))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Before the box stops."""
        for task in list(self._closing):
            task.cancel()
        if self._closing:
            await asyncio.wait(self._closing)
        for client in self._kept.values():
            await client.close()
        self._kept.clear()

    async def _close_soon(self, turn_id: str, client: Client) -> None:
        await asyncio.sleep(_KEPT_S)
        if self._kept.get(turn_id) is client:
            del self._kept[turn_id]
            await client.close()
