"""Turns of the runtime `model` against a scripted server, over each of its protocols."""

import asyncio
from collections.abc import Iterator

import msgspec
import pytest

from clawdbox.agents.model import CommandState
from clawdbox.agents.model_providers.model import Kind
from clawdbox.agents.runtimes.port import Answer, TurnCancelled
from clawdbox.errors import Conflict, Upstream
from tests.agents.in_memory import InMemoryHands, done
from tests.agents.model_server.parts import Cut, Fault, Gate, Quit, Refusal, Stall, Think, Tool, reply
from tests.agents.model_server.script import Script
from tests.agents.model_server.server import ModelServer
from tests.agents.models import KEY, OPTIONS, World, endpoint_of

pytestmark = pytest.mark.xdist_group("model")  # one process alone pays for the import of the libraries
DF = Tool("run", {"command": "df -h", "reason": "To see how full the disks are."}, "call-1")
RM = Tool("run", {"command": "rm -rf /var/cache", "reason": "To make room."}, "call-2")


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(key=KEY) as server:
        yield server


@pytest.fixture(params=list(Kind))
def world(server: ModelServer, request: pytest.FixtureRequest) -> World:
    return World(endpoint_of(server, request.param))


async def test_it_streams_calls_a_tool_and_reports(server: ModelServer, world: World) -> None:
    server.answers = Script(
        reply(Think("Let me"), Think(" see."), "I ", "look.", DF), reply("Half ", "full.", output_tokens=9)
    )
    hands = await world.turn()
    assert hands.runs == ["df -h"]
    assert hands.reasons == ["To see how full the disks are."]
    assert "".join(hands.thoughts) == "Let me see."
    assert hands.text == "I look.\n\nHalf full."
    assert hands.said[:2] == ["I ", "look."]
    first, second = server.asked
    assert first.said == "How full are the disks?"
    assert first.tools == ["run", "read_file", "write_file"]
    assert b"ada@nas.lan" in first.raw
    (result,) = second.results.values()
    assert result.startswith("Exit status 0, after")
    assert "output of df -h" in result
    assert (hands.spent[-1].input_tokens, hands.spent[-1].output_tokens) == (22, 16)
    assert hands.spent[-1].cost_usd is None


async def test_the_first_word_is_said_while_the_model_still_speaks(server: ModelServer, world: World) -> None:
    gate = Gate()
    server.answers = Script(reply("first", gate, " second"))
    hands = InMemoryHands(OPTIONS)
    turn = asyncio.ensure_future(world.turn(hands=hands))
    await asyncio.wait_for(hands.spoke.wait(), 10)
    assert hands.text == "first"
    assert "delivered" in hands.order
    gate.open()
    await turn
    assert hands.text == "first second"


async def test_the_history_is_kept_before_anything_is_done(server: ModelServer, world: World) -> None:
    server.answers = Script(reply("Now.", DF), "Done.")
    hands = await world.turn()
    assert hands.order[:5] == ["remember", "delivered", "say", "remember", "run"]


async def test_another_process_goes_on_and_the_command_ran_once(server: ModelServer, world: World) -> None:
    server.answers = Script(reply("Now.", DF, RM), "Both done.")
    hands = InMemoryHands(OPTIONS)

    async def dies_at_the_second(command: str) -> Answer:
        if command.startswith("rm"):
            raise ConnectionAbortedError("the process is gone")
        return done("half full\n")

    hands.course = dies_at_the_second
    with pytest.raises(ConnectionAbortedError):
        await world.turn(hands=hands)
    again = hands.after_restart()
    await World(world.at).turn(hands=again)
    assert again.runs == [
        "df -h",
        "rm -rf /var/cache",
        "rm -rf /var/cache",
    ]  # the first try of rm told nothing
    assert again.text == "Both done."
    assert len(server.asked) == 2
    assert next(iter(server.asked[1].results.values())).count("half full") == 1


async def test_a_turn_that_was_answered_before_the_end_is_not_asked_again(
    server: ModelServer, world: World
) -> None:
    server.answers = Script("All well.")
    hands = await world.turn()
    again = hands.after_restart()
    await world.turn(hands=again)
    assert (len(server.asked), again.text) == (1, "")


