"""A code agent works on while the link is cut, the lease ends or the box is killed; each word is heard once."""

import asyncio
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest

from clawdbox.agents.model import TurnState
from clawdbox.events.model import SYSTEM
from clawdbox.ssh.model import CloseReason, MasterState
from clawdbox.ssh.rules import leases as rules
from tests.agents.acp.there import AGENT, There, alive
from tests.agents.test_kills import House
from tests.cli.command import clawdbox
from tests.ssh.sshd import Sshd
from tests.ssh.world import World
from tests.waiting import eventually
from tests.web.served import Json

pytestmark = [pytest.mark.sshd, pytest.mark.xdist_group("acp")]


def numbers(count: int) -> str:
    return "".join(f"<{number}>\n" for number in range(count))


@pytest.fixture
async def there(world: World, tmp_path: Path) -> AsyncIterator[There]:
    found = await There.meet(world, tmp_path / "notes")
    yield found
    await found.end_agents()
    pids = [int(line) for line in found.noted("started")]
    await eventually(lambda: not any(alive(pid) for pid in pids), what="the end of the agents")


async def test_a_link_that_is_cut_in_mid_turn_loses_and_repeats_nothing(there: There) -> None:
    turn = await there.send(["count", 200, 100], ["ask", "systemctl restart nginx"])
    await there.until_said(turn, "<100>")
    there.world.server.kill_connections()
    await there.world.master_is(there.lease, MasterState.LOST)
    there.go()
    (approval,) = await there.asked()
    there.world.server.kill_connections()
    await there.answer(approval, False)
    ended = await there.ended(turn)
    assert ended.state is TurnState.DONE
    assert await there.text(turn) == f"{numbers(200)}\n\n[systemctl restart nginx: no]"
    assert len(there.noted("prompts")) == len(there.noted("started")) == 1
    assert len((await there.box.approvals.page(there.world.owner, "all", 10, 0))[0]) == 1
    answers = [line for line in there.noted("heard") if '"outcome"' in line]
    assert len(answers) == 1


async def test_a_lease_that_ends_leaves_the_agent_at_work_and_the_next_one_goes_on(there: There) -> None:
    turn = await there.send(["count", 200, 100])
    await there.until_said(turn, "<100>")
    ending = rules.Ending(CloseReason.SERVER_CLOSED, "The link was lost.")
    await there.box.leases.end(SYSTEM, there.lease.id, ending)
    parked = await there.turn(turn)
    assert (parked.state, parked.waits_for) == (TurnState.RUNNING, "session")
    there.go()
    there.lease = await there.world.start()
    assert (await there.ended(turn)).state is TurnState.DONE
    assert await there.text(turn) == numbers(200)
    assert len(there.noted("prompts")) == 1


async def test_a_session_that_a_person_closes_calls_its_turn_off_on_the_server(there: There) -> None:
    turn = await there.send(["text", "a"], ["until_cancelled"])
    await there.until_said(turn, "a")
    await there.world.close(there.lease)
    assert (await there.ended(turn)).state is TurnState.CANCELLED
    await eventually(lambda: any("session/cancel" in line for line in there.noted("heard")))


async def test_a_turn_that_was_cancelled_without_a_link_is_ended_by_the_next_lease(there: There) -> None:
    turn = await there.send(["text", "a"], ["hang"])
    await there.until_said(turn, "a")
    ending = rules.Ending(CloseReason.SERVER_CLOSED, "The link was lost.")
    await there.box.leases.end(SYSTEM, there.lease.id, ending)
    stopped = await there.box.conversations.stop_agents(there.world.me, there.world.owner, None)
    assert stopped.turns == 1
    (pid,) = [int(line) for line in there.noted("started")]
    assert alive(pid)
    there.lease = await there.world.start()
    await eventually(lambda: not alive(pid), what="the end of the agent")
    assert (await there.turn(turn)).state is TurnState.CANCELLED


# the box itself is killed


