"""The real box killed with -9 while the real gateway works: nothing runs twice, and each turn has a clear end."""

import asyncio
import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agents.model_server.asked import Asked
from tests.agents.model_server.parts import Reply, Tool, reply
from tests.agents.model_server.server import ModelServer
from tests.agents.openclaw.real import RealGateway
from tests.agents.test_kills import House
from tests.cli.command import clawdbox
from tests.ssh.sshd import Sshd
from tests.waiting import eventually
from tests.web.served import Json
from tests.web.servers import connect_to

pytestmark = [
    pytest.mark.sshd,
    pytest.mark.long,
    pytest.mark.xdist_group("openclaw"),
    pytest.mark.timeout(7200),
]

STEPS = 2
LONGEST_S = 6.0


class Marks:
    """What the server saw: each command writes a line of its own."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "marks"
        self.file.touch()

    def model(self, asked: Asked) -> Reply:
        """Two commands through the control socket that the turn was given, and a last word."""
        text = asked.raw.decode().replace("\\n", "\n")
        prefix = re.findall(r"^(ssh -F none .*) 'COMMAND'$", text, re.MULTILINE)[-1]
        turn = re.findall(r"number (\d+)", text)[-1]
        step = sum(call_id.startswith(f"call{turn}x") for call_id in asked.results) + 1
        if step > STEPS:
            return reply("All of it is done.")
        command = f"{prefix} 'echo turn-{turn}-step-{step} >> {self.file}'"
        return reply("Now the next step. ", Tool("exec", {"command": command}, id=f"call{turn}x{step}"))

    @property
    def seen(self) -> Counter[str]:
        return Counter(self.file.read_text().split())


class Killed(House):
    async def settle_gateway(self, real: RealGateway) -> None:
        """A conversation with the gateway, which let the box in by its own command."""
        self.connection = await connect_to(self.client, self.server)
        given = {"label": "Claw", "url": real.url, "token": real.token}
        added = await self.client.post("/openclaw-gateways", given)
        assert added.status_code == 201, added.text
        gateway = added.json()["openclaw_gateway"]
        found = await self.look(gateway["id"])
        await asyncio.to_thread(real.openclaw, *found["pairing"]["command"].split()[1:])
        assert (await self.look(gateway["id"]))["state"] == "ready"
        made = await self.client.post(
            f"/connections/{self.connection['id']}/conversations",
            {"runtime": "openclaw", "runtime_options": {"gateway_id": gateway["id"]}},
        )
        assert made.status_code == 201, made.text
        self.conversation = made.json()["conversation"]

    async def look(self, gateway_id: str) -> Json:
        async def answered() -> Json | None:
            tested = await self.client.post(f"/openclaw-gateways/{gateway_id}/test")
            assert tested.status_code == 200, tested.text
            found: Json = tested.json()["openclaw_gateway"]
            return None if found["state"] == "unreachable" else found

        found = await eventually(answered, timeout=90, what="a gateway that has started")
        assert found is not None
        return found


@pytest.fixture
def house(tmp_path: Path, server: Sshd) -> Iterator[Killed]:
    made = Killed(tmp_path, server)
    made.token = clawdbox("token", "create", "--name", "test", "--data-dir", tmp_path / "box").stdout.strip()
    made.start()
    yield made
    made.served.end()


def check(marks: Marks, events: list[Json]) -> str:
    """How the last turn ended."""
    assert not [mark for mark, times in marks.seen.items() if times > 1]
    last = [event["turn_id"] for event in events if event["type"] == "turn.started"][-1]
    turn = [event for event in events if event["turn_id"] == last]
    begun = [event["payload"] for event in turn if event["type"] == "command.started"]
    ended = {
        event["payload"]["command_id"]: event["payload"]["state"]
        for event in turn
        if event["type"] == "command.finished"
    }
    assert set(ended) == {one["command_id"] for one in begun}
    for one in begun:
        mark = one["command"].split()[1]
        assert marks.seen[mark] == 1 or ended[one["command_id"]] in ("lost", "cancelled"), mark
    asked = [event["payload"] for event in turn if event["type"] == "approval.requested"]
    assert len({one["approval_id"] for one in asked}) == len(asked)
    (state,) = [event["payload"]["state"] for event in turn if event["type"] == "turn.finished"]
    assert state in ("done", "failed", "lost")
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    return str(state)


async def test_a_hundred_kills_beside_a_working_gateway_run_nothing_twice(
    house: Killed, tmp_path: Path
) -> None:
    chance, marks, ends = random.Random(7), Marks(tmp_path), Counter[str]()
    with ModelServer(marks.model) as model, RealGateway(tmp_path / "openclaw", model.openai_url) as real:
        async with house.awake():
            await house.settle_gateway(real)
        for number in range(1, 101):
            async with house.awake():
                await house.session()
                await house.say(f"Go on with number {number}.")
                allowing = asyncio.ensure_future(house.allow_until_killed())
                await asyncio.wait({allowing}, timeout=chance.uniform(0.0, LONGEST_S))
                house.served.process.kill()
                await allowing
            house.served.end()
            house.start()
            async with house.awake():
                await house.session()
                await eventually(house.over, timeout=180, what=f"the end of turn {number}")
                ends[check(marks, await house.events())] += 1
    assert ends["done"] > 50, ends
    assert len(marks.seen) > 100