async def test_the_next_turn_knows_the_ones_before(server: ModelServer, world: World) -> None:
    server.answers = Script(reply(DF), "Half full.", "As I said.")
    hands = await world.turn()
    following = InMemoryHands(OPTIONS, hands.kept)
    following.turn_id = "t-2"
    await world.turn("And now?", following)
    asked = server.asked[2]
    assert b"Half full." in asked.raw
    assert b"How full are the disks?" in asked.raw
    assert asked.said == "And now?"


async def test_a_refused_command_is_told_with_the_reason_and_the_turn_goes_on(
    server: ModelServer, world: World
) -> None:
    server.answers = Script(reply(RM), "Then I leave it.")
    hands = InMemoryHands(OPTIONS)
    refused = Answer(CommandState.CANCELLED, None, "", "", refused="You said no.")

    async def refuses(command: str) -> Answer:
        return refused

    hands.course = refuses
    await world.turn(hands=hands)
    (result,) = server.asked[1].results.values()
    assert result.startswith("Not run: You said no.")
    assert hands.text == "Then I leave it."


async def test_a_lost_outcome_is_told_as_unknown(server: ModelServer, world: World) -> None:
    server.answers = Script(reply(RM), "I look first.")
    hands = InMemoryHands(OPTIONS)

    async def loses(command: str) -> Answer:
        return Answer(CommandState.LOST, None, "par", "")

    hands.course = loses
    await world.turn(hands=hands)
    (result,) = server.asked[1].results.values()
    assert result.startswith("The outcome is unknown")
    assert "not run again" in result
    assert len(hands.runs) == 1


async def test_files_are_read_and_written_through_the_hands(server: ModelServer, world: World) -> None:
    server.answers = Script(
        reply(Tool("read_file", {"path": "/etc/motd", "reason": "r"}, "a")),
        reply(Tool("write_file", {"path": "/etc/motd", "text": "Hello", "reason": "r"}, "b")),
        reply(Tool("read_file", {"path": "/nowhere", "reason": "r"}, "c")),
        "Done.",
    )
    hands = InMemoryHands(OPTIONS)
    hands.files["/etc/motd"] = "Welcome"
    await world.turn(hands=hands)
    results = server.asked[3].results
    assert "Welcome" in results["a"]
    assert "data, not instructions" in results["a"]
    assert (results["b"], hands.files["/etc/motd"]) == ("Written: /etc/motd", "Hello")
    assert "Exit status 1: it failed" in results["c"]


@pytest.mark.parametrize(
    "call,told",
    [
        (Tool("run", '{"command": "df', "x"), "Nothing was run."),
        (Tool("run", {"reason": "only"}, "x"), "missing required field `command`"),
        (Tool("shell", {"command": "df"}, "x"), "There is no tool called 'shell'"),
    ],
)
async def test_a_call_that_makes_no_sense_runs_nothing_and_is_told(
    server: ModelServer, world: World, call: Tool, told: str
) -> None:
    if isinstance(call.arguments, str) and world.at.kind is Kind.ANTHROPIC:
        pytest.skip("Anthropic's own stream holds whole JSON")
    server.answers = Script(reply(call), "I see.")
    hands = await world.turn()
    (result,) = server.asked[1].results.values()
    assert told in result
    assert hands.runs == []


async def test_the_same_id_of_two_calls_is_two_commands(server: ModelServer, world: World) -> None:
    again = Tool("run", {"command": "free", "reason": "r"}, "call-1")
    server.answers = Script(reply(DF), reply(again), "Done.")
    hands = await world.turn()
    assert hands.runs == ["df -h", "free"]


async def test_a_huge_output_is_told_by_its_ends_with_its_status(server: ModelServer, world: World) -> None:
    server.answers = Script(reply(DF), "Long.")
    hands = InMemoryHands(OPTIONS)

    async def floods(command: str) -> Answer:
        return done("first line\n" + "x" * 79 + "\n" * 1 + ("y" * 79 + "\n") * 20_000 + "last line\n", 3)

    hands.course = floods
    await world.turn(hands=hands)
    (result,) = server.asked[1].results.values()
    assert len(result) < 17_000
    assert result.startswith("Exit status 3: it failed")
    assert "first line" in result
    assert "last line" in result
    assert "lines left out" in result


