"""A judged runtime asks before it does harm; the answer is bound, used once, and outlives the box."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from clawdbox.agents.model import Context, Turn, TurnState
from clawdbox.agents.runtimes.port import (
    Answer,
    Decision,
    Hands,
    Offer,
    Option,
    Question,
    Step,
    Suggestion,
)
from clawdbox.approvals.model import Approval, State
from clawdbox.errors import Conflict, NotFound
from clawdbox.events import Actor
from clawdbox.ssh.model import CloseReason
from tests.rooms.conversing import World, of_type, puts_out, world

Script = Callable[[Hands], Awaitable[Any]]
PHONE = "phone"


class Thinker:
    """An agent whose every step a test writes: `script` is what it does with its hands."""

    name = "runbook"  # the conversation that every connection has
    resumes = judged = True

    def __init__(self) -> None:
        self.script: Script = _nothing
        self.results: list[Any] = []
        self.stopped = 0

    async def run(self, turn_text: str, context: Context, hands: Hands) -> None:
        self.results.append(await self.script(hands))

    async def offer(self, account_id: str, connection_id: str) -> Offer:
        return Offer()

    async def stop(self, context: Context, hands: Hands) -> None:
        self.stopped += 1


async def _nothing(_hands: Hands) -> None:
    return None


def runs(command: str, call_id: str | None = None) -> Script:
    async def script(hands: Hands) -> Answer:
        return await hands.run(command, "A step", reason="because", call_id=call_id)

    return script


@pytest.fixture
def agent() -> Thinker:
    return Thinker()


@pytest.fixture
async def here(agent: Thinker) -> AsyncIterator[World]:
    async with world([agent]) as made:
        yield made


async def asked(here: World) -> Approval:
    """The question that waits now."""
    with here.hub.listen("events") as signal:
        while True:
            signal.clear()
            found, _ = await here.approvals.page(here.account_id, "pending", 10, 0)
            if found:
                return found[0]
            async with asyncio.timeout(10):
                await signal.wait()


async def answer(here: World, approval: Approval, allow: bool, **more: Any) -> Approval:
    return await here.approvals.answer(here.actor, here.account_id, approval.id, allow=allow, **more)


async def test_what_only_reads_runs_unasked(here: World, agent: Thinker) -> None:
    agent.script = runs("uptime")
    turn = await here.ask("how is it?")
    assert turn.state is TurnState.DONE
    assert [call.command for call in here.commands.calls] == ["uptime"]
    assert (await here.approvals.page(here.account_id, "all", 10, 0)) == ([], 0)


async def test_what_changes_something_waits_for_a_person_and_runs_once_allowed(
    here: World, agent: Thinker
) -> None:
    agent.script = runs("systemctl restart nginx", "call-1")
    turn = await here.send("mend it")
    approval = await asked(here)
    assert (approval.command, approval.reason, approval.username) == (
        "systemctl restart nginx",
        "because",
        "ada",
    )
    assert (await here.turn(turn.id)).waits_for == "approval"
    assert here.commands.calls == []
    await answer(here, approval, True)
    ended = await here.ended(turn)
    assert (ended.state, ended.waits_for) == (TurnState.DONE, None)
    assert [call.command for call in here.commands.calls] == ["systemctl restart nginx"]
    now = await here.approvals.get(here.account_id, approval.id)
    assert (now.state, now.used_at is not None) == (State.ALLOWED, True)
    events = await here.said(turn)
    started = of_type(events, "command.started")[0]
    assert (started["reason"], started["call_id"]) == ("because", "call-1")
    assert of_type(events, "approval.answered") == [
        {"approval_id": approval.id, "state": "allowed", "by": "person"}
    ]


async def test_no_means_no_and_the_agent_hears_why(here: World, agent: Thinker) -> None:
    agent.script = runs("rm -rf /srv")
    turn = await here.send("clean up")
    await answer(here, await asked(here), False)
    await here.ended(turn)
    (result,) = agent.results
    assert (result.refused, result.exit_status) == ("It was denied.", None)
    assert here.commands.calls == []
    assert of_type(await here.said(turn), "command.refused")[0]["command"] == "rm -rf /srv"


async def test_the_first_answer_counts_and_another_account_sees_nothing(here: World, agent: Thinker) -> None:
    agent.script = runs("rm x")
    turn = await here.send("go")
    approval = await asked(here)
    with pytest.raises(NotFound):
        await here.approvals.answer(Actor(here.stranger_id), here.stranger_id, approval.id, allow=True)
    await answer(here, approval, False)
    with pytest.raises(Conflict) as late:
        await answer(here, approval, True)
    assert (late.value.code, late.value.detail["state"]) == ("approval_answered", State.DENIED)
    await here.ended(turn)
    assert here.commands.calls == []


async def test_no_answer_in_time_means_no(here: World, agent: Thinker) -> None:
    agent.script = runs("rm x")
    turn = await here.send("go")
    approval = await asked(here)
    await here.store.write(
        lambda tx: tx.run("UPDATE approvals SET expires_at = ? WHERE id = ?", (tx.now, approval.id))
    )
    with pytest.raises(Conflict) as late:
        await answer(here, approval, True)
    assert late.value.code == "approval_expired"
    assert await here.approvals.expire() == 1
    await here.ended(turn)
    assert agent.results[0].refused == "Nobody answered in time, which means no."


async def test_a_secret_is_denied_without_a_question(here: World, agent: Thinker) -> None:
    agent.script = runs("cat ~/.ssh/id_ed25519")
    turn = await here.ask("show me")
    assert agent.results[0].refused
    assert (await here.approvals.page(here.account_id, "all", 10, 0)) == ([], 0)
    assert here.commands.calls == []
    assert of_type(await here.said(turn), "command.refused")


async def test_secrets_in_an_answer_reach_neither_the_agent_nor_the_log(here: World, agent: Thinker) -> None:
    here.commands.course = puts_out(("stdout", b"password=hunt"), ("stdout", b"er2-and-more\nfine\n"))
    agent.script = runs("uptime")
    turn = await here.ask("go")
    assert "hunter2" not in agent.results[0].stdout
    assert "fine" in agent.results[0].stdout
    assert "hunter2" not in str(await here.said(turn))


class TestGrants:
    async def test_the_same_command_is_not_asked_again_until_the_session_ends(
        self, here: World, agent: Thinker
    ) -> None:
        agent.script = runs("systemctl restart nginx")
        turn = await here.send("go")
        await answer(here, await asked(here), True, grant=True)
        await here.ended(turn)
        assert (await here.ask("again")).state is TurnState.DONE
        assert len(here.commands.calls) == 2
        (grant,) = await here.approvals.grants(here.account_id)
        assert grant.used_count == 1
        await here.end_lease(CloseReason.USER)
        assert await here.approvals.grants(here.account_id) == []

    async def test_another_command_is_asked_all_the_same(self, here: World, agent: Thinker) -> None:
        agent.script = runs("systemctl restart nginx")
        turn = await here.send("go")
        await answer(here, await asked(here), True, grant=True)
        await here.ended(turn)
        agent.script = runs("systemctl restart  nginx")
        turn = await here.send("again")
        await answer(here, await asked(here), False)
        await here.ended(turn)
        assert len(here.commands.calls) == 1

    async def test_a_withdrawn_one_is_asked_again(self, here: World, agent: Thinker) -> None:
        agent.script = runs("systemctl restart nginx")
        turn = await here.send("go")
        await answer(here, await asked(here), True, grant=True)
        await here.ended(turn)
        (grant,) = await here.approvals.grants(here.account_id)
        await here.approvals.withdraw(here.actor, here.account_id, grant.id)
        turn = await here.send("again")
        await answer(here, await asked(here), False)
        await here.ended(turn)
        assert len(here.commands.calls) == 1


class TestQuestions:
    OPTIONS = (
        Option("yes", "Allow", "allow_once"),
        Option("always", "Always allow", "allow_always"),
        Option("no", "Reject", "reject_once"),
    )

    async def test_the_agents_own_choices_are_offered_but_for_always(
        self, here: World, agent: Thinker
    ) -> None:
        async def script(hands: Hands) -> Decision:
            return await hands.ask(Question("q1", "Edit /etc/motd", self.OPTIONS))

        agent.script = script
        turn = await here.send("go")
        approval = await asked(here)
        assert [option.id for option in approval.options] == ["yes", "no"]
        await answer(here, approval, True)
        await here.ended(turn)
        assert agent.results == [Decision(True, "yes", "It was allowed.")]

    async def test_a_command_in_a_question_is_judged(self, here: World, agent: Thinker) -> None:
        async def script(hands: Hands) -> list[Decision]:
            first = await hands.ask(Question("q1", "Run", self.OPTIONS, command="uptime"))
            return [
                first,
                await hands.ask(Question("q2", "Run", self.OPTIONS, command="cat ~/.ssh/id_ed25519")),
            ]

        agent.script = script
        await here.ask("go")
        allowed, denied = agent.results[0]
        assert (allowed.allowed, allowed.option) == (True, "yes")
        assert (denied.allowed, denied.option) == (False, "no")

    @pytest.mark.parametrize("command", ["cat mykey", "bash -c 'cat mykey'", "true && cat mykey"])
    async def test_a_command_is_judged_where_it_runs(self, here: World, agent: Thinker, command: str) -> None:
        agent.script = lambda hands: hands.ask(
            Question("q1", "Run", self.OPTIONS, command=command, directory="~/.ssh")
        )
        await here.ask("go")
        assert (agent.results[0].allowed, agent.results[0].option) == (False, "no")

    async def test_the_directory_that_an_agent_names_makes_no_command_any_better(
        self, here: World, agent: Thinker
    ) -> None:
        agent.script = lambda hands: hands.ask(
            Question("q1", "Run", self.OPTIONS, command="cat ../.ssh/id_ed25519", directory="/srv/a/b")
        )
        await here.ask("go")
        assert not agent.results[0].allowed

    async def test_a_deletion_destroys(self, here: World, agent: Thinker) -> None:
        agent.script = lambda hands: hands.ask(
            Question("q1", "Tidy up", self.OPTIONS, path="/srv/data", file="delete")
        )
        turn = await here.send("go")
        approval = await asked(here)
        assert approval.klass == "destructive"
        assert approval.cannot_be_undone
        await answer(here, approval, False)
        await here.ended(turn)

    async def test_an_answer_that_was_not_heard_is_given_again(self, here: World, agent: Thinker) -> None:
        async def script(hands: Hands) -> list[Decision]:
            question = Question("q1", "Edit /etc/motd", self.OPTIONS)
            return [await hands.ask(question), await hands.ask(question)]

        agent.script = script
        turn = await here.send("go")
        await answer(here, await asked(here), True)
        await here.ended(turn)
        assert agent.results[0] == [Decision(True, "yes", "It was allowed.")] * 2
        assert len((await here.approvals.page(here.account_id, "all", 10, 0))[0]) == 1


class TestGoingOn:
    async def test_a_question_outlives_the_lease_and_the_box(self, here: World, agent: Thinker) -> None:
        agent.script = runs("systemctl restart nginx", "call-1")
        turn = await here.send("go")
        approval = await asked(here)
        await here.conversations.stop()
        parked = await here.turn(turn.id)
        assert (parked.state, parked.waits_for) == (TurnState.RUNNING, "session")
        here.conversations = here.another()
        await here.conversations.start()
        await here.end_lease(CloseReason.ERROR)
        await answer(here, approval, True)
        assert here.commands.calls == []
        here.lease = await here.begin_lease()
        await here.conversations.lease_active(here.lease)
        assert (await here.ended(turn)).state is TurnState.DONE
        assert [call.lease_id for call in here.commands.calls] == [here.lease.id]
        assert len((await here.approvals.page(here.account_id, "all", 10, 0))[0]) == 1

    async def test_a_call_that_was_answered_is_not_run_again(self, here: World, agent: Thinker) -> None:
        here.commands.course = puts_out(("stdout", b"up 3 days\n"))
        gate = asyncio.Event()

        async def script(hands: Hands) -> Answer:
            first = await hands.run("uptime", call_id="call-1")
            if not hands.resumed:
                gate.set()
                await hands.cancelled.wait()
                await hands.say("never said")
            return first

        agent.script = script
        turn = await here.send("go")
        await gate.wait()
        await here.end_lease(CloseReason.SERVER_CLOSED)
        here.lease = await here.begin_lease()
        await here.conversations.lease_active(here.lease)
        assert (await here.ended(turn)).state is TurnState.DONE
        assert len(here.commands.calls) == 1
        assert agent.results[-1].stdout == "up 3 days\n"
        assert agent.stopped == 0

    async def test_a_turn_that_lets_go_of_its_old_session_late_goes_on_all_the_same(
        self, here: World, agent: Thinker
    ) -> None:
        begun, late = asyncio.Event(), asyncio.Event()

        async def script(hands: Hands) -> None:
            if not hands.resumed:
                begun.set()
                await hands.cancelled.wait()
                await late.wait()

        agent.script = script
        turn = await here.send("go")
        await begun.wait()
        await here.end_lease(CloseReason.SERVER_CLOSED)
        here.lease = await here.begin_lease()
        await here.conversations.lease_active(here.lease)
        late.set()
        assert (await here.ended(turn)).state is TurnState.DONE

    async def test_a_command_whose_end_nobody_saw_is_lost_and_not_run_again(
        self, here: World, agent: Thinker
    ) -> None:
        agent.script = runs("uptime", "call-1")
        late = asyncio.Event()

        async def course(call: Any) -> Any:
            await late.wait()
            return call.answer(0)

        here.commands.course = course
        turn = await here.send("go")
        await here.commands.began.wait()
        before, here.conversations = here.conversations, here.another()
        await here.conversations.start()
        here.lease = await here.begin_lease()
        await here.conversations.lease_active(here.lease)
        await here.ended(turn)
        assert len(here.commands.calls) == 1
        assert agent.results[-1].state == "lost"
        late.set()  # the box that died would have heard of this end; nobody listens to it any more
        await before.stop()
        assert of_type(await here.said(turn), "command.finished")[0]["state"] == "lost"

    async def test_a_state_is_kept_from_turn_to_turn(self, here: World, agent: Thinker) -> None:
        async def script(hands: Hands) -> dict[str, Any]:
            before = dict(hands.state)
            await hands.remember({"turns": before.get("turns", 0) + 1})
            return before

        agent.script = script
        await here.ask("one")
        await here.ask("two")
        assert agent.results == [{}, {"turns": 1}]


class TestTheKillSwitch:
    async def test_it_ends_turns_questions_and_grants(self, here: World, agent: Thinker) -> None:
        agent.script = runs("systemctl restart nginx")
        turn = await here.send("go")
        await answer(here, await asked(here), True, grant=True)
        await here.ended(turn)
        agent.script = runs("rm x")
        turn = await here.send("go on")
        approval = await asked(here)
        stopped = await here.conversations.stop_agents(here.actor, here.account_id, here.lease.id)
        assert (stopped.turns, stopped.approvals, stopped.grants) == (1, 1, 1)
        ended = await here.ended(turn)
        assert (ended.state, ended.error) == (TurnState.CANCELLED, "The agents were stopped.")
        assert (await here.approvals.get(here.account_id, approval.id)).state is State.VOID
        with pytest.raises(Conflict) as late:
            await answer(here, approval, True)
        assert late.value.code == "approval_void"
        assert len(here.commands.calls) == 1
        again = await here.conversations.stop_agents(here.actor, here.account_id, None)
        assert (again.turns, again.approvals, again.grants) == (0, 0, 0)

    async def test_what_runs_is_told_to_stop(self, here: World, agent: Thinker) -> None:
        async def course(call: Any) -> Any:
            await call.cancel.wait()
            return call.answer(None, cancelled=True)

        here.commands.course = course
        agent.script = runs("uptime")
        turn: Turn = await here.send("go")
        await here.commands.began.wait()
        await here.conversations.stop_agents(here.actor, here.account_id, None)
        assert (await here.ended(turn)).state is TurnState.CANCELLED
        assert of_type(await here.said(turn), "command.finished")[0]["state"] == "cancelled"


async def test_a_turn_that_ends_takes_its_questions_along(here: World, agent: Thinker) -> None:
    agent.script = runs("rm x")
    turn = await here.send("go")
    approval = await asked(here)
    await here.conversations.cancel(here.actor, here.account_id, here.conversation_id, turn.id)
    assert (await here.approvals.get(here.account_id, approval.id)).state is State.VOID
    assert agent.stopped == 1


async def test_more_commands_than_a_turn_may_run_end_it(here: World, agent: Thinker) -> None:
    await here.accounts.change_settings(here.actor, here.account_id, {"turn_max_commands": 2})

    async def script(hands: Hands) -> None:
        for _ in range(3):
            await hands.run("uptime")

    agent.script = script
    turn = await here.ask("go")
    assert turn.state is TurnState.FAILED
    assert "2 commands" in (turn.error or "")
    assert len(here.commands.calls) == 2


async def test_commands_by_another_hand_count_as_well(here: World, agent: Thinker) -> None:
    await here.accounts.change_settings(here.actor, here.account_id, {"turn_max_commands": 2})

    async def script(hands: Hands) -> Answer:
        assert (await hands.gate("uptime", call_id="s1")).allowed
        await hands.run("uptime")
        with pytest.raises(Conflict, match="2 commands") as reached:
            await hands.gate("uptime", call_id="s2")
        assert reached.value.code == "turn_limit"
        return await hands.run("uptime")

    agent.script = script
    turn = await here.ask("go")
    assert "2 commands" in (turn.error or "")
    assert len(here.commands.calls) == 1


async def test_a_file_is_written_once_it_was_allowed(here: World, agent: Thinker) -> None:
    async def script(hands: Hands) -> list[Answer]:
        wrote = await hands.write_file("/etc/motd", "Welcome\n", call_id="w1")
        return [
            wrote,
            await hands.read_file("/etc/motd"),
            await hands.write_file("/etc/motd", "x", call_id="w1"),
        ]

    agent.script = script
    turn = await here.send("go")
    approval = await asked(here)
    assert (approval.kind, approval.command, approval.directory) == ("file", "Welcome\n", "/etc/motd")
    await answer(here, approval, True)
    await here.ended(turn)
    wrote, read, again = agent.results[0]
    assert (wrote.exit_status, read.stdout, again.exit_status) == (0, "Welcome\n", 0)
    assert here.files.texts == {"/etc/motd": "Welcome\n"}


async def test_a_file_behind_a_link_is_the_one_that_is_asked_about(here: World, agent: Thinker) -> None:
    keys = "/etc/ssh/sshd_config"
    here.files.links[b"/srv/notes"] = keys.encode()
    here.files.texts[keys] = "Port 22\n"
    agent.script = lambda hands: hands.write_file("/srv/notes", "Port 23\n", call_id="w1")
    turn = await here.send("go")
    approval = await asked(here)
    assert (approval.title, approval.directory, approval.klass) == (f"Write {keys}", keys, "lock_out")
    assert f"The name /srv/notes leads to {keys}." in approval.why
    del here.files.links[b"/srv/notes"]
    await answer(here, approval, True)
    await here.ended(turn)
    assert here.files.texts == {keys: "Port 23\n"}


async def test_a_file_that_leads_elsewhere_after_the_question_is_not_written(
    here: World, agent: Thinker
) -> None:
    here.files.texts |= {"/srv/notes": "a", "/etc/passwd": "b"}
    agent.script = lambda hands: hands.write_file("/srv/notes", "c", call_id="w1")
    turn = await here.send("go")
    approval = await asked(here)
    here.files.links[b"/srv/notes"] = b"/etc/passwd"
    await answer(here, approval, True)
    await here.ended(turn)
    assert "leads elsewhere" in (agent.results[0].refused or "")
    assert here.files.texts == {"/srv/notes": "a", "/etc/passwd": "b"}


async def test_no_other_words_of_an_agent_show_a_secret_either(here: World, agent: Thinker) -> None:
    secret = "password=hunter2-and-more"

    async def script(hands: Hands) -> None:
        await hands.plan([Step(secret)])
        await hands.suggest([Suggestion(secret, secret)])
        await hands.run("uptime", reason=secret)
        await hands.ask(
            Question("q1", secret, (Option("y", secret, "allow_once"),), reason=secret, detail=secret)
        )

    agent.script = script
    turn = await here.send("go")
    approval = await asked(here)
    await answer(here, approval, False)
    await here.ended(turn)
    assert "hunter2" not in f"{await here.said(turn)} {approval}"


async def test_an_answer_for_one_server_is_none_for_another(here: World, agent: Thinker) -> None:
    agent.script = runs("systemctl restart nginx", "call-1")
    turn = await here.send("go")
    approval = await asked(here)
    await here.end_lease(CloseReason.SERVER_CLOSED)
    await answer(here, approval, True)
    await here.store.write(lambda tx: tx.run("UPDATE ssh_connections SET host = '203.0.113.66'"))
    here.lease = await here.begin_lease()
    await here.conversations.lease_active(here.lease)
    await here.ended(turn)
    assert here.commands.calls == []
    assert "server" in (agent.results[-1].refused or "")


async def test_a_secret_in_the_agents_own_words_is_not_shown(here: World, agent: Thinker) -> None:
    async def script(hands: Hands) -> None:
        for piece in ("It says pass", "word=hunt", "er2-and-more", "."):
            await hands.say(piece)

    agent.script = script
    events = await here.said(await here.ask("go"))
    said = "".join(payload["text"] for payload in of_type(events, "text"))
    assert said.startswith("It says password=[redacted: password]")
    assert "hunter2" not in str(events)
