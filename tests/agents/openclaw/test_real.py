"""Turns with the real OpenClaw gateway: pairing, streaming, stopping, approvals, and commands on a real server."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from clawdbox.agents.model import TurnState
from clawdbox.agents.runtimes.openclaw.model import State, Way
from clawdbox.approvals.model import State as Answered
from clawdbox.ssh.model import CloseReason, Lease
from clawdbox.ssh.rules.leases import Ending
from tests.agents.model_server.parts import Gate, Tool, reply
from tests.agents.model_server.script import Script
from tests.agents.model_server.server import ModelServer
from tests.agents.openclaw.real import RealGateway
from tests.agents.openclaw.relay import Relay
from tests.agents.openclaw.talking import Talking
from tests.rooms.conversing import of_type
from tests.ssh.riding import run
from tests.ssh.world import World
from tests.waiting import eventually

pytestmark = [pytest.mark.sshd, pytest.mark.xdist_group("openclaw"), pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture(scope="module")
def real(model: ModelServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    with RealGateway(tmp_path_factory.mktemp("openclaw"), model.openai_url) as gateway:
        yield gateway


@pytest.fixture(autouse=True)
def fresh(model: ModelServer) -> Iterator[None]:
    """Each test has a script of its own, and uses all of it up."""
    model.asked.clear()
    model.answers = script = Script()
    yield
    model.answers = script


@pytest.fixture
async def lease(world: World) -> Lease:
    return await world.ready()


@pytest.fixture
async def talking(world: World, lease: Lease, real: RealGateway) -> Talking:
    return await Talking.known(world.box, lease, real)


def exec_(command: str) -> Tool:
    return Tool("exec", {"command": command})


def prefix_of(model: ModelServer) -> str:
    """What the agent was told to put before a command, as the model read it."""
    found = re.search(
        r"^(ssh -F none .*) 'COMMAND'$", model.asked[-1].raw.decode().replace("\\n", "\n"), re.MULTILINE
    )
    assert found
    return found[1]


class TestTalking:
    async def test_a_box_is_let_in_by_the_command_that_is_shown_and_then_talks(
        self, world: World, lease: Lease, real: RealGateway, model: ModelServer
    ) -> None:
        talking = await Talking.begin(world.box, lease, real)
        assert await talking.answered() is State.PAIRING
        gateway = await talking.now()
        assert gateway.problem
        (choice,) = (await talking.box.openclaw.offer(talking.account_id, "any")).choices
        assert not choice.ready
        assert f"`openclaw devices approve {gateway.pairing_request_id}`" in choice.hint
        await talking.be_let_in(real)
        assert (await talking.now()).version == "2026.9.6"
        model.answers = Script(reply("The server ", "is fine.", input_tokens=21, output_tokens=5))
        turn = await talking.ask("How is it?")
        assert (turn.state, turn.error) == (TurnState.DONE, None)
        assert turn.delivered_at
        assert await talking.text(turn) == "The server is fine."
        assert (turn.input_tokens, turn.output_tokens) == (21, 5)
        assert turn.cost_usd == pytest.approx((21 * 1 + 5 * 2) / 1e6)
        assert "How is it?" in model.asked[0].raw.decode()
        assert talking.conversation.connection_id in model.asked[0].raw.decode()

    async def test_an_answer_streams_and_outlives_the_connection(
        self, world: World, lease: Lease, real: RealGateway, model: ModelServer
    ) -> None:
        gate, end = Gate(), Gate()
        model.answers = Script(reply("One. ", gate, "Two. ", end, "Three."))
        async with Relay(real.port) as relay:
            talking = await Talking.known(world.box, lease, real, url=relay.url)
            turn = await talking.send("Count.")
            await talking.saying(turn, "One.")
            relay.cut()
            gate.open()
            await talking.saying(turn, "Two.")
            relay.cut()
            end.open()
            assert (await talking.ended(turn)).state is TurnState.DONE
        assert await talking.text(turn) == "One. Two. Three."
        assert len(model.asked) == 1

    async def test_a_cancelled_turn_stops_the_run_at_the_gateway(
        self, talking: Talking, model: ModelServer
    ) -> None:
        gate = Gate()
        model.answers = Script(reply("One. ", gate, "Two."))
        turn = await talking.send("Count.")
        await talking.saying(turn, "One.")
        assert (await talking.cancel(turn)).state is TurnState.CANCELLED
        assert await asyncio.to_thread(model.asked[0].gone.wait, 20)
        gate.open()
        assert await talking.text(turn) == "One."

    async def test_a_session_that_ends_in_the_middle_costs_nothing(
        self, talking: Talking, world: World, lease: Lease, model: ModelServer
    ) -> None:
        gate = Gate()
        model.answers = Script(reply("One. ", gate, "Two."))
        turn = await talking.send("Count.")
        await talking.saying(turn, "One.")
        lost = Ending(CloseReason.SERVER_CLOSED, "The server closed the connection.")
        await world.box.leases.end(world.me, lease.id, lost)
        gate.open()
        await world.start()
        turn = await talking.ended(turn)
        assert (turn.state, turn.error) == (TurnState.DONE, None)
        assert await talking.text(turn) == "One. Two."
        assert len(model.asked) == 1

    async def test_a_model_that_refuses_is_a_failed_turn(self, talking: Talking, model: ModelServer) -> None:
        turn = await talking.ask("Anything.")  # the script has no answer
        assert turn.state is TurnState.FAILED
        assert turn.error
        assert turn.error.startswith("The agent failed: ")


class TestActing:
    async def test_commands_reach_the_server_one_by_one_each_judged(
        self, talking: Talking, world: World, model: ModelServer
    ) -> None:
        """One that reads runs unasked, one that changes waits, one that is denied never runs, nonsense asks."""
        home = world.server.folder.parent / "home"
        model.answers = Script("Ready.")
        await talking.ask("Hello.")
        before = prefix_of(model)
        model.answers = Script(
            reply("I look. ", exec_(f"{before} 'uptime'")),
            reply(exec_(f"{before} 'echo once >> $HOME/ran'")),
            reply(exec_(f"{before} 'echo never >> $HOME/ran'")),
            reply(exec_(f"{before} 'echo \"unclosed'")),
            "All done.",
        )
        turn = await talking.send("Do it.")
        first = await talking.asked()
        assert (first.command, first.connection_id) == (
            "echo once >> $HOME/ran",
            talking.conversation.connection_id,
        )
        assert not (home / "ran").exists()
        await talking.answer(first, allow=True)
        await eventually((home / "ran").exists, timeout=30)
        second = await talking.asked()
        assert second.command == "echo never >> $HOME/ran"
        await talking.answer(second, allow=False)
        third = await talking.asked()
        assert third.command == 'echo "unclosed'
        await talking.answer(third, allow=False)
        turn = await talking.ended(turn)
        assert (turn.state, turn.error) == (TurnState.DONE, None)
        assert (home / "ran").read_text() == "once\n"
        results = list(model.asked[-1].results.values())
        assert "load average" in results[0]
        assert "clawdbox:" in results[2]
        assert "(Command exited with code 255)" in results[3]
        rows = await world.rows("SELECT command, state FROM executions ORDER BY id")
        assert [row["command"] for row in rows] == ["uptime", "echo once >> $HOME/ran"]
        assert len(await talking.approvals()) == 3, "the gateway's own approval of ssh is not asked about"
        shown = [
            call["title"]
            for call in of_type(await talking.said(turn), "tool")
            if call["status"] == "in_progress"
        ]
        assert shown[0] == "on the server: 'uptime'"

    async def test_nothing_but_commands_passes_the_socket_and_it_goes_with_the_turn(
        self, talking: Talking, model: ModelServer, tmp_path: Path
    ) -> None:
        gate = Gate()
        model.answers = Script(reply("Ready. ", gate))
        turn = await talking.send("Hello.")
        await talking.saying(turn, "Ready.")
        words = prefix_of(model).split()
        ssh, place = words[:-1], words[-1]
        assert (await run(*ssh, place, "uptime")).code == 0
        for more in ([place], ["-tt", place, "uptime"], ["-s", place, "sftp"], ["-W", "127.0.0.1:22", place]):
            refused = await run(*ssh, *more, stdin=b"touch /tmp/no\n")
            assert refused.code == 255
            assert refused.err
        for verb in (["-L", "0:127.0.0.1:22"], ["-R", "0:127.0.0.1:22"], ["-D", "0"]):
            assert (await run(*ssh, "-O", "forward", *verb, place)).code == 255
        for word in ("exit", "stop", "proxy"):
            assert (await run(*ssh, "-O", word, place)).code == 255
        shell = await run(*ssh, place, stdin=b"id\n")
        assert b"opens no interactive shells" in shell.err
        assert shell.out == b""
        asked = asyncio.ensure_future(run(*ssh, place, "reboot"))
        approval = await talking.asked()
        gate.open()
        await talking.ended(turn)
        assert (await asked).code == 255
        assert (await run(*ssh, place, "uptime")).code == 255
        settled = await talking.box.approvals.get(talking.account_id, approval.id)
        assert settled.state is Answered.VOID

    @pytest.mark.parametrize("allow", [True, False])
    async def test_a_command_on_the_gateways_own_machine_is_a_persons_to_allow(
        self, talking: Talking, real: RealGateway, model: ModelServer, allow: bool
    ) -> None:
        made = real.work / f"made-{allow}"
        model.answers = Script(reply(exec_(f"touch {made}")), "Done.")
        turn = await talking.send("Make a file.")
        approval = await talking.asked()
        assert approval.command is None
        assert approval.detail.startswith(f"touch {made}")
        assert not made.exists()
        await talking.answer(approval, allow=allow)
        assert (await talking.ended(turn)).state is TurnState.DONE
        assert made.exists() is allow

    async def test_one_that_is_reached_through_the_server_may_talk_but_not_act(
        self, world: World, lease: Lease, real: RealGateway, model: ModelServer
    ) -> None:
        more = {"way": Way.FORWARD, "connection_id": lease.connection_id}
        talking = await Talking.known(world.box, lease, real, **more)
        made = real.work / "made-from-afar"
        model.answers = Script(reply(exec_(f"touch {made}")), "I may not.")
        turn = await talking.ask("Make a file.")
        assert (turn.state, turn.error) == (TurnState.DONE, None)
        assert await talking.text(turn) == "I may not."
        assert not made.exists()
        assert await talking.approvals() == []
        (card,) = of_type(await talking.said(turn), "card")
        assert card["title"] == "It can talk, but not act"
        assert "You cannot run anything on that server" in model.asked[0].raw.decode()