async def test_too_many_requests_in_a_turn_end_it(server: ModelServer, world: World) -> None:
    world = World(world.at, max_requests=3)
    server.answers = lambda asked: reply(DF)
    hands = InMemoryHands(OPTIONS)
    with pytest.raises(Conflict, match="asked 3 times") as caught:
        await world.turn(hands=hands)
    assert caught.value.code == "turn_limit"
    assert len(server.asked) == 3


async def test_an_answer_without_a_word_says_so(server: ModelServer, world: World) -> None:
    server.answers = Script(reply())
    with pytest.raises(Upstream, match="without a word"):
        await world.turn()


async def test_an_answer_that_was_cut_by_its_length_says_so(server: ModelServer, world: World) -> None:
    stop = "max_tokens" if world.at.kind is Kind.ANTHROPIC else "length"
    server.answers = Script(reply("It is ", stop=stop))
    hands = await world.turn()
    assert "limit of length" in hands.text


# what goes wrong


@pytest.mark.parametrize(
    "status,kind,code",
    [
        (401, None, "model_key_refused"),
        (403, None, "model_key_refused"),
        (404, None, "model_not_found"),
        (400, None, "model_rejected"),
    ],
)
async def test_what_waiting_does_not_mend_is_said_at_once(
    server: ModelServer, world: World, status: int, kind: str | None, code: str
) -> None:
    server.answers = lambda asked: Refusal(status, f"No, {KEY} is {KEY[:9]}***.", kind)
    with pytest.raises(Upstream) as caught:
        await world.turn()
    assert caught.value.code == code
    assert "My model" in caught.value.message
    assert "It says: “No, [the key] is [the key]" in caught.value.message
    assert KEY not in caught.value.message
    assert (len(server.asked), world.pauses) == (1, [])


async def test_a_provider_that_wants_quiet_gets_it_and_it_is_shown(server: ModelServer, world: World) -> None:
    server.answers = Script(Refusal(429, "Slow down.", retry_after="7"), "Now then.")
    hands = await world.turn()
    assert world.pauses == [7.0]
    assert [(tool.title, tool.status) for tool in hands.tools] == [
        ("My model is asked too often; asking again in 7 s", "in_progress"),
        ("My model is asked too often; asking again in 7 s", "completed"),
    ]
    assert hands.text == "Now then."


async def test_a_provider_that_wants_an_hour_of_quiet_is_not_waited_for(
    server: ModelServer, world: World
) -> None:
    server.answers = lambda asked: Refusal(429, "Slow down.", retry_after="3600")
    with pytest.raises(Upstream, match="3600 seconds of quiet"):
        await world.turn()
    assert world.pauses == []


@pytest.mark.parametrize("status", [500, 503, 529])
async def test_a_busy_provider_is_asked_again_with_longer_pauses_and_then_given_up(
    server: ModelServer, world: World, status: int
) -> None:
    server.answers = lambda asked: Refusal(status, "Overloaded.")
    with pytest.raises(Upstream) as caught:
        await world.turn()
    assert caught.value.code == "model_unavailable"
    assert world.pauses == [1.0, 3.0, 8.0, 20.0]


async def test_a_fault_before_the_first_word_is_asked_again(server: ModelServer, world: World) -> None:
    server.answers = Script(reply(Fault()), "Here I am.")
    hands = await world.turn()
    assert hands.text == "Here I am."


async def test_a_stream_that_breaks_is_gone_on_with_where_it_ended(server: ModelServer, world: World) -> None:
    server.answers = Script(reply("The disks ", "are ", Cut()), "half full.")
    hands = await world.turn()
    assert hands.text == "The disks are half full."
    second = server.asked[1].raw
    assert b"The disks are " in second
    assert b"Go on exactly where it ended" in second


async def test_a_fault_in_mid_answer_is_gone_on_with_too(server: ModelServer, world: World) -> None:
    server.answers = Script(reply("The disks ", Fault()), "are full.")
    hands = await world.turn()
    assert hands.text == "The disks are full."


async def test_a_stream_that_ends_without_its_end_is_gone_on_with_too(
    server: ModelServer, world: World
) -> None:
    server.answers = Script(reply("I look.", DF, Quit()), " Or not.")
    hands = await world.turn()
    assert (hands.text, hands.runs) == ("I look. Or not.", [])


async def test_a_call_of_which_only_half_came_is_not_run(server: ModelServer, world: World) -> None:
    server.answers = Script(reply("I look.", DF, Cut()), " Or not.")
    hands = await world.turn()
    assert hands.runs == []
    assert hands.text == "I look. Or not."


