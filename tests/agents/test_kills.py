"""The real box killed with -9 in the middle of an agent's turn, again and again: what its server saw of it."""

import asyncio
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.agents.model_server.asked import Asked
from tests.agents.model_server.parts import Reply, Tool, reply
from tests.agents.model_server.server import ModelServer
from tests.cli.command import Served, clawdbox, environment
from tests.ssh.sshd import Sshd
from tests.waiting import eventually
from tests.web.served import Client, Json
from tests.web.servers import connect_to

pytestmark = [pytest.mark.sshd, pytest.mark.xdist_group("kills")]

STEPS = 3
LONGEST_S = 2.5  # until a kill, in which a turn may get anywhere from its first word to its end


class Marks:
    """What the server saw: each command of a turn writes a line of its own."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "marks"
        self.file.touch()

    def command(self, turn: str, step: int) -> str:
        return f"echo turn-{turn}-step-{step} >> {self.file}"

    def model(self, asked: Asked) -> Reply:
        """The scripted model: three commands one after the other, each of which changes something, and a last word."""
        (turn,) = re.findall(r"number (\d+)", asked.said)
        step = sum(call_id.startswith(f"call-{turn}-") for call_id in asked.results) + 1
        if step > STEPS:
            return reply("All of it is done.")
        command = {"command": self.command(turn, step), "reason": f"step {step}"}
        return reply("Now ", "the next step. ", Tool("run", command, id=f"call-{turn}-{step}"))

    @property
    def seen(self) -> Counter[str]:
        return Counter(self.file.read_text().split())


class House:
    """A box as a process that is killed and started again, with a person who allows whatever is asked."""

    def __init__(self, folder: Path, server: Sshd) -> None:
        self.folder = folder
        self.server = server
        self.token = ""
        self.client: Client
        self.served: Served
        self.connection: Json = {}
        self.conversation: Json = {}
        self.allowed: set[str] = set()

    def start(self) -> None:
        env = environment(
            CLAWDBOX_RATE_SESSION_START_PER_HOUR="10000",
            CLAWDBOX_RATE_REQUEST_PER_MINUTE="100000",
            CLAWDBOX_RATE_TEST_PER_MINUTE="10000",
        )
        self.served = Served(self.folder / "box", "--allow-loopback", env=env).wait()

    @asynccontextmanager
    async def awake(self) -> AsyncIterator[Client]:
        async with httpx.AsyncClient(base_url=self.served.address, trust_env=False, timeout=30) as http:
            self.client = Client(http, self.served.address, {"authorization": f"Bearer {self.token}"}, None)
            yield self.client

    async def settle(self, model: ModelServer) -> None:
        self.connection = await connect_to(self.client, self.server)
        given = {"label": "Scripted", "kind": "openai", "base_url": model.openai_url, "model": "scripted-1"}
        provider = (await self.client.post("/model-providers", given)).json()["model_provider"]
        made = await self.client.post(
            f"/connections/{self.connection['id']}/conversations",
            {"runtime": "model", "runtime_options": {"provider_id": provider["id"]}},
        )
        self.conversation = made.json()["conversation"]

    async def session(self) -> Json:
        started = await self.client.post("/sessions", {"connection_id": self.connection["id"]})
        assert started.status_code == 201, started.text
        found: Json = started.json()["session"]
        return found

    async def say(self, text: str) -> str:
        said = await self.client.post(f"/conversations/{self.conversation['id']}/turns", {"text": text})
        assert said.status_code == 201, said.text
        return str(said.json()["turn"]["id"])

    async def allow(self) -> None:
        """Say yes to all that waits. A box that is killed meanwhile may or may not have heard it."""
        waiting = (await self.client.get("/approvals?state=pending")).json()["approvals"]
        for approval in waiting:
            answered = await self.client.post(f"/approvals/{approval['id']}/answer", {"decision": "allow"})
            assert answered.status_code in (200, 409), answered.text
            self.allowed.add(approval["id"])

    async def allow_until_killed(self) -> None:
        with suppress(httpx.HTTPError):
            while True:
                await self.allow()
                await asyncio.sleep(0.02)

    async def over(self) -> bool:
        await self.allow()
        shown = (await self.client.get(f"/conversations/{self.conversation['id']}")).json()
        return shown["conversation"]["running_turn_id"] is None

    async def events(self) -> list[Json]:
        found: list[Json] = []
        more = True
        while more:
            after = found[-1]["seq"] if found else 0
            page = (
                await self.client.get(f"/conversations/{self.conversation['id']}/events?after={after}")
            ).json()
            found += page["events"]
            more = page["has_more"]
        return found


@pytest.fixture
def house(tmp_path: Path, server: Sshd) -> Iterator[House]:
    made = House(tmp_path, server)
    made.token = clawdbox("token", "create", "--name", "test", "--data-dir", tmp_path / "box").stdout.strip()
    made.start()
    yield made
    made.served.end()


async def one_kill(house: House, number: int, after_s: float) -> None:
    """A turn, a kill somewhere in it, a start, a new session, and the turn's end."""
    async with house.awake():
        await house.session()
        await house.say(f"Go on with number {number}.")
        allowing = asyncio.ensure_future(house.allow_until_killed())
        try:
            async with asyncio.timeout(after_s):
                await allowing
        except TimeoutError:
            pass
        house.served.end()
    house.start()
    async with house.awake():
        await house.session()
        await eventually(house.over, timeout=180, what=f"the end of turn {number}")


def check(marks: Marks, number: int, events: list[Json]) -> None:
    """Nothing ran twice; what is missing is told as lost; nothing was asked twice."""
    seen = marks.seen
    assert not [mark for mark, times in seen.items() if times > 1]
    last = [event["turn_id"] for event in events if event["type"] == "turn.started"][-1]
    turn = [event for event in events if event["turn_id"] == last]
    begun = [event for event in turn if event["type"] == "command.started"]
    ended = {
        event["payload"]["command_id"]: event["payload"]["state"]
        for event in turn
        if event["type"] == "command.finished"
    }
    assert len({event["payload"]["call_id"] for event in begun}) == len(begun) == STEPS
    assert set(ended) == {event["payload"]["command_id"] for event in begun}
    for event in begun:
        mark = event["payload"]["command"].split()[1]
        assert seen[mark] == 1 or ended[event["payload"]["command_id"]] in ("lost", "cancelled"), mark
    asked = Counter(event["payload"]["call_id"] for event in turn if event["type"] == "approval.requested")
    assert set(asked.values()) == {1}
    assert [event["payload"]["state"] for event in turn if event["type"] == "turn.finished"] == ["done"]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))


async def kill_and_check(house: House, tmp_path: Path, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    marks = Marks(tmp_path)
    with ModelServer(marks.model) as model:
        async with house.awake():
            await house.settle(model)
        for number in range(1, kills + 1):
            await one_kill(house, number, chance.uniform(0.0, LONGEST_S))
            async with house.awake():
                check(marks, number, await house.events())


async def test_a_few_kills_in_mid_turn_run_nothing_twice(house: House, tmp_path: Path) -> None:
    await kill_and_check(house, tmp_path, kills=2, seed=2)


@pytest.mark.long
@pytest.mark.timeout(3600)
async def test_a_hundred_kills_in_mid_turn_run_nothing_twice(house: House, tmp_path: Path) -> None:
    await kill_and_check(house, tmp_path, kills=100, seed=1)
