"""A conversation keeps everything, in order, with one clear end to every turn."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from clawdbox.agents.model import Context, Turn, TurnState
from clawdbox.agents.runtimes.port import Hands, Offer
from clawdbox.errors import Conflict, Invalid, NotFound, Unavailable
from clawdbox.ids import new_id
from clawdbox.ssh.model import CloseReason, ExecAnswer
from clawdbox.store import Tx
from tests.rooms.conversing import Call, World, kinds, of_type, puts_out, until_cancelled, world


@pytest.fixture
async def here() -> AsyncIterator[World]:
    async with world() as made:
        yield made


async def test_a_command_is_told_from_its_start_to_its_exit_status(here: World) -> None:
    here.commands.course = puts_out(
        ("stdout", b"one\n"), ("stderr", b"two\n"), ("stdout", b"three\n"), exit_status=3
    )
    turn = await here.ask("$ echo  'as it  stands' ")
    events = await here.said(turn)
    assert kinds(events) == [
        "turn.started", "command.started", "command.output", "command.output", "command.output", "command.finished",
        "suggestions", "turn.finished",
    ]  # fmt: skip
    assert events[1].payload["command"] == "echo  'as it  stands' " == here.commands.calls[0].command
    outputs = of_type(events, "command.output")
    assert [(payload["stream"], payload["data"]) for payload in outputs] == [
        ("stdout", "one\n"),
        ("stderr", "two\n"),
        ("stdout", "three\n"),
    ]
    command_id = here.commands.calls[0].execution_id
    assert of_type(events, "command.finished") == [
        {"command_id": command_id, "exit_status": 3, "duration_ms": 1.5, "truncated": False, "state": "done"}
    ]
    assert events[-1].payload == {"state": "done", "error": None}
    assert turn.state is TurnState.DONE
    assert turn.ended_at is not None


async def test_numbers_have_no_holes_over_turns_and_leases(here: World) -> None:
    here.commands.course = puts_out(("stdout", b"x"))
    await here.ask("$ a")
    await here.end_lease(CloseReason.USER)
    again = await here.begin_lease()
    await here.ask("$ b")
    events = await here.events()
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    starts = of_type(events, "lease.started")
    assert starts == [{"session_id": here.lease.id}, {"session_id": again.id}]
    assert again.agent_session_id == here.lease.agent_session_id
    conversation = await here.conversations.get(here.account_id, here.conversation_id)
    facts = await here.conversations.facts(conversation)
    assert (facts.session_id, facts.last_seq, facts.running_turn_id) == (again.id, len(events), None)
    assert await here.events(after=len(events) - 1) == events[-1:]


async def test_a_command_is_committed_before_it_goes_out(here: World) -> None:
    async def course(call: Call) -> ExecAnswer:
        events = await here.events()
        assert events[-1].type == "command.started"
        assert events[-1].payload["command_id"] == call.execution_id
        return call.answer(0)

    here.commands.course = course
    turn = await here.ask("$ true")
    assert turn.state is TurnState.DONE, turn.error
    assert here.commands.calls[0].turn_id == turn.id
    assert here.commands.touched == [here.lease.id]


async def test_of_two_messages_at_once_one_is_told_that_the_other_runs(here: World) -> None:
    here.commands.course = until_cancelled
    results = await asyncio.gather(here.send("$ a"), here.send("$ b"), return_exceptions=True)
    (turn,) = [result for result in results if isinstance(result, Turn)]
    (refusal,) = [result for result in results if isinstance(result, Conflict)]
    assert refusal.code == "turn_running"
    assert refusal.detail == {"turn_id": turn.id}
    await here.conversations.cancel(here.actor, here.account_id, here.conversation_id, turn.id)
    assert len(here.commands.calls) <= 1


@pytest.mark.parametrize("text", ["", "   \n", "x" * 8001, "rm\x1b[2K", "a\rb", "a\0b", "\ud800"])
async def test_text_that_cannot_be_taken_is_refused_before_anything_is_written(
    here: World, text: str
) -> None:
    before = await here.events()
    with pytest.raises(Invalid) as refusal:
        await here.send(text)
    assert refusal.value.field == "text"
    assert await here.events() == before


async def test_without_a_session_nothing_can_be_sent(here: World) -> None:
    await here.end_lease(CloseReason.TIMEOUT)
    with pytest.raises(Conflict) as refusal:
        await here.send("health")
    assert refusal.value.code == "session_not_active"


async def test_strangers_find_nothing(here: World) -> None:
    turn = await here.ask("help")
    rooms, stranger, conversation_id = here.conversations, here.stranger_id, here.conversation_id
    for attempt in (
        rooms.get(stranger, conversation_id),
        rooms.of_connection(stranger, here.connection_id),
        rooms.events(stranger, conversation_id, 0, 10),
        rooms.turn(stranger, conversation_id, turn.id),
        rooms.send(here.actor, stranger, conversation_id, "help"),
        rooms.cancel(here.actor, stranger, conversation_id, turn.id),
        rooms.turn(here.account_id, conversation_id, new_id(here.clock.now())),
        rooms.of_connection(here.account_id, new_id(here.clock.now())),
    ):
        with pytest.raises(NotFound):
            await attempt


async def test_cancelling_stops_the_command_and_can_be_repeated(here: World) -> None:
    here.commands.course = until_cancelled
    turn = await here.send("$ sleep 1000")
    await here.commands.began.wait()
    both = await asyncio.gather(
        *(
            here.conversations.cancel(here.actor, here.account_id, here.conversation_id, turn.id)
            for _ in range(2)
        )
    )
    assert [one.state for one in both] == [TurnState.CANCELLED] * 2
    again = await here.conversations.cancel(here.actor, here.account_id, here.conversation_id, turn.id)
    assert again == both[0]
    events = await here.said(turn)
    assert kinds(events)[-2:] == ["command.finished", "turn.finished"]
    assert events[-2].payload["state"] == "cancelled"
    assert await _audit(here, "conversation.cancel") == 1


async def test_a_command_that_ignores_the_cancelling_is_left_behind(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def deaf(call: Call) -> ExecAnswer:
        await asyncio.Event().wait()
        return call.answer(0)

    monkeypatch.setattr("clawdbox.agents.service._PATIENCE_S", 0.05)
    here.commands.course = deaf
    turn = await here.send("$ trap '' TERM; sleep 1000")
    await here.commands.began.wait()
    ended = await here.conversations.cancel(here.actor, here.account_id, here.conversation_id, turn.id)
    assert ended.state is TurnState.CANCELLED
    assert of_type(await here.said(turn), "command.finished")[0]["state"] == "cancelled"


@pytest.mark.parametrize(
    "reason, detail, state, command",
    [
        (CloseReason.USER, None, TurnState.CANCELLED, "cancelled"),
        (CloseReason.TIMEOUT, None, TurnState.CANCELLED, "cancelled"),
        (CloseReason.ERROR, "The key of this session was revoked.", TurnState.LOST, "lost"),
        (CloseReason.SERVER_CLOSED, None, TurnState.LOST, "lost"),
    ],
)
async def test_a_turn_ends_with_its_lease_and_nothing_is_added_afterwards(
    here: World, reason: CloseReason, detail: str | None, state: TurnState, command: str
) -> None:
    after_its_end = asyncio.Event()

    async def course(call: Call) -> ExecAnswer:
        await call.on_output("stdout", b"before")
        await call.cancel.wait()
        await call.on_output("stdout", b"after")
        after_its_end.set()
        return call.answer(None)

    here.commands.course = course
    turn = await here.send("$ sleep 1000")
    await here.commands.began.wait()
    with here.hub.listen(f"conversation:{here.conversation_id}") as signal:
        while "command.output" not in kinds(await here.said(turn)):
            await signal.wait()
            signal.clear()
    await here.end_lease(reason, detail)
    await asyncio.wait_for(after_its_end.wait(), 10)
    await here.conversations.stop()
    ended = await here.turn(turn.id)
    assert ended.state is state
    assert detail is None or detail in (ended.error or "")
    events = await here.events()
    assert kinds(events)[-3:] == ["command.finished", "turn.finished", "lease.ended"]
    assert events[-3].payload["state"] == command
    assert events[-1].payload == {
        "session_id": here.lease.id,
        "close_reason": reason.value,
        "error_detail": detail,
    }
    assert [payload["data"] for payload in of_type(events, "command.output")] == ["before"]


async def test_what_a_crash_interrupted_is_lost_and_not_run_again(here: World) -> None:
    command_id = new_id(here.clock.now())
    turn = Turn(
        new_id(here.clock.now()), here.conversation_id, here.lease.id, "$ dd", TurnState.RUNNING, None,
        here.clock.now(), None,
    )  # fmt: skip

    def left_behind(tx: Tx) -> None:
        from clawdbox.agents import sql

        sql.insert_turn(tx, turn)
        sql.append(tx, turn.conversation_id, turn.id, "turn.started", {"text": "$ dd"})
        for number in (new_id(tx.now), command_id):
            payload = {"command_id": number, "command": "dd", "title": None}
            sql.append(tx, turn.conversation_id, turn.id, "command.started", payload)
        first = {
            "command_id": number,
            "exit_status": 0,
            "duration_ms": 1,
            "truncated": False,
            "state": "done",
        }
        sql.append(tx, turn.conversation_id, turn.id, "command.finished", first)

    await here.store.write(left_behind)
    await here.another().start()
    events = await here.said(turn)
    assert kinds(events)[-2:] == ["command.finished", "turn.finished"]
    assert events[-2].payload["state"] == "lost"
    assert events[-1].payload["state"] == "lost"
    assert here.commands.calls == []
    await here.another().start()
    assert await here.said(turn) == events
    assert (await here.ask("help")).state is TurnState.DONE


async def test_stopping_the_box_ends_what_runs_and_takes_no_more(here: World) -> None:
    here.commands.course = until_cancelled
    turn = await here.send("$ sleep 1000")
    await here.conversations.stop()
    ended = await here.turn(turn.id)
    assert (ended.state, ended.error) == (TurnState.CANCELLED, "The box was stopped.")
    with pytest.raises(Unavailable):
        await here.send("help")


async def test_a_sender_who_goes_away_leaves_a_turn_that_ends(here: World) -> None:
    sending = asyncio.ensure_future(here.send("help"))
    await asyncio.sleep(0)
    assert here.conversations._sending
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    with here.hub.listen(f"conversation:{here.conversation_id}") as signal:
        while kinds(await here.events())[-1] != "turn.finished":
            await asyncio.wait_for(signal.wait(), 10)
            signal.clear()


async def test_the_link_lost_in_mid_command_is_said_and_the_turn_is_lost(here: World) -> None:
    here.commands.course = puts_out(("stdout", b"half"), exit_status=None)
    turn = await here.ask("health")
    assert turn.state is TurnState.LOST
    events = await here.said(turn)
    assert of_type(events, "command.finished")[0]["state"] == "lost"
    assert "lost" in of_type(events, "card")[0]["summary"]
    assert kinds(events)[-2:] == ["suggestions", "turn.finished"]


async def test_a_command_that_was_refused_never_ran_and_says_why(here: World) -> None:
    async def refused(call: Call) -> ExecAnswer:
        raise Conflict("session_reconnecting", "The link is down. Try again in a moment.")

    here.commands.course = refused
    turn = await here.ask("$ uptime")
    assert (turn.state, turn.error) == (TurnState.FAILED, "The link is down. Try again in a moment.")
    assert of_type(await here.said(turn), "command.finished")[0]["state"] == "cancelled"


async def test_a_command_out_of_time_is_stopped_and_says_what_to_do(here: World) -> None:
    here.commands.course = puts_out(exit_status=None, timed_out=True)
    turn = await here.ask("$ sleep 1000")
    events = await here.said(turn)
    assert turn.state is TurnState.DONE
    assert of_type(events, "command.finished")[0]["state"] == "timed_out"
    assert "terminal" in of_type(events, "text")[0]["text"]
    assert here.commands.calls[0].timeout_s == 600


class Clumsy:
    """A runtime with a mistake in it."""

    name = "runbook"
    resumes = judged = False

    async def offer(self, account_id: str, connection_id: str) -> Offer:
        return Offer()

    async def stop(self, context: Context, hands: Hands) -> None:
        raise AssertionError("it was not cancelled")

    async def run(self, turn_text: str, context: Context, hands: Hands) -> None:
        assert (context.username, context.host, context.port) == ("ada", "203.0.113.9", 22)
        await hands.say("so far ")
        await hands.say("so good")
        raise ZeroDivisionError


async def test_a_mistake_in_a_runtime_fails_the_turn_and_keeps_what_was_said() -> None:
    async with world([Clumsy()]) as here:
        turn = await here.ask("go")
        assert turn.state is TurnState.FAILED
        events = await here.said(turn)
        assert "".join(payload["text"] for payload in of_type(events, "text")) == "so far so good"
        assert events[-1].payload["error"] == turn.error
        assert (await here.ask("go")).state is TurnState.FAILED


async def test_the_account_hears_of_turns_and_the_trail_holds_no_text(here: World) -> None:
    await here.ask("$ echo hunter2")
    rows = await here.store.read(
        lambda r: r.all("SELECT type, subject_type, payload FROM events ORDER BY seq")
    )
    assert [row["type"] for row in rows] == ["turn.started", "turn.finished"]
    audit = await here.store.read(lambda r: r.all("SELECT * FROM audit_log"))
    assert [row["action"] for row in audit] == ["conversation.turn"]
    assert "hunter2" not in str(rows) + str(audit)
    assert '"length":14' in audit[0]["detail"]


async def _audit(here: World, action: str) -> int:
    return int(
        await here.store.read(lambda r: r.value("SELECT count(*) FROM audit_log WHERE action = ?", (action,)))
    )
