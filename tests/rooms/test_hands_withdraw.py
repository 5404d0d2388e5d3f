"""For an agent that is asked elsewhere, too: its questions are taken back; what it said is known when it goes on."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from clawdbox.agents.model import TurnState
from clawdbox.agents.runtimes.port import Decision, Hands, Question
from clawdbox.approvals.model import Option, State
from clawdbox.ssh.model import CloseReason
from tests.rooms.conversing import World, of_type, world
from tests.rooms.test_agents_ask import Thinker, answer, asked

WHY = "It was answered elsewhere."


@pytest.fixture
def agent() -> Thinker:
    return Thinker()


@pytest.fixture
async def here(agent: Thinker) -> AsyncIterator[World]:
    async with world([agent]) as made:
        yield made


def _question(call_id: str) -> Question:
    options = (Option("yes", "Allow", "allow_once"), Option("no", "Deny", "reject_once"))
    return Question(call_id, "Delete it?", options, command="rm x", directory="/srv")


def asks_and_takes_back(call_id: str, taken_back: asyncio.Event, *, other: str = "") -> Any:
    async def script(hands: Hands) -> Decision:
        question = asyncio.ensure_future(hands.ask(_question(call_id)))
        await taken_back.wait()
        await hands.withdraw(other or call_id, WHY)
        return await question

    return script


async def test_a_question_that_was_taken_back_waits_for_nobody(here: World, agent: Thinker) -> None:
    taken_back = asyncio.Event()
    agent.script = asks_and_takes_back("c1", taken_back)
    turn = await here.send("go")
    approval = await asked(here)
    taken_back.set()
    assert (await here.ended(turn)).state is TurnState.DONE
    [decision] = agent.results
    assert (decision.allowed, decision.option) == (False, "no")
    now = await here.approvals.get(here.account_id, approval.id)
    assert (now.state, now.void_reason) == (State.VOID, WHY)
    assert len(of_type(await here.said(turn), "approval.answered")) == 1


async def test_taking_back_another_leaves_it_to_the_person(here: World, agent: Thinker) -> None:
    taken_back = asyncio.Event()
    agent.script = asks_and_takes_back("c1", taken_back, other="c2")
    turn = await here.send("go")
    approval = await asked(here)
    taken_back.set()
    await answer(here, approval, True)
    await here.ended(turn)
    assert agent.results[0].allowed


async def test_an_answer_stands_against_what_comes_after_it(here: World, agent: Thinker) -> None:
    async def script(hands: Hands) -> Decision:
        decision = await hands.ask(_question("c1"))
        await hands.withdraw("c1", WHY)
        return decision

    agent.script = script
    turn = await here.send("go")
    approval = await asked(here)
    await answer(here, approval, True)
    await here.ended(turn)
    now = await here.approvals.get(here.account_id, approval.id)
    assert (now.state, now.void_reason) == (State.ALLOWED, None)


async def test_a_turn_that_goes_on_knows_what_was_said(here: World, agent: Thinker) -> None:
    before: list[str] = []

    async def first(hands: Hands) -> None:
        before.append(hands.said_before)
        await hands.say("One. ")
        await hands.think("Hm.")
        await hands.say("Two. ")
        await hands.cancelled.wait()

    async def second(hands: Hands) -> None:
        before.append(hands.said_before)
        await hands.say("Three.")

    agent.script = first
    turn = await here.send("go")
    async with asyncio.timeout(10):
        with here.hub.listen(f"conversation:{here.conversation_id}") as signal:
            while len(of_type(await here.said(turn), "text")) < 2:
                await signal.wait()
                signal.clear()
    agent.script = second
    await here.end_lease(CloseReason.ERROR, "the link broke")
    here.lease = await here.begin_lease()
    await here.conversations.lease_active(here.lease)
    assert (await here.ended(turn)).state is TurnState.DONE
    assert before == ["", "One. Two. "]
