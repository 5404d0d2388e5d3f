"""A box with a session on a real server and a conversation with a gateway, and short words for what tests do there."""

import asyncio
from typing import Any

from clawdbox.agents.model import Conversation, ConversationEvent, Turn, TurnState
from clawdbox.agents.runtimes.openclaw import sql
from clawdbox.agents.runtimes.openclaw.model import Auth, Gateway, State
from clawdbox.agents.runtimes.openclaw.rules import gateways as rules
from clawdbox.agents.runtimes.openclaw.wire.device import Device
from clawdbox.app import Box
from clawdbox.approvals.model import Approval
from clawdbox.events import Actor
from clawdbox.ssh.model import Lease
from tests.agents.openclaw.real import RealGateway
from tests.rooms.conversing import of_type
from tests.waiting import eventually


class Talking:
    def __init__(self, box: Box, gateway: Gateway, conversation: Conversation) -> None:
        self.box = box
        self.gateway = gateway
        self.conversation = conversation
        self.account_id = box.owner.id
        self.actor = Actor(box.owner.id)

    @classmethod
    async def begin(
        cls, box: Box, lease: Lease, real: RealGateway, *, url: str | None = None, **more: Any
    ) -> "Talking":
        actor, account_id = Actor(box.owner.id), box.owner.id
        gateway = await box.openclaw_gateways.add(
            actor, account_id, label="Claw", url=url or real.url, auth=Auth.TOKEN, secret=real.token, **more
        )
        conversation = await box.conversations.open(
            actor, account_id, lease.connection_id, "openclaw", {"gateway_id": gateway.id}, None
        )
        return cls(box, gateway, conversation)

    @classmethod
    async def known(cls, box: Box, lease: Lease, real: RealGateway, **more: Any) -> "Talking":
        """With a device that the gateway has let in before: who is the first has it let in by the real command."""
        talking = await cls.begin(box, lease, real, **more)
        if real.device is None:
            await talking.be_let_in(real)
        else:
            await talking._become(real.device)
        return talking

    async def be_let_in(self, real: RealGateway) -> None:
        if await self.answered() is State.PAIRING:
            command = rules.pairing_command((await self.now()).pairing_request_id)
            assert command
            await asyncio.to_thread(real.openclaw, *command.split()[1:])
        assert await self.answered() is State.READY, (await self.now()).problem
        sealed = await self.box.store.read(lambda r: sql.sealed(r, self.gateway.id))
        real.device = bytes(
            self.box.sealer.open(
                "openclaw_gateways", self.gateway.id, "device_key_enc", self.account_id, sealed.device_key_enc
            )
        )

    async def _become(self, secret: bytes) -> None:
        key = self.box.sealer.seal(
            "openclaw_gateways", self.gateway.id, "device_key_enc", self.account_id, secret
        )
        values = {"device_id": Device.read(secret).id, "device_key_enc": key}
        await self.box.store.write(lambda tx: sql.change(tx, self.gateway.id, values))

    async def answered(self) -> State:
        """The first answer that is not that the gateway is still starting: its port listens before it is ready."""

        async def look() -> State | None:
            state = await self.test()
            return None if state is State.UNREACHABLE else state

        state = await eventually(look, timeout=60, what="a gateway that has started")
        assert state is not None
        return state

    async def test(self) -> State:
        _, look = await self.box.openclaw_gateways.test(self.actor, self.account_id, self.gateway.id)
        return look.state

    async def now(self) -> Gateway:
        return await self.box.openclaw_gateways.get(self.account_id, self.gateway.id)

    async def send(self, text: str) -> Turn:
        return await self.box.conversations.send(self.actor, self.account_id, self.conversation.id, text)

    async def turn(self, turn: Turn) -> Turn:
        return await self.box.conversations.turn(self.account_id, self.conversation.id, turn.id)

    async def cancel(self, turn: Turn) -> Turn:
        return await self.box.conversations.cancel(self.actor, self.account_id, self.conversation.id, turn.id)

    async def ended(self, turn: Turn, timeout: float = 90) -> Turn:
        with self.box.hub.listen(f"turn:{turn.id}") as signal:
            while (now := await self.turn(turn)).state is TurnState.RUNNING:
                async with asyncio.timeout(timeout):
                    await signal.wait()
                signal.clear()
        return now

    async def ask(self, text: str) -> Turn:
        return await self.ended(await self.send(text))

    async def said(self, turn: Turn) -> list[ConversationEvent]:
        events = await self.box.conversations.events(self.account_id, self.conversation.id, 0, 100_000)
        return [event for event in events if event.turn_id == turn.id]

    async def text(self, turn: Turn) -> str:
        return "".join(one["text"] for one in of_type(await self.said(turn), "text"))

    async def saying(self, turn: Turn, words: str) -> None:
        async def heard() -> bool:
            return words in await self.text(turn)

        await eventually(heard, timeout=60, what=f"the words {words!r}")

    async def asked(self, count: int = 1) -> Approval:
        """The newest approval, once so many wait."""

        async def waiting() -> list[Approval] | None:
            found, pending = await self.box.approvals.page(self.account_id, "pending", 50, 0)
            return found if pending >= count else None

        found = await eventually(waiting, timeout=60, what="a question")
        assert found
        return found[0]

    async def answer(self, approval: Approval, *, allow: bool) -> None:
        await self.box.approvals.answer(self.actor, self.account_id, approval.id, allow=allow)

    async def approvals(self) -> list[Approval]:
        return (await self.box.approvals.page(self.account_id, "all", 200, 0))[0]