class Killed(House):
    """The box as a process, with a conversation of the scripted agent."""

    async def settle_agent(self, notes: Path) -> None:
        from tests.web.servers import connect_to

        self.connection = await connect_to(self.client, self.server)
        options = {"agent": "custom", "command": f"{sys.executable} {AGENT} {notes}"}
        made = await self.client.post(
            f"/connections/{self.connection['id']}/conversations",
            {"runtime": "acp", "runtime_options": options},
        )
        assert made.status_code == 201, made.text
        self.conversation = made.json()["conversation"]


@pytest.fixture
def house(tmp_path: Path, server: Sshd) -> Iterator[Killed]:
    made = Killed(tmp_path, server)
    made.token = clawdbox("token", "create", "--name", "test", "--data-dir", tmp_path / "box").stdout.strip()
    made.start()
    yield made
    made.served.end()


def steps(number: int) -> str:
    """Words, two questions at once, words, a third question: what each allowed command does can be counted."""
    first, second, third = (f"echo {number}-{name} >> $HOME/marks" for name in ("a", "b", "c"))
    return msgspec.json.encode(
        [["count", 60], ["ask", first, second], ["count", 60], ["ask", third], ["text", "The end."]]
    ).decode()


def check(house: Killed, notes: Path, number: int, events: list[Json]) -> None:
    last = [event["turn_id"] for event in events if event["type"] == "turn.started"][-1]
    turn = [event for event in events if event["turn_id"] == last]
    text = "".join(event["payload"]["text"] for event in turn if event["type"] == "text")
    names = [f"[echo {number}-{name} >> $HOME/marks: yes]" for name in ("a", "b", "c")]
    words = [numbers(60).strip(), *names[:2], numbers(60).strip(), names[2], "The end."]
    assert text.split() == " ".join(words).split()
    marks = Counter((house.server.folder.parent / "home" / "marks").read_text().split())
    assert [marks[f"{number}-{name}"] for name in ("a", "b", "c")] == [1, 1, 1]
    asked = Counter(event["payload"]["call_id"] for event in turn if event["type"] == "approval.requested")
    assert (len(asked), set(asked.values())) == (3, {1})
    assert [event["payload"]["state"] for event in turn if event["type"] == "turn.finished"] == ["done"]
    assert [event["type"] for event in turn].count("turn.delivered") == 1
    prompts = (notes / "prompts").read_text().splitlines()
    assert len(prompts) == number


async def kill_and_check(house: Killed, tmp_path: Path, kills: int, seed: int) -> None:
    chance, notes = random.Random(seed), tmp_path / "notes"
    async with house.awake():
        await house.settle_agent(notes)
    for number in range(1, kills + 1):
        async with house.awake():
            await house.session()
            await house.say(steps(number))
            allowing = asyncio.ensure_future(house.allow_until_killed())
            await asyncio.wait({allowing}, timeout=chance.uniform(0.0, 1.5))
            house.served.process.kill()
            await allowing
        house.served.end()
        house.start()
        async with house.awake():
            await house.session()
            await eventually(house.over, timeout=180, what=f"the end of turn {number}")
            check(house, notes, number, await house.events())
    async with house.awake():
        assert (await house.client.post("/agents/stop", {})).status_code == 200
    started = [int(line) for line in (notes / "started").read_text().splitlines()]
    assert len(started) <= kills + 1  # a kill before the first message was handed over begins anew
    assert not any(alive(pid) for pid in started)


async def test_a_box_that_is_killed_in_mid_turn_goes_on_with_the_next_session(
    house: Killed, tmp_path: Path
) -> None:
    await kill_and_check(house, tmp_path, kills=2, seed=3)


@pytest.mark.long
@pytest.mark.timeout(3600)
async def test_a_hundred_kills_hear_each_word_once_and_ask_nothing_twice(
    house: Killed, tmp_path: Path
) -> None:
    await kill_and_check(house, tmp_path, kills=100, seed=4)
