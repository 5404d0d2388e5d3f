"""Turns with a code agent over a real server: what it says, what it asks, and how it ends."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from clawdbox.agents.model import TurnState
from tests.agents.acp.there import There, alive
from tests.ssh.world import World
from tests.waiting import eventually

pytestmark = [pytest.mark.sshd, pytest.mark.xdist_group("acp")]


@pytest.fixture
async def there(world: World, tmp_path: Path) -> AsyncIterator[There]:
    found = await There.meet(world, tmp_path / "notes")
    yield found
    await found.end_agents()
    pids = [int(line) for line in found.noted("started")]
    await eventually(lambda: not any(alive(pid) for pid in pids), what="the end of the agents")


async def test_what_it_says_becomes_events_in_order(there: There) -> None:
    turn = await there.ask(
        ["think", "Hm."], ["plan", "Look", "Tell"], ["text", "Hello, "], ["text", "you."], ["strange"],
        ["text", "Next.", "other"], ["cost", 0.25],
    )  # fmt: skip
    assert (turn.state, turn.error) == (TurnState.DONE, None)
    assert await there.text(turn) == "Hello, you.\n\nNext."
    kinds = [event.type for event in await there.told(turn)]
    assert kinds[0] == "turn.started"
    assert kinds.index("turn.delivered") < kinds.index("thought") < kinds.index("plan") < kinds.index("text")
    assert turn.cost_usd == 0.25
    assert there.noted("modes") == ["ask"]
    assert len(await there.world.audit("code_agent.start")) == 1


async def test_the_next_turn_goes_on_with_the_same_process(there: There) -> None:
    await there.ask(["text", "one"], ["cost", 0.25])
    turn = await there.ask(["text", "two"], ["cost", 0.35])
    assert await there.text(turn) == "two"
    assert turn.cost_usd == pytest.approx(0.1)
    assert len(there.noted("started")) == 1


async def test_a_command_runs_once_it_was_allowed_and_never_for_always(there: There, tmp_path: Path) -> None:
    turn = await there.send(["ask", f"touch {tmp_path}/made"])
    (approval,) = await there.asked()
    assert (approval.kind, approval.command) == ("question", f"touch {tmp_path}/made")
    assert approval.reason == "as the message says"
    assert [option.id for option in approval.options] == ["yes", "no"]
    assert there.noted("ran") == []
    await there.answer(approval, True)
    assert (await there.ended(turn)).state is TurnState.DONE
    assert (tmp_path / "made").exists()
    assert [call["status"] for call in await there.of_type(turn, "tool")][-1] == "completed"


async def test_a_command_that_was_denied_does_not_run(there: There) -> None:
    turn = await there.send(["ask", "systemctl restart nginx"])
    (approval,) = await there.asked()
    await there.answer(approval, False)
    assert await there.text(await there.ended(turn)) == "[systemctl restart nginx: no]"
    assert there.noted("ran") == []


async def test_no_answer_in_time_means_no(there: There) -> None:
    turn = await there.send(["ask", "systemctl restart nginx"])
    (approval,) = await there.asked()
    await there.box.store.write(
        lambda tx: tx.run("UPDATE approvals SET expires_at = ? WHERE id = ?", (tx.now, approval.id))
    )
    assert await there.box.approvals.expire() == 1
    assert "[systemctl restart nginx: no]" in await there.text(await there.ended(turn))


async def test_what_only_reads_is_not_asked_and_a_secret_is_denied_unasked(there: There) -> None:
    turn = await there.ask(["ask", "uptime", "cat ~/.ssh/id_ed25519"])
    assert await there.text(turn) == "[uptime: yes]\n\n[cat ~/.ssh/id_ed25519: no]"
    assert there.noted("ran") == ["uptime"]
    assert (await there.box.approvals.page(there.world.owner, "all", 10, 0))[0] == []


async def test_two_questions_at_once_are_both_there_and_answered_apart(there: There) -> None:
    turn = await there.send(["ask", "systemctl restart a", "systemctl restart b"])
    approvals = {one.command: one for one in await there.asked(2)}
    await there.answer(approvals["systemctl restart b"], False)
    await there.answer(approvals["systemctl restart a"], False)
    text = await there.text(await there.ended(turn))
    assert text == "[systemctl restart a: no]\n\n[systemctl restart b: no]"


async def test_what_cannot_be_read_is_left_out_and_said_so(there: There) -> None:
    turn = await there.ask(["text", "a"], ["raw", "{no json"], ["raw", ""], ["long", 9], ["text", "b"])
    assert (turn.state, await there.text(turn)) == (TurnState.DONE, "ab")
    (card,) = await there.of_type(turn, "card")
    assert card["summary"] == "The agent sent 2 messages that could not be read."


async def test_a_flood_arrives_whole_and_in_order(there: There) -> None:
    turn = await there.ask(["count", 3000])
    assert await there.text(turn) == "".join(f"<{number}>\n" for number in range(3000))


@pytest.mark.parametrize("stop", ["max_tokens", "refusal"])
async def test_another_end_than_its_own_is_a_failure_in_words(there: There, stop: str) -> None:
    turn = await there.ask(["text", "a"], ["stop", stop])
    assert turn.state is TurnState.FAILED
    assert turn.error


async def test_one_that_dies_is_told_as_lost_and_the_next_message_finds_its_session(there: There) -> None:
    turn = await there.ask(["text", "going"], ["die"])
    assert turn.state is TurnState.LOST
    assert "ended on the server" in (turn.error or "")
    again = await there.ask(["text", "back"])
    assert (again.state, await there.text(again)) == (TurnState.DONE, "back")
    assert len(there.noted("started")) == 2
    assert there.noted("prompts")[0] != there.noted("prompts")[1]


async def test_nobody_signed_in_says_what_to_do(there: There) -> None:
    there.notes.mkdir()
    (there.notes / "signed_out").touch()
    turn = await there.ask(["text", "a"])
    assert turn.state is TurnState.FAILED
    assert "Nobody is signed in" in (turn.error or "")


async def test_a_cancelled_turn_is_called_off_and_the_agent_lives(there: There) -> None:
    turn = await there.send(["text", "a"], ["until_cancelled"], ["text", "never shown"])
    await there.until_said(turn, "a")
    await there.box.conversations.cancel(there.world.me, there.world.owner, there.conversation.id, turn.id)
    assert (await there.ended(turn)).state is TurnState.CANCELLED
    again = await there.ask(["text", "b"])
    assert (again.state, await there.text(again)) == (TurnState.DONE, "b")
    assert len(there.noted("started")) == 1
    assert await there.text(turn) == "a"


async def test_a_question_of_a_cancelled_turn_is_answered_as_the_protocol_demands(there: There) -> None:
    turn = await there.send(["ask", "systemctl restart nginx"])
    await there.asked()
    await there.box.conversations.cancel(there.world.me, there.world.owner, there.conversation.id, turn.id)
    heard = await eventually(lambda: [one for one in there.noted("heard") if '"outcome"' in one])
    assert '"cancelled"' in heard[0]
    assert there.noted("ran") == []


async def test_the_kill_switch_reaches_what_ignores_every_signal_and_has_left_the_group(there: There) -> None:
    turn = await there.send(["stubborn"], ["hang"])
    await eventually(lambda: there.noted("hangs"), timeout=40)
    pids = [int(word) for word in there.noted("pids")[0].split()]
    assert all(alive(pid) for pid in pids)
    stopped = await there.box.conversations.stop_agents(there.world.me, there.world.owner, there.lease.id)
    assert stopped.turns == 1
    assert (await there.ended(turn)).state is TurnState.CANCELLED
    await eventually(lambda: not any(alive(pid) for pid in pids), what="the end of all of it")


async def test_one_that_is_put_away_leaves_nothing_on_the_server(there: There) -> None:
    await there.ask(["text", "a"])
    home = Path(there.world.server.folder).parent / "home"
    folder = home / ".local/state/clawdbox/agents" / there.conversation.id
    assert folder.stat().st_mode & 0o777 == 0o700
    await there.box.conversations.archive(there.world.me, there.world.owner, there.conversation.id)
    await eventually(lambda: not folder.exists(), what="the end of its folder")
