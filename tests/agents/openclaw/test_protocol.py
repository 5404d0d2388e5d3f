"""A turn with a gateway that misbehaves, goes away, comes back, and hears everything once."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from clawdbox.agents.model import Context
from clawdbox.agents.runtimes.openclaw.model import Auth, Gateway, State
from clawdbox.agents.runtimes.openclaw.rules import patience
from clawdbox.agents.runtimes.openclaw.rules.context import Reach
from clawdbox.agents.runtimes.openclaw.service import NotEntered
from clawdbox.agents.runtimes.openclaw.way_in import WayIn
from clawdbox.agents.runtimes.port import Question, TurnCancelled, TurnLost, Usage
from clawdbox.errors import Conflict, Problem, Upstream
from clawdbox.events import Actor
from clawdbox.store import Store
from tests.agents.openclaw.hands import NO, YES, MemoryHands
from tests.agents.openclaw.house import House
from tests.agents.openclaw.scripted import Json, ScriptedGateway, Visitor
from tests.waiting import eventually

ABOUT = Context("c", "nas.lan", 22, "ann", "k", "s")


@pytest.fixture
async def claw(store: Store, tmp_path: Path) -> AsyncIterator[House]:
    made = House(store, tmp_path)
    await made.settle()
    yield made
    await made.openclaw.close()


@pytest.fixture
async def scripted() -> AsyncIterator[ScriptedGateway]:
    async with ScriptedGateway() as gateway:
        yield gateway


async def added(box: House, scripted: ScriptedGateway, **more: Any) -> Gateway:
    given = {"label": "Claw", "url": scripted.url, "auth": Auth.TOKEN, "secret": scripted.token, **more}
    return await box.gateways.add(Actor(box.account_id), box.account_id, **given)


@pytest.fixture
async def hands(claw: House, scripted: ScriptedGateway) -> MemoryHands:
    return MemoryHands(claw.account_id, (await added(claw, scripted)).id)


async def turn(box: House, hands: MemoryHands, text: str = "why?") -> None:
    async with asyncio.timeout(20):
        await box.openclaw.run(text, ABOUT, hands)


def quick(monkeypatch: pytest.MonkeyPatch, **more: float) -> None:
    """The same patience, in less time."""
    monkeypatch.setattr(patience, "_DELAYS_S", (0.02,))
    monkeypatch.setattr(patience, "_PAIRING_DELAYS_S", (0.02,))
    for name, value in more.items():
        monkeypatch.setattr(patience, name, value)


class TestATurn:
    async def test_it_is_sent_with_its_context_and_its_answer_is_streamed(
        self, claw: House, scripted: ScriptedGateway, hands: MemoryHands
    ) -> None:
        await turn(claw, hands)
        (sent,) = scripted.sent()
        assert sent["idempotencyKey"] == hands.turn_id
        assert sent["message"].endswith("\n\nwhy?")
        assert '"host": "nas.lan"' in sent["message"]
        assert (hands.text, hands.of("delivered")) == ("Hello.", [None])
        assert hands.of("usage")[-1] == Usage(11, 3, None)

    async def test_two_turns_share_a_session_at_the_gateway(
        self, claw: House, scripted: ScriptedGateway, hands: MemoryHands
    ) -> None:
        await turn(claw, hands)
        other = MemoryHands(claw.account_id, "", hands.state)
        other._conversation = hands.conversation
        await turn(claw, other, "and now?")
        assert [sent["sessionKey"] for sent in scripted.sent()] == [
            f"agent:main:clawdbox:{hands.conversation.id}"
        ] * 2
        assert other.text == "Hello."
        assert [card.title for card in other.of("card")] == []

    async def test_one_that_may_only_talk_says_so_once_and_is_kept_to_reading(
        self, claw: House, scripted: ScriptedGateway, hands: MemoryHands
    ) -> None:
        await turn(claw, hands)
        assert [card.title for card in hands.of("card")] == ["It can talk, but not act"]
        assert scripted.sent()[0]["expectedPermissionMode"] == "read-only"
        assert "You cannot run anything" in scripted.sent()[0]["message"]

    async def test_what_it_does_is_shown(
        self, claw: House, scripted: ScriptedGateway, hands: MemoryHands
    ) -> None:
        async def course(visitor: Visitor, run: Json) -> None:
            await visitor.agent(run, "thinking", {"text": "hm", "delta": "hm"})
            await visitor.agent(run, "plan", {"steps": ["look"]})
            await visitor.agent(
                run, "tool", {"phase": "start", "name": "read", "toolCallId": "1", "args": {"path": "a"}}
            )
            await visitor.agent(
                run, "tool", {"phase": "result", "name": "read", "toolCallId": "1", "result": {}}
            )
            await visitor.agent(run, "usage", {"outputTokens": 5})
            await visitor.delta(run, "Hello.")
            await visitor.final(run)

        scripted.course = course
        await turn(claw, hands)
        assert hands.of("think") == ["hm"]
        assert [step.text for step in hands.of("plan")[0]] == ["look"]
        assert [(call.title, call.status) for call in hands.of("tool")] == [
            ("read: a", "in_progress"),
            ("read: a", "completed"),
        ]
        assert hands.of("usage")[0] == Usage(output_tokens=5)

    async def test_a_failed_run_fails_the_turn_with_the_gateways_words(
        self, claw: House, scripted: ScriptedGateway, hands: MemoryHands
    ) -> None:
        async def course(visitor: Visitor, run: Json) -> None:
            run["live"] = False
            await visitor.chat(run, "error", errorMessage="No credit\nleft.")

        scripted.course = course
        with pytest.raises(Upstream) as failed:
            await turn(claw, hands)
        assert failed.value.message == "The agent failed: No credit left."

    async def test_other_sessions_and_runs_are_none_of_its_business(
        self, claw: House, scripted: ScriptedGateway, hands: MemoryHands
    ) -> None:
        async def course(visitor: Visitor, run: Json) -> None:
            await visitor.chat({**run, "key": "agent:main:main"}, "delta", deltaText="secret")
            await visitor.chat({**run, "runId": "other"}, "delta", deltaText="strange")
            await visitor.delta(run, "Mine.")
            await visitor.final(run)

        scripted.course = course
        await turn(claw, hands)
        assert hands.text == "Mine."

    async def test_a_cancelled_turn_is_stopped_at_the_gateway(
        self, claw: House, scripted: ScriptedGateway, hands: MemoryHands
    ) -> None:
        async def course(visitor: Visitor, run: Json) -> None:
            await visitor.delta(run, "Hel")

        scripted.course = course
        task = asyncio.ensure_future(turn(claw, hands))
        await hands.until(lambda: hands.text == "Hel")
        hands.cancelled.set()
        with pytest.raises(TurnCancelled):
            await task
        assert scripted.asked("chat.abort") == []
        await claw.openclaw.stop(ABOUT, hands)
        assert len(scripted.asked("chat.abort")) == 1
        assert len(scripted.greetings) == 1

    async def test_a_turn_that_fails_here_is_stopped_there(
        self, claw: House, scripted: ScriptedGateway, hands: MemoryHands, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def course(visitor: Visitor, run: Json) -> None:
            await visitor.agent(run, "usage", {"outputTokens": 10**9})

        async def limit(_usage: Usage) -> None:
            raise Conflict("turn_limit", "Enough.")

        scripted.course = course
        monkeypatch.setattr(hands, "usage", limit)
        with pytest.raises(Conflict):
            await turn(claw, hands)
        assert len(scripted.asked("chat.abort")) == 1

    async def test_a_run_that_was_stopped_at_the_gateway_says_so(
        self, claw: House, scripted: ScriptedGateway, hands: MemoryHands
    ) -> None:
        async def course(visitor: Visitor, run: Json) -> None:
            await visitor.delta(run, "Hel")
            scripted.end(run)
            await visitor.chat(run, "aborted")

        scripted.course = course
        with pytest.raises(Conflict) as stopped:
            await turn(claw, hands)
        assert stopped.value.code == "agent_stopped"


class TestWhatGoesMissing:
    async def test_a_gap_is_filled_from_the_history(
        self, claw: House, scripted: ScriptedGateway, hands: MemoryHands
    ) -> None:
        async def course(visitor: Visitor, run: Json) -> None:
            await visitor.delta(run, "One")
            run["text"] += " two"  # whose event is lost
            await visitor.delta(run, " three.", skip=1)
            await visitor.final(run)

        scripted.course = course
        await turn(claw, hands)
        assert hands.text == "One two three."

    async def test_a_lost_end_is_found_in_the_history(
        self, claw: House, scripted: ScriptedGateway, hands: MemoryHands
    ) -> None:
        async def course(visitor: Visitor, run: Json) -> None:
            await visitor.delta(run, "One.")
            scripted.end(run)
            await visitor.event("tick", {}, skip=1)

        scripted.course = course
        await turn(claw, hands)
        assert hands.text == "One."

    async def test_a_lost_connection_is_made_anew_and_nothing_sent_twice(
        self, claw: House, scripted: ScriptedGateway, hands: MemoryHands, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        quick(monkeypatch)

        async def course(visitor: Visitor, run: Json) -> None:
            await visitor.delta(run, "One")
            await visitor.socket.close()
            run["text"] += " two"
            await eventually(lambda: len(scripted.visitors) == 2)
            await scripted.visitors[-1].delta(run, " three.")
            await scripted.visitors[-1].final(run)

        scripted.course = course
        await turn(claw, hands)
        assert hands.text == "One two three."
        assert len(scripted.rows) == 2
        assert len(scripted.greetings) == 2

    async def test_a_gateway_that_forgot_the_key_is_not_sent_the_message_again(
        self, claw: House, scripted: ScriptedGateway, hands: MemoryHands, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As real ones do when they are started again: they then go on with a run of their own."""
        quick(monkeypatch)
        monkeypatch.setattr("clawdbox.agents.runtimes.openclaw.talk._LOOK_S", 0.05)
        cut = asyncio.Event()

        async def course(visitor: Visitor, run: Json) -> None:
            await visitor.delta(run, "Half an")
            cut.set()
            await asyncio.Event().wait()

        scripted.course = course
        task = asyncio.ensure_future(turn(claw, hands))
        await hands.until(lambda: hands.text == "Half an")
        await scripted.go_away()
        await scripted.come_back()
        await eventually(lambda: len(scripted.greetings) == 2 and scripted.asked("chat.history")[1:])
        taken_up = {"runId": "again", "key": scripted.sent()[0]["sessionKey"], "text": "", "live": True}
        scripted.rows.append(
            {"role": "user", "content": "[System] interrupted", "idempotencyKey": "again:user"}
        )
        scripted.runs["again"] = taken_up
        await scripted.visitors[-1].delta(taken_up, "A whole answer.")
        await scripted.visitors[-1].final(taken_up)
        await task
        assert hands.text == "Half an\n\nA whole answer."
        assert len(scripted.sent()) == 1

    async def test_one_that_does_not_go_on_makes_the_turn_lost(
        self, claw: House, scripted: ScriptedGateway, hands: MemoryHands, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        quick(monkeypatch, CUT_OFF_S=0.2)
        monkeypatch.setattr("clawdbox.agents.runtimes.openclaw.talk._LOOK_S", 0.05)

        async def course(visitor: Visitor, run: Json) -> None:
            await visitor.delta(run, "Half an")
            await asyncio.Event().wait()

        scripted.course = course
        task = asyncio.ensure_future(turn(claw, hands))
        await hands.until(lambda: hands.text == "Half an")
        await scripted.go_away()
        await scripted.come_back()
        with pytest.raises(TurnLost):
            await task
        assert len(scripted.sent()) == 1

    async def test_a_box_that_was_started_again_goes_on_where_it_was(
        self, claw: House, scripted: ScriptedGateway, hands: MemoryHands
    ) -> None:
        go = asyncio.Event()

        async def course(visitor: Visitor, run: Json) -> None:
            await visitor.delta(run, "One")
            await go.wait()
            run["text"] += " two."
            scripted.end(run)

        scripted.course = course
        task = asyncio.ensure_future(turn(claw, hands))
        await hands.until(lambda: hands.text == "One")
        task.cancel()
        await asyncio.wait({task})
        go.set()
        again = hands.again()
        await turn(claw, again)
        assert (hands.text, again.text) == ("One", " two.")
        assert len(scripted.sent()) == 1

    async def test_a_message_that_never_arrived_is_sent_when_the_turn_goes_on(
        self, claw: House, scripted: ScriptedGateway, hands: MemoryHands
    ) -> None:
        again = hands.again()
        await turn(claw, again)
        assert again.text == "Hello."
        assert len(scripted.sent()) == 1


class TestTheHandshake:
    async def test_the_gateways_own_token_lets_it_in_from_then_on(
        self, claw: House, scripted: ScriptedGateway, hands: MemoryHands
    ) -> None:
        await turn(claw, hands)
        await turn(claw, MemoryHands(claw.account_id, hands.conversation.runtime_options["gateway_id"]))
        first, second = (greeting["auth"] for greeting in scripted.greetings)
        assert first == {"token": scripted.token}
        assert set(second) == {"deviceToken"}

    async def test_one_that_is_of_no_use_any_more_is_replaced(
        self, claw: House, scripted: ScriptedGateway, hands: MemoryHands
    ) -> None:
        gateway_id = hands.conversation.runtime_options["gateway_id"]
        gateway = await claw.gateways.get(claw.account_id, gateway_id)
        await claw.gateways._keep_token(gateway, "dt-stale")
        await turn(claw, hands)
        assert [set(greeting["auth"]) for greeting in scripted.greetings] == [{"deviceToken"}, {"token"}]

    async def test_a_box_that_is_not_known_waits_and_shows_the_command(
        self, claw: House, scripted: ScriptedGateway, hands: MemoryHands, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        quick(monkeypatch)
        scripted.requires_pairing = True
        task = asyncio.ensure_future(turn(claw, hands))
        await hands.until(lambda: bool(hands.of("card")))
        (card,) = hands.of("card")
        assert card.rows[0].value == "openclaw devices approve 11111111-2222-3333-4444-555555555555"
        gateway = (await claw.gateways.list(claw.account_id))[0]
        assert (gateway.state, gateway.pairing_request_id) == (
            State.PAIRING,
            "11111111-2222-3333-4444-555555555555",
        )
        scripted.paired.add(gateway.device_id)
        await task
        assert hands.text == "Hello."
        after = (await claw.gateways.list(claw.account_id))[0]
        assert (after.state, after.pairing_request_id, after.version) == (State.READY, None, "2026.9.6")

    async def test_nobody_who_lets_it_in_ends_the_turn(
        self, claw: House, scripted: ScriptedGateway, hands: MemoryHands, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        quick(monkeypatch, PAIRING_S=0.1)
        scripted.requires_pairing = True
        with pytest.raises(Conflict) as refused:
            await turn(claw, hands)
        assert refused.value.code == "gateway_pairing_required"

    async def test_a_wrong_token_fails_at_once(
        self, claw: House, scripted: ScriptedGateway, hands: MemoryHands
    ) -> None:
        scripted.token = "another"
        with pytest.raises(Conflict) as refused:
            await turn(claw, hands)
        assert refused.value.code == "gateway_refused"
        assert "token" in refused.value.message
        assert len(scripted.greetings) == 1

    async def test_nobody_there_is_said_after_a_few_attempts(
        self, claw: House, scripted: ScriptedGateway, hands: MemoryHands, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        quick(monkeypatch, UNSENT_S=0.1)
        await scripted.go_away()
        with pytest.raises(Upstream) as unreachable:
            await turn(claw, hands)
        assert "nothing listens" in unreachable.value.message

    async def test_a_gateway_that_stays_away_in_mid_turn_makes_it_lost(
        self, claw: House, scripted: ScriptedGateway, hands: MemoryHands, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        quick(monkeypatch, SENT_S=0.1)

        async def course(visitor: Visitor, run: Json) -> None:
            await visitor.delta(run, "Half an")
            await asyncio.Event().wait()

        scripted.course = course
        task = asyncio.ensure_future(turn(claw, hands))
        await hands.until(lambda: hands.text == "Half an")
        await scripted.go_away()
        with pytest.raises(TurnLost):
            await task

    @pytest.mark.parametrize(
        "frames",
        [
            ["garbage"],
            ["{}"],
            [json.dumps({"type": "event", "event": "hello"})],
            [json.dumps({"type": "event", "event": "connect.challenge", "payload": {"nonce": "a|b|operator.admin", "ts": 1}})],
            [json.dumps({"type": "event", "event": "connect.challenge", "payload": {"nonce": "12345678", "ts": "soon"}})],
            [json.dumps({"type": "event", "event": "connect.challenge", "payload": {"nonce": "1234567890", "ts": 1}})] * 2,
            [json.dumps({"type": "event", "event": "connect.challenge", "payload": {"nonce": "1234567890", "ts": 1}}),
             json.dumps({"type": "res", "id": "other", "ok": True, "payload": {}})],
            [json.dumps({"type": "event", "event": "connect.challenge", "payload": {"nonce": "1234567890", "ts": 1}}),
             json.dumps({"type": "res", "id": "connect", "ok": True, "payload": {"protocol": 9, "server": {}}})],
            [b"\x00\x01"],
            ["x" * (9 * 1024 * 1024)],
            ["[" * 500_000],
            [],
        ],
    )  # fmt: skip
    async def test_what_is_no_gateway_is_told_from_one(
        self, claw: House, scripted: ScriptedGateway, frames: list[str | bytes]
    ) -> None:
        async def greet(socket: ServerConnection) -> bool:
            for frame in frames:
                await socket.send(frame)
            if frames:
                await socket.wait_closed()
            return True

        gateway = await added(claw, scripted)
        scripted.on_greeting = greet
        with pytest.raises(NotEntered) as refused:
            await claw.gateways.enter(gateway, None)
        assert refused.value.look.state is State.UNREACHABLE
        assert refused.value.look.problem
        assert len(refused.value.look.problem) < 400

    async def test_a_second_challenge_in_mid_dialogue_ends_it(
        self, claw: House, scripted: ScriptedGateway, hands: MemoryHands, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        quick(monkeypatch)

        async def course(visitor: Visitor, run: Json) -> None:
            await visitor.delta(run, "One")
            challenge = {"nonce": "another-nonce", "ts": 1}
            await visitor.send({"type": "event", "event": "connect.challenge", "payload": challenge})
            scripted.end(run)

        scripted.course = course
        await turn(claw, hands)
        assert hands.text == "One"
        assert [len(one["device"]["nonce"]) for one in scripted.greetings] == [len(scripted.nonce)] * 2

    @pytest.mark.parametrize(
        "frame", ["garbage", "y" * (9 * 1024 * 1024), '{"type":"event","event":"chat","payload":7}']
    )
    async def test_garbage_in_mid_turn_ends_the_connection_and_not_the_turn(
        self,
        claw: House,
        scripted: ScriptedGateway,
        hands: MemoryHands,
        monkeypatch: pytest.MonkeyPatch,
        frame: str,
    ) -> None:
        quick(monkeypatch)

        async def course(visitor: Visitor, run: Json) -> None:
            await visitor.delta(run, "One")
            await visitor.socket.send(frame)
            run["text"] += " two."
            scripted.end(run)

        scripted.course = course
        await turn(claw, hands)
        assert hands.text == "One two."
        assert len(scripted.sent()) == 1

    async def test_one_that_always_breaks_off_has_an_end(
        self, claw: House, scripted: ScriptedGateway, hands: MemoryHands, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        quick(monkeypatch, UNSENT_S=0.2)

        async def history(visitor: Visitor, _params: Json) -> None:
            await visitor.socket.close()

        monkeypatch.setattr(scripted, "_sessions_create", history)
        with pytest.raises(Upstream):
            await turn(claw, hands)
        assert scripted.sent() == []


class TestApprovals:
    """Of a gateway that may act: here the socket is missing, so it is made to believe that it has one."""

    @pytest.fixture(autouse=True)
    def acting(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def opened(way_in: WayIn) -> Reach:
            way_in.prefix = "ssh -S x y"
            return Reach(way_in.prefix)

        monkeypatch.setattr(WayIn, "open", opened)

    def asks(self, scripted: ScriptedGateway, *commands: str) -> None:
        async def course(visitor: Visitor, run: Json) -> None:
            for number, command in enumerate(commands):
                await scripted.request_approval(visitor, run, f"a{number}", command)
            await eventually(lambda: len(scripted.resolved) == len(commands))
            latest = scripted.visitors[-1]
            await latest.delta(run, "Done.")
            await latest.final(run)

        scripted.course = course

    @pytest.mark.parametrize("decision, told", [(YES, "allow-once"), (NO, "deny")])
    async def test_a_person_is_asked_and_the_gateway_told(
        self, claw: House, scripted: ScriptedGateway, hands: MemoryHands, decision: Any, told: str
    ) -> None:
        async def answer(_question: Question) -> Any:
            return decision

        hands.on_ask = answer
        self.asks(scripted, "rm -rf /srv")
        await turn(claw, hands)
        assert scripted.resolved == [("a0", told)]
        (asked,) = hands.asked
        assert (asked.detail, asked.directory) == ("rm -rf /srv\nin /srv", "/srv")
        assert scripted.sent()[0]["expectedPermissionMode"] == "guarded"

    async def test_what_the_socket_asks_about_is_not_asked_twice(
        self, claw: House, scripted: ScriptedGateway, hands: MemoryHands
    ) -> None:
        self.asks(scripted, "ssh -S x y 'uptime'")
        await turn(claw, hands)
        assert scripted.resolved == [("a0", "allow-once")]
        assert hands.asked == []

    async def test_several_wait_at_once_and_each_gets_its_own_answer(
        self, claw: House, scripted: ScriptedGateway, hands: MemoryHands
    ) -> None:
        both = asyncio.Event()

        async def answer(question: Question) -> Any:
            if len(hands.asked) == 2:
                both.set()
            await both.wait()
            return YES if "good" in question.detail else NO

        hands.on_ask = answer
        self.asks(scripted, "bad", "good")
        await turn(claw, hands)
        assert sorted(scripted.resolved) == [("a0", "deny"), ("a1", "allow-once")]

    async def test_one_that_was_resolved_elsewhere_is_closed_here(
        self, claw: House, scripted: ScriptedGateway, hands: MemoryHands
    ) -> None:
        self.asks(scripted, "rm x")
        task = asyncio.ensure_future(turn(claw, hands))
        await hands.until(lambda: bool(hands.asked))
        await scripted._exec_approval_resolve(scripted.visitors[-1], {"id": "a0", "decision": "deny"})
        await task
        assert hands.withdrawn == ["exec:a0"]
        assert scripted.asked("exec.approval.resolve") == []

    async def test_an_answer_that_comes_while_the_gateway_is_away_reaches_it_later(
        self, claw: House, scripted: ScriptedGateway, hands: MemoryHands, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        quick(monkeypatch)
        answered = asyncio.Event()

        async def answer(_question: Question) -> Any:
            await answered.wait()
            return YES

        hands.on_ask = answer
        self.asks(scripted, "rm x")
        task = asyncio.ensure_future(turn(claw, hands))
        await hands.until(lambda: bool(hands.asked))
        held = asyncio.Event()

        async def hold(_socket: ServerConnection) -> bool:
            await held.wait()
            return False

        scripted.on_greeting = hold
        await scripted.visitors[-1].socket.close()
        answered.set()
        held.set()
        await task
        assert scripted.resolved == [("a0", "allow-once")]
        assert len(hands.asked) == 1

    async def test_a_question_goes_with_its_turn_unless_that_goes_on_elsewhere(
        self, claw: House, scripted: ScriptedGateway, hands: MemoryHands
    ) -> None:
        async def course(visitor: Visitor, run: Json) -> None:
            await scripted.request_approval(visitor, run, "a0", "rm x")
            await asyncio.Event().wait()

        scripted.course = course
        task = asyncio.ensure_future(turn(claw, hands))
        await hands.until(lambda: bool(hands.asked))
        hands.cancelled.set()
        with pytest.raises(TurnCancelled):
            await task
        assert hands.withdrawn == []
        assert scripted.resolved == []

    async def test_a_limit_that_a_question_passes_ends_the_turn(
        self, claw: House, scripted: ScriptedGateway, hands: MemoryHands
    ) -> None:
        async def answer(_question: Question) -> Any:
            raise Conflict("turn_limit", "Enough.")

        hands.on_ask = answer
        self.asks(scripted, "rm x")
        with pytest.raises(Problem) as ended:
            await turn(claw, hands)
        assert ended.value.code == "turn_limit"
        assert len(scripted.asked("chat.abort")) == 1


class TestNoActing:
    async def test_a_gateway_that_may_only_talk_is_denied_every_command(
        self, claw: House, scripted: ScriptedGateway, hands: MemoryHands
    ) -> None:
        async def course(visitor: Visitor, run: Json) -> None:
            await scripted.request_approval(visitor, run, "a0", "uptime")
            await eventually(lambda: scripted.resolved)
            await visitor.final(run)

        scripted.course = course
        await turn(claw, hands)
        assert scripted.resolved == [("a0", "deny")]
        assert hands.asked == []
