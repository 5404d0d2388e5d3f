"""Approvals over the API: an agent asks on a real server, and devices answer."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from clawdbox.agents.model import Context
from clawdbox.agents.runtimes.port import Answer, Choice, Hands, Offer
from clawdbox.agents.sql import append
from clawdbox.ssh.service.janitor import Janitor
from clawdbox.store import Tx
from tests.ssh.sshd import Sshd
from tests.web.routes import ABSENT
from tests.web.served import Client, Json, Served
from tests.web.servers import start_session

pytestmark = pytest.mark.sshd


class Doer:
    """An agent that does what it is told: the message is its command."""

    name = "doer"
    resumes = judged = True

    def __init__(self) -> None:
        self.answers: list[Answer] = []

    async def offer(self, account_id: str, connection_id: str) -> Offer:
        return Offer((Choice("doer", "Doer"),))

    async def run(self, turn_text: str, context: Context, hands: Hands) -> None:
        await hands.delivered()
        self.answers.append(await hands.run(turn_text, "A step", reason="because", call_id="call-1"))

    async def stop(self, context: Context, hands: Hands) -> None:
        """It runs nothing outside the box."""


class Desk:
    """A session with a conversation in which the doer answers."""

    def __init__(self, served: Served, client: Client, session: Json, conversation: Json, doer: Doer) -> None:
        self.served = served
        self.client = client
        self.session = session
        self.conversation = conversation
        self.doer = doer

    async def say(self, text: str) -> Json:
        answer = await self.client.post(f"/conversations/{self.conversation['id']}/turns", {"text": text})
        assert answer.status_code == 201, answer.text
        turn: Json = answer.json()["turn"]
        return turn

    async def asked(self, client: Client | None = None) -> Json:
        """The question that waits now."""
        with self.served.box.hub.listen("events") as signal:
            while True:
                signal.clear()
                listed = (await (client or self.client).get("/approvals")).json()
                if listed["pending"]:
                    approval: Json = listed["approvals"][0]
                    return approval
                async with asyncio.timeout(20):
                    await signal.wait()

    async def ended(self, turn: Json) -> Json:
        box, account_id = self.served.box, self.served.box.owner.id
        with box.hub.listen(f"turn:{turn['id']}") as signal:
            while True:
                now = await box.conversations.turn(account_id, self.conversation["id"], turn["id"])
                if now.ended_at is not None:
                    return {"state": now.state.value, "error": now.error}
                async with asyncio.timeout(20):
                    await signal.wait()
                signal.clear()


@pytest.fixture
async def desk(served: Served, phone: Client, sshd: Sshd) -> AsyncIterator[Desk]:
    doer = Doer()
    served.box.conversations.runtimes["doer"] = doer
    session = await start_session(phone, sshd)
    made = await phone.post(f"/connections/{session['connection']['id']}/conversations", {"runtime": "doer"})
    assert made.status_code == 201, made.text
    yield Desk(served, phone, session, made.json()["conversation"], doer)
    await phone.post("/agents/stop")


async def grantable(desk: Desk, command: str) -> tuple[Json, Json]:
    """(turn, its question): of a class that may be granted, whatever the policy takes the command for."""
    turn = await desk.say(command)
    approval = await desk.asked()
    await desk.served.box.store.write(
        lambda tx: tx.run("UPDATE approvals SET class = 'change' WHERE id = ?", (approval["id"],))
    )
    return turn, (await desk.client.get(f"/approvals/{approval['id']}")).json()["approval"]


async def answer(client: Client, approval: Json, decision: str, **more: Any) -> Any:
    return await client.post(f"/approvals/{approval['id']}/answer", {"decision": decision, **more})


class TestAnswering:
    async def test_it_runs_once_somebody_allowed_it(self, desk: Desk, tmp_path: Path) -> None:
        command = f"touch {tmp_path}/made"
        turn = await desk.say(command)
        approval = await desk.asked()
        assert (approval["command"], approval["state"], approval["reason"], approval["kind"]) == (
            command,
            "pending",
            "because",
            "command",
        )
        assert (approval["runtime"], approval["connection_label"], approval["session_id"]) == (
            "doer",
            "Real server",
            desk.session["id"],
        )
        waiting = (await desk.client.get(f"/conversations/{desk.conversation['id']}")).json()["conversation"]
        assert (waiting["running_turn_id"], waiting["waits_for"]) == (turn["id"], "approval")
        assert not (tmp_path / "made").exists()
        allowed = await answer(desk.client, approval, "allow")
        assert (allowed.status_code, allowed.json()["approval"]["state"]) == (200, "allowed")
        assert allowed.json()["approval"]["answered_by"] == "Test browser"
        assert await desk.ended(turn) == {"state": "done", "error": None}
        assert (tmp_path / "made").exists()
        shown = (await desk.client.get(f"/approvals/{approval['id']}")).json()["approval"]
        assert shown["used_at"] is not None
        assert (await desk.client.get("/approvals")).json() == {"approvals": [], "pending": 0}
        assert len((await desk.client.get("/approvals?state=answered")).json()["approvals"]) == 1

    async def test_no_means_no(self, desk: Desk, tmp_path: Path) -> None:
        turn = await desk.say(f"touch {tmp_path}/made")
        denied = await answer(desk.client, await desk.asked(), "deny")
        assert denied.json()["approval"]["state"] == "denied"
        await desk.ended(turn)
        assert desk.doer.answers[0].refused == "It was denied."
        assert not (tmp_path / "made").exists()

    async def test_the_first_of_two_devices_counts(self, desk: Desk, tmp_path: Path) -> None:
        turn = await desk.say(f"touch {tmp_path}/made")
        tablet = await desk.served.browser(device="Tablet")
        approval = await desk.asked(tablet)
        decisions = [answer(desk.client, approval, "deny"), answer(tablet, approval, "allow")]
        answers = await asyncio.gather(*decisions)
        assert sorted(one.status_code for one in answers) == [200, 409]
        (late,) = [one.json() for one in answers if one.status_code == 409]
        (first,) = [one.json()["approval"] for one in answers if one.status_code == 200]
        assert (late["code"], late["state"]) == ("approval_answered", first["state"])
        await desk.ended(turn)
        assert (tmp_path / "made").exists() is (first["state"] == "allowed")

    async def test_an_answer_that_comes_too_late_is_refused(self, desk: Desk, tmp_path: Path) -> None:
        turn = await desk.say(f"touch {tmp_path}/made")
        approval = await desk.asked()
        desk.served.turn(3601)
        late = await answer(desk.client, approval, "allow")
        assert (late.status_code, late.json()["code"]) == (409, "approval_expired")
        assert (await desk.client.get("/approvals")).json()["pending"] == 0
        assert await desk.served.box.approvals.expire() == 1
        await desk.ended(turn)
        assert desk.doer.answers[0].refused == "Nobody answered in time, which means no."
        assert not (tmp_path / "made").exists()

    async def test_a_choice_that_was_not_offered_is_refused(self, desk: Desk, tmp_path: Path) -> None:
        await desk.say(f"touch {tmp_path}/made")
        approval = await desk.asked()
        for option in ("never", "deny"):
            refused = await answer(desk.client, approval, "allow", option_id=option)
            assert (refused.status_code, refused.json()["field"]) == (422, "option_id")
        assert (await answer(desk.client, approval, "maybe")).status_code == 422
        assert (await desk.client.get("/approvals")).json()["pending"] == 1


class TestWhoMay:
    async def test_another_account_finds_none_of_it(self, desk: Desk, tmp_path: Path) -> None:
        await desk.say(f"touch {tmp_path}/made")
        approval = await desk.asked()
        other = await desk.served.browser(await desk.served.account())
        absent = await other.get(f"/approvals/{ABSENT}")
        for found in (
            await other.get(f"/approvals/{approval['id']}"),
            await answer(other, approval, "allow"),
            await other.post(f"/sessions/{desk.session['id']}/stop-agents"),
            await other.get(f"/conversations/{desk.conversation['id']}/export"),
            await other.delete(f"/conversations/{desk.conversation['id']}"),
        ):
            assert (found.status_code, found.json()) == (404, absent.json())
        assert (await other.get("/approvals?state=all")).json() == {"approvals": [], "pending": 0}
        assert (await other.post("/agents/stop")).json()["stopped"] == {
            "turns": 0,
            "approvals": 0,
            "grants": 0,
        }
        assert (await other.get("/conversations/search?q=touch")).json() == {"hits": []}
        assert (await desk.client.get("/approvals")).json()["pending"] == 1

    async def test_a_viewer_looks_and_does_not_answer(self, desk: Desk, tmp_path: Path) -> None:
        await desk.say(f"touch {tmp_path}/made")
        approval = await desk.asked()
        await desk.served.box.store.write(lambda tx: tx.run("UPDATE accounts SET role = 'viewer'"))
        assert (await desk.client.get(f"/approvals/{approval['id']}")).status_code == 200
        for refused in (
            await answer(desk.client, approval, "allow"),
            await desk.client.post("/agents/stop"),
            await desk.client.post(f"/sessions/{desk.session['id']}/stop-agents"),
            await desk.client.delete(f"/approval-grants/{ABSENT}"),
        ):
            assert (refused.status_code, refused.json()["code"]) == (403, "role_forbidden")
        await desk.served.box.store.write(lambda tx: tx.run("UPDATE accounts SET role = 'owner'"))
        assert (await desk.client.get("/approvals")).json()["pending"] == 1


class TestStandingGrants:
    async def test_one_is_listed_counted_and_withdrawn(self, desk: Desk, tmp_path: Path) -> None:
        command = f"touch {tmp_path}/made"
        turn, approval = await grantable(desk, command)
        assert approval["may_grant"] is True
        assert (await answer(desk.client, approval, "allow", grant=True)).status_code == 200
        await desk.ended(turn)
        await desk.ended(await desk.say(command))
        assert [one.refused for one in desk.doer.answers] == [None, None]
        (grant,) = (await desk.client.get("/approval-grants")).json()["grants"]
        assert (grant["command"], grant["used_count"], grant["session_id"], grant["ended_at"]) == (
            command,
            1,
            desk.session["id"],
            None,
        )
        other = await desk.served.browser(await desk.served.account())
        assert (await other.delete(f"/approval-grants/{grant['id']}")).status_code == 404
        for _ in range(2):
            withdrawn = await desk.client.delete(f"/approval-grants/{grant['id']}")
            assert (withdrawn.status_code, withdrawn.json()["grant"]["ended_at"] is None) == (200, False)
        assert (await desk.client.get("/approval-grants")).json() == {"grants": []}
        await desk.say(command)
        assert (await desk.asked())["command"] == command

    async def test_one_ends_with_its_session(self, desk: Desk, tmp_path: Path) -> None:
        turn, approval = await grantable(desk, f"touch {tmp_path}/made")
        await answer(desk.client, approval, "allow", grant=True)
        await desk.ended(turn)
        assert len((await desk.client.get("/approval-grants")).json()["grants"]) == 1
        assert (await desk.client.delete(f"/sessions/{desk.session['id']}")).status_code == 200
        assert (await desk.client.get("/approval-grants")).json() == {"grants": []}


class TestStopping:
    @pytest.mark.parametrize("everywhere", [False, True])
    async def test_the_switch_ends_turns_and_questions(
        self, desk: Desk, tmp_path: Path, everywhere: bool
    ) -> None:
        turn = await desk.say(f"touch {tmp_path}/made")
        approval = await desk.asked()
        path = "/agents/stop" if everywhere else f"/sessions/{desk.session['id']}/stop-agents"
        stopped = (await desk.client.post(path)).json()["stopped"]
        assert stopped == {"turns": 1, "approvals": 1, "grants": 0}
        assert await desk.ended(turn) == {"state": "cancelled", "error": "The agents were stopped."}
        late = await answer(desk.client, approval, "allow")
        assert (late.status_code, late.json()["code"]) == (409, "approval_void")
        assert "The agents were stopped." in late.json()["detail"]
        assert not (tmp_path / "made").exists()
        session = (await desk.client.get(f"/sessions/{desk.session['id']}")).json()["session"]
        assert session["status"] == "active"
        assert (await desk.client.post(path)).json()["stopped"] == {"turns": 0, "approvals": 0, "grants": 0}


async def test_a_removed_server_takes_along_what_waits_for_a_session_there(
    desk: Desk, tmp_path: Path
) -> None:
    turn = await desk.say(f"touch {tmp_path}/made")
    approval = await desk.asked()
    desk.served.turn(1801)  # nobody has used the session for half an hour
    box = desk.served.box
    await Janitor(box.store, box.hub, box.settings, box.accounts, box.leases).sweep()
    waiting = (await desk.client.get(f"/conversations/{desk.conversation['id']}")).json()["conversation"]
    assert (waiting["session_id"], waiting["waits_for"]) == (None, "session")
    assert (await desk.client.get("/approvals")).json()["pending"] == 1
    connection_id = desk.session["connection"]["id"]
    assert (await desk.client.delete(f"/connections/{connection_id}")).status_code == 200
    assert (await desk.ended(turn))["state"] == "cancelled"
    shown = (await desk.client.get(f"/approvals/{approval['id']}")).json()["approval"]
    assert (shown["state"], shown["connection_label"]) == ("void", "")


async def test_a_conversation_is_taken_along_whole_however_long_it_is(desk: Desk) -> None:
    """More events than are read at a time, and what is one output stays one."""
    await desk.ended(await desk.say("uptime"))
    conversation_id = desk.conversation["id"]
    store = desk.served.box.store

    def more(tx: Tx) -> None:
        for number in range(1500):
            append(tx, conversation_id, None, "text", {"text": f"<{number}>"})

    await store.write(more)
    path = f"/conversations/{conversation_id}/export"
    whole = (await desk.client.get(f"{path}?format=json")).json()
    assert whole["conversation"]["id"] == conversation_id
    assert [event["seq"] for event in whole["events"]] == list(range(1, len(whole["events"]) + 1))
    assert len(whole["events"]) > 1500
    read = await desk.client.get(path)
    assert read.headers["content-disposition"].endswith('.md"')
    assert "".join(f"<{number}>" for number in range(1500)) in read.text
    assert "$ uptime" in read.text
