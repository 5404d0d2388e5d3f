"""A box with a lease on a real server, and a conversation with the scripted agent on it."""

import sys
from pathlib import Path
from typing import Any

import msgspec

from clawdbox.agents.model import Conversation, ConversationEvent, Turn, TurnState
from clawdbox.approvals.model import Approval
from clawdbox.ssh.model import Lease
from tests.ssh.world import World
from tests.waiting import eventually

AGENT = Path(__file__).parent / "scripted_agent.py"


class There:
    """`notes` is where the agent writes down what it did."""

    def __init__(self, world: World, lease: Lease, conversation: Conversation, notes: Path) -> None:
        self.world = world
        self.box = world.box
        self.lease = lease
        self.conversation = conversation
        self.notes = notes

    @classmethod
    async def meet(cls, world: World, notes: Path) -> "There":
        lease = await world.ready()
        return cls(world, lease, await begin(world, notes), notes)

    async def send(self, *steps: Any) -> Turn:
        return await self.send_text(msgspec.json.encode(steps).decode())

    async def send_text(self, text: str) -> Turn:
        return await self.box.conversations.send(self.world.me, self.world.owner, self.conversation.id, text)

    async def ask(self, *steps: Any) -> Turn:
        return await self.ended(await self.send(*steps))

    async def turn(self, turn: Turn) -> Turn:
        return await self.box.conversations.turn(self.world.owner, self.conversation.id, turn.id)

    async def ended(self, turn: Turn, timeout: float = 40) -> Turn:
        async def over() -> Turn | None:
            now = await self.turn(turn)
            return now if now.state is not TurnState.RUNNING else None

        try:
            found = await eventually(over, timeout=timeout, what="the end of the turn")
        except AssertionError as error:
            raise AssertionError(f"{error}: {await self.told(turn)}") from None
        assert found is not None
        return found

    async def told(self, turn: Turn) -> list[ConversationEvent]:
        events = await self.box.conversations.events(self.world.owner, self.conversation.id, 0, 100_000)
        return [event for event in events if event.turn_id == turn.id]

    async def text(self, turn: Turn) -> str:
        return "".join(event.payload["text"] for event in await self.told(turn) if event.type == "text")

    async def of_type(self, turn: Turn, kind: str) -> list[dict[str, Any]]:
        return [event.payload for event in await self.told(turn) if event.type == kind]

    async def until_said(self, turn: Turn, words: str) -> None:
        async def said() -> bool:
            return words in await self.text(turn)

        await eventually(said, timeout=40, what=words)

    async def asked(self, count: int = 1) -> list[Approval]:
        async def waiting() -> list[Approval]:
            found, _ = await self.box.approvals.page(self.world.owner, "pending", 50, 0)
            return found if len(found) >= count else []

        return await eventually(waiting, timeout=40, what=f"{count} questions")

    async def answer(self, approval: Approval, allow: bool) -> None:
        await self.box.approvals.answer(self.world.me, self.world.owner, approval.id, allow=allow)

    def noted(self, name: str) -> list[str]:
        file = self.notes / name
        return file.read_text().splitlines() if file.exists() else []

    def go(self, name: str = "go") -> None:
        (self.notes / name).touch()

    async def end_agents(self) -> None:
        """So that no process outlives its test."""
        if await self.box.leases.present(self.world.owner, self.conversation.connection_id) is None:
            await self.world.start()
        await self.box.acp.stop_all(self.world.owner, None)


async def begin(world: World, notes: Path) -> Conversation:
    command = f"{sys.executable} {AGENT} {notes}"
    return await world.box.conversations.open(
        world.me, world.owner, world.connection.id, "acp", {"agent": "custom", "command": command}, None
    )


def alive(pid: int) -> bool:
    """A zombie has ended, too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
