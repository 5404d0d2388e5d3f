"""Changes that could lock a person out are undone by the server itself, unless somebody confirms."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from clawdbox.agents import gate
from clawdbox.agents.model import TurnState
from clawdbox.agents.reverts.rules import RevertState
from clawdbox.errors import Conflict, NotFound
from clawdbox.policy import Class, Judgement
from clawdbox.ssh.model import CloseReason, ExecAnswer
from tests.rooms.conversing import Call, World, of_type, world
from tests.rooms.test_agents_ask import Thinker, answer, asked, runs

COMMAND = "ufw --force enable"


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> Thinker:
    def judge(command: str) -> Judgement:
        return Judgement(Class.LOCK_OUT, ("It changes the firewall.",), (), None, None, False)

    monkeypatch.setattr(gate, "judge", judge)
    return Thinker()


@pytest.fixture
async def here(agent: Thinker) -> AsyncIterator[World]:
    async with world([agent]) as made:
        yield made


def says(here: World, **words: str) -> None:
    """What the server answers to the scripts of the guard."""

    async def course(call: Call) -> ExecAnswer:
        for part, word in words.items():
            if {"arm": "systemd-run", "disarm": "kept", "status": "pending"}[part] in call.command:
                return call.answer(0 if word != "unsupported" else 3, stdout=f"{word}\n".encode())
        return call.answer(0)

    here.commands.course = course


async def allowed(here: World, agent: Thinker) -> Any:
    agent.script = runs(COMMAND, "call-1")
    turn = await here.send("close everything")
    await answer(here, await asked(here), True)
    assert (await here.ended(turn)).state is TurnState.DONE
    return turn


async def test_the_server_is_told_to_undo_it_before_it_is_done(here: World, agent: Thinker) -> None:
    says(here, arm="armed")
    turn = await allowed(here, agent)
    armed, command = [call.command for call in here.commands.calls]
    assert "systemd-run" in armed
    assert command == COMMAND
    (revert,) = await here.conversations.guard.of_connection(here.account_id, here.connection_id)
    assert (revert.state, revert.what) == (RevertState.ARMED, "the firewall")
    assert [event["state"] for event in of_type(await here.said(turn), "revert")] == ["armed"]
    assert await here.conversations.guard.open(here.account_id) == [revert]
    with pytest.raises(NotFound):
        await here.conversations.guard.of_connection(here.stranger_id, here.connection_id)
    with pytest.raises(NotFound):
        await here.conversations.guard.confirm(here.actor, here.stranger_id, revert.id)


async def test_a_person_who_is_still_in_keeps_it(here: World, agent: Thinker) -> None:
    says(here, arm="armed", disarm="disarmed")
    await allowed(here, agent)
    guard = here.conversations.guard
    (revert,) = await guard.open(here.account_id)
    assert (await guard.confirm(here.actor, here.account_id, revert.id)).state is RevertState.CONFIRMED
    ran = len(here.commands.calls)
    assert (await guard.confirm(here.actor, here.account_id, revert.id)).state is RevertState.CONFIRMED
    assert len(here.commands.calls) == ran
    assert await guard.open(here.account_id) == []


async def test_it_comes_too_late_once_the_server_has_undone_it(here: World, agent: Thinker) -> None:
    says(here, arm="armed", disarm="reverted")
    await allowed(here, agent)
    (revert,) = await here.conversations.guard.open(here.account_id)
    with pytest.raises(Conflict) as late:
        await here.conversations.guard.confirm(here.actor, here.account_id, revert.id)
    assert late.value.code == "revert_done"


async def test_without_a_session_nobody_has_proved_to_be_in(here: World, agent: Thinker) -> None:
    says(here, arm="armed")
    await allowed(here, agent)
    (revert,) = await here.conversations.guard.open(here.account_id)
    await here.end_lease(CloseReason.SERVER_CLOSED)
    with pytest.raises(Conflict) as refused:
        await here.conversations.guard.confirm(here.actor, here.account_id, revert.id)
    assert refused.value.code == "session_not_active"


async def test_a_server_without_a_timer_is_told_as_unguarded(here: World, agent: Thinker) -> None:
    says(here, arm="unsupported")
    await allowed(here, agent)
    (revert,) = await here.conversations.guard.of_connection(here.account_id, here.connection_id)
    assert revert.state is RevertState.UNGUARDED
    with pytest.raises(Conflict) as refused:
        await here.conversations.guard.confirm(here.actor, here.account_id, revert.id)
    assert refused.value.code == "revert_unguarded"


async def test_what_ran_out_is_asked_of_the_server_as_soon_as_it_can_be(here: World, agent: Thinker) -> None:
    says(here, arm="armed", status="reverted")
    await allowed(here, agent)
    await here.store.write(lambda tx: tx.run("UPDATE reverts SET due_at = ?", (tx.now,)))
    await here.end_lease(CloseReason.SERVER_CLOSED)
    await here.conversations.guard.look()
    (revert,) = await here.conversations.guard.of_connection(here.account_id, here.connection_id)
    assert revert.state is RevertState.UNKNOWN
    await here.conversations.lease_active(await here.begin_lease())
    (revert,) = await here.conversations.guard.of_connection(here.account_id, here.connection_id)
    assert revert.state is RevertState.REVERTED


async def test_what_nobody_could_read_is_guarded_as_well(
    here: World, agent: Thinker, monkeypatch: pytest.MonkeyPatch
) -> None:
    unread = Judgement(Class.UNKNOWN, ("Nobody could read it.",), (), None, None, False)
    monkeypatch.setattr(gate, "judge", lambda _command: unread)
    says(here, arm="armed")
    await allowed(here, agent)
    (revert,) = await here.conversations.guard.open(here.account_id)
    assert revert.state is RevertState.ARMED