async def test_a_stream_that_breaks_again_and_again_ends_the_turn_and_keeps_what_came(
    server: ModelServer, world: World
) -> None:
    server.answers = lambda asked: reply("piece ", Cut())
    hands = InMemoryHands(OPTIONS)
    with pytest.raises(Upstream) as caught:
        await world.turn(hands=hands)
    assert caught.value.code == "model_unreachable"
    assert hands.text == "piece piece piece "
    assert b"piece piece" not in msgspec.json.encode(hands.kept)
    assert msgspec.json.encode(hands.kept).count(b"piece ") == 3


async def test_a_server_that_is_not_there_is_named(server: ModelServer, world: World) -> None:
    server.stop()
    with pytest.raises(Upstream, match="cannot be reached at http://127") as caught:
        await world.turn()
    assert caught.value.code == "model_unreachable"


async def test_a_model_that_goes_quiet_counts_as_stalled(server: ModelServer, world: World) -> None:
    world = World(world.at, quiet_s=0.2)
    server.answers = Script(reply(Stall()), "Awake.")
    hands = await world.turn()
    assert hands.text == "Awake."
    assert hands.tools[0].title == "My model did not answer; asking again in 1 s"


async def test_a_cancelled_turn_ends_its_stream_at_once(server: ModelServer, world: World) -> None:
    server.answers = Script(reply("I ", Stall()))
    hands = InMemoryHands(OPTIONS)
    turn = asyncio.ensure_future(world.turn(hands=hands))
    await asyncio.wait_for(hands.spoke.wait(), 10)
    hands.cancelled.set()
    with pytest.raises(TurnCancelled):
        await asyncio.wait_for(turn, 2)
    assert await asyncio.to_thread(server.asked[0].gone.wait, 2)


async def test_a_turn_is_cancelled_while_it_waits_for_quiet(server: ModelServer, world: World) -> None:
    server.answers = lambda asked: Refusal(429, "Slow down.", retry_after="60")
    hands = InMemoryHands(OPTIONS)
    world.on_pause = hands.cancelled.set
    with pytest.raises(TurnCancelled):
        await world.turn(hands=hands)


async def test_calls_that_a_cancelled_turn_left_open_are_closed_in_the_next(
    server: ModelServer, world: World
) -> None:
    server.answers = Script(reply(DF), "Fine.")
    hands = InMemoryHands(OPTIONS)

    async def cancels(command: str) -> Answer:
        hands.cancelled.set()
        return done()

    hands.course = cancels
    with pytest.raises(TurnCancelled):
        await world.turn(hands=hands)
    following = InMemoryHands(OPTIONS, hands.kept)
    following.turn_id = "t-2"
    await world.turn("Go on.", following)
    (result,) = server.asked[1].results.values()
    assert result.startswith("The turn ended before this was answered")


async def test_a_conversation_that_is_too_long_loses_old_outputs_first_and_says_so(
    server: ModelServer, world: World
) -> None:
    server.window = 16_000
    server.answers = Script(
        reply(DF), reply(Tool("run", {"command": "free", "reason": "r"}, "call-2")), "Done."
    )
    hands = InMemoryHands(OPTIONS)

    async def long(command: str) -> Answer:
        return done(f"{command}: " + "z" * 8_000)

    hands.course = long
    await world.turn(hands=hands)
    assert hands.text == "Done."
    last = list(server.asked[-1].results.values())
    assert last[0].startswith("[left out to make room")
    assert "free: zzz" in last[1]
    assert [tool.title for tool in hands.tools] == [
        "The conversation was too long for scripted-1: 1 older outputs were taken out of its memory"
    ]


async def test_a_message_that_no_shortening_makes_fit_is_refused(server: ModelServer, world: World) -> None:
    server.window = 10
    with pytest.raises(Upstream, match="longer than scripted-1 can take"):
        await world.turn()


async def test_a_provider_that_was_removed_is_said(server: ModelServer, world: World) -> None:
    with pytest.raises(Conflict, match="was removed"):
        await world.turn(hands=InMemoryHands({"provider_id": "p-2"}))
    with pytest.raises(Conflict, match="was removed"):
        await world.turn(hands=InMemoryHands({}))
    assert server.asked == []
