"""Sessions over a real OpenSSH server, as the API tells of them."""

import asyncio
import base64
from pathlib import Path

import pytest

from clawdbox.ssh.model import ExecAnswer
from clawdbox.web.sessions import exec_view, whole_characters
from tests.ssh.sshd import Sshd
from tests.web.routes import ABSENT, BODIES, http_routes, socket_routes
from tests.web.served import API, Client, Make, Served, new_connection
from tests.web.servers import connect_to, open_terminal, start_session
from tests.web.test_every_route import close_code

SHAPE = {
    "id", "status", "connection_id", "connection", "keypair_id", "agent_session_id", "conversation_id", "chat_url",
    "started_at", "closed_at", "close_reason", "error_detail", "last_heartbeat_at", "created_at", "idle_timeout_s",
    "last_activity_at", "master",
}  # fmt: skip


@pytest.mark.sshd
class TestLife:
    async def test_a_session_starts_is_shown_and_closes(
        self, served: Served, phone: Client, sshd: Sshd
    ) -> None:
        session = await start_session(phone, sshd)

        assert set(session) == SHAPE
        assert (session["status"], session["master"]["state"]) == ("active", "up")
        assert session["chat_url"] == f"{served.origin}/sessions/{session['id']}"
        assert session["connection"]["host"] == sshd.host
        assert session["conversation_id"]
        shown = (await phone.get(f"/sessions/{session['id']}")).json()["session"]
        assert shown["conversation_id"] == session["conversation_id"]
        assert (await phone.ask("GET", "/health")).json()["active_sessions"] == 1

        closed = await phone.delete(f"/sessions/{session['id']}")
        again = await phone.delete(f"/sessions/{session['id']}")

        assert closed.json()["session"]["status"] == "closed"
        assert closed.json()["session"]["close_reason"] == "user"
        assert closed.json()["session"]["master"] is None
        assert again.json() == closed.json()

    async def test_sessions_are_listed_by_pages(self, phone: Client, sshd: Sshd) -> None:
        first = await start_session(phone, sshd)
        for _ in range(2):
            await phone.post("/sessions", {"connection_id": first["connection_id"]})
        await phone.delete(f"/sessions/{first['id']}")

        everything = (await phone.get("/sessions")).json()
        page = (await phone.get("/sessions?limit=2&offset=1")).json()
        active = (await phone.get("/sessions?status=active")).json()
        assert (await phone.get("/sessions?status=&connection_id=")).json() == everything
        elsewhere = (await phone.get(f"/sessions?connection_id={ABSENT}")).json()

        assert (everything["total"], everything["limit"], everything["offset"]) == (3, 20, 0)
        assert page["sessions"] == everything["sessions"][1:]
        assert (page["total"], active["total"], elsewhere["total"]) == (3, 2, 0)

    async def test_the_limit_of_sessions_is_told(self, phone: Client, sshd: Sshd) -> None:
        await phone.patch("/account/settings", {"max_leases": 1})
        session = await start_session(phone, sshd)
        second = await phone.post("/sessions", {"connection_id": session["connection_id"]})
        assert (second.status_code, second.json()["code"]) == (409, "lease_limit_reached")

    async def test_a_server_that_is_gone_is_a_failed_start_with_its_cause(
        self, phone: Client, sshd: Sshd
    ) -> None:
        connection = await connect_to(phone, sshd)
        sshd.stop()
        failed = await phone.post("/sessions", {"connection_id": connection["id"]})
        assert (failed.status_code, failed.json()["code"], failed.json()["cause"]) == (
            502,
            "ssh_failed",
            "port",
        )
        session = (await phone.get(f"/sessions/{failed.json()['session_id']}")).json()["session"]
        assert session["status"] == "error"

    async def test_a_draft_cannot_be_started(self, phone: Client) -> None:
        draft = await new_connection(phone)
        refused = await phone.post("/sessions", {"connection_id": draft["id"]})
        assert (refused.status_code, refused.json()["code"]) == (409, "connection_untested")

    async def test_a_repeated_start_with_one_key_makes_one_session(self, phone: Client, sshd: Sshd) -> None:
        connection = await connect_to(phone, sshd)
        key = {"idempotency-key": "start-once"}
        first = await phone.post("/sessions", {"connection_id": connection["id"]}, headers=key)
        again = await phone.post("/sessions", {"connection_id": connection["id"]}, headers=key)
        assert again.json() == first.json()
        assert (await phone.get("/sessions")).json()["total"] == 1


@pytest.mark.sshd
class TestExec:
    async def test_a_command_answers_with_its_streams_and_status(self, phone: Client, sshd: Sshd) -> None:
        session = await start_session(phone, sshd)
        answer = await phone.post(
            f"/sessions/{session['id']}/exec", {"command": "echo out; echo ärger >&2; exit 3"}
        )
        assert answer.status_code == 200
        result = answer.json()
        assert result.pop("duration_ms") > 0
        assert result == {
            "exit_status": 3, "stdout": "out\n", "stderr": "ärger\n", "encoding": "utf-8", "truncated": False,
            "timed_out": False,
        }  # fmt: skip

    async def test_where_people_are_judged_only_reading_runs_unasked(
        self, phone: Client, sshd: Sshd, tmp_path: Path
    ) -> None:
        session = await start_session(phone, sshd)
        changed = await phone.patch(f"/connections/{session['connection']['id']}", {"judge_people": True})
        assert changed.json()["connection"]["judge_people"] is True
        path = f"/sessions/{session['id']}/exec"
        assert (await phone.post(path, {"command": "uptime"})).status_code == 200
        refused = await phone.post(path, {"command": f"touch {tmp_path}/made"})
        assert (refused.status_code, refused.json()["code"]) == (409, "command_judged")
        assert not (tmp_path / "made").exists()

    async def test_a_command_may_run_in_the_kept_shell(self, phone: Client, sshd: Sshd) -> None:
        session = await start_session(phone, sshd)
        path = f"/sessions/{session['id']}/exec"
        pids = []
        for _ in range(2):
            answer = await phone.post(path, {"command": "echo $$; exit 3", "shell": "kept"})
            assert (answer.status_code, answer.json()["exit_status"]) == (200, 3)
            pids.append(answer.json()["stdout"])
        assert pids[0] == pids[1]
        assert (await phone.post(path, {"command": "true", "shell": "zsh"})).status_code == 422

    async def test_binary_floods_and_slow_commands_are_bounded(self, phone: Client, sshd: Sshd) -> None:
        session = await start_session(phone, sshd)
        path = f"/sessions/{session['id']}/exec"
        binary = (await phone.post(path, {"command": r"printf '\377\000'"})).json()
        flood = (
            await phone.post(path, {"command": "yes | head -c 9000000", "max_output_bytes": 1000})
        ).json()
        slow = (await phone.post(path, {"command": "echo first; sleep 60", "timeout_s": 0.5})).json()
        assert (binary["encoding"], base64.b64decode(binary["stdout"])) == ("base64", b"\xff\x00")
        assert (flood["truncated"], len(flood["stdout"])) == (True, 1000)
        assert (slow["timed_out"], slow["stdout"]) == (True, "first\n")

    async def test_its_own_time_out_counts_not_the_requests(self, make: Make, sshd: Sshd) -> None:
        served = await make(allow_loopback=True, request_timeout_s=1.0)
        script = await served.script()
        session = await start_session(script, sshd)
        path = f"/sessions/{session['id']}/exec"
        answer = await script.post(path, {"command": "sleep 1.3; echo done"})
        assert answer.json()["stdout"] == "done\n"
        assert (await script.post(path, {"command": "true", "timeout_s": 601})).json()["field"] == "timeout_s"
        assert (await script.post(path, {"command": "true", "timeout_s": 0})).status_code == 422

    async def test_a_closed_session_runs_nothing(self, phone: Client, sshd: Sshd) -> None:
        session = await start_session(phone, sshd)
        await phone.delete(f"/sessions/{session['id']}")
        for path, body in (("exec", {"command": "true"}), ("terminals", {})):
            refused = await phone.post(f"/sessions/{session['id']}/{path}", body)
            assert (refused.status_code, refused.json()["code"]) == (409, "session_not_active")


class TestOutput:
    @pytest.mark.parametrize(
        "data, kept",
        [
            (b"abc", b"abc"),
            ("aé".encode(), "aé".encode()),
            ("aé".encode()[:-1], b"a"),
            ("a€".encode()[:-1], b"a"),
            ("a€".encode()[:-2], b"a"),
            ("a😀".encode()[:-1], b"a"),
            (b"", b""),
            (b"\xbf\xbf\xbf\xbf\xbf", b"\xbf\xbf\xbf\xbf\xbf"),
        ],
    )
    def test_a_cap_that_falls_into_a_character_does_not_make_text_binary(
        self, data: bytes, kept: bytes
    ) -> None:
        assert whole_characters(data) == kept

    def test_both_streams_have_one_encoding(self) -> None:
        view = exec_view(ExecAnswer("id", None, b"text", b"\xff", False, False, False, 1.0))
        assert (view.encoding, view.stdout, view.stderr) == ("base64", "dGV4dA==", "/w==")


@pytest.mark.sshd
class TestTerminals:
    async def test_a_terminal_opens_is_listed_and_closes(self, phone: Client, sshd: Sshd) -> None:
        session = await start_session(phone, sshd)
        terminal = await open_terminal(phone, session, cols=100, rows=30)
        assert set(terminal) == {
            "id", "session_id", "state", "cols", "rows", "exit_status", "end_reason", "start_offset", "end_offset",
            "created_at", "ended_at", "attach_path", "kept_id",
        }  # fmt: skip
        assert (terminal["state"], terminal["cols"], terminal["rows"]) == ("open", 100, 30)
        assert terminal["attach_path"] == f"{API}/sessions/{session['id']}/terminals/{terminal['id']}/attach"
        listed = (await phone.get(f"/sessions/{session['id']}/terminals")).json()["terminals"]
        assert [entry["id"] for entry in listed] == [terminal["id"]]
        closed = await phone.delete(f"/sessions/{session['id']}/terminals/{terminal['id']}")
        assert closed.json()["terminal"]["state"] == "ended"
        assert (
            await phone.delete(f"/sessions/{session['id']}/terminals/{terminal['id']}")
        ).json() == closed.json()

    @pytest.mark.parametrize("size", [{"cols": 0}, {"rows": 1001}, {"cols": "wide"}])
    async def test_a_terminal_has_a_size_that_terminals_have(
        self, phone: Client, size: dict[str, object]
    ) -> None:
        refused = await phone.post(f"/sessions/{ABSENT}/terminals", size)
        assert refused.status_code == 422


@pytest.mark.sshd
async def test_nothing_of_one_account_is_there_for_another(served: Served, phone: Client, sshd: Sshd) -> None:
    """Every route with an id, with ids that exist: the other account gets what it gets for ids that never were."""
    session = await start_session(phone, sshd)
    terminal = await open_terminal(phone, session)
    turn = (await phone.post(f"/conversations/{session['conversation_id']}/turns", {"text": "help"})).json()[
        "turn"
    ]
    mine = {
        "connection_id": session["connection_id"],
        "conversation_id": session["conversation_id"],
        "keypair_id": session["keypair_id"],
        "login_id": phone.login_id,
        "session_id": session["id"],
        "terminal_id": terminal["id"],
        "turn_id": turn["id"],
    }
    other = await served.browser(await served.account())
    answers = {}
    for route in http_routes():
        if route.parameters:
            answers[str(route)] = await other.ask(route.method, route.at(**mine), json=route.body)
            absent = await other.ask(route.method, route.at(), json=route.body)
            assert answers[str(route)].content == absent.content, route
    started = await other.post(
        "/sessions", {**BODIES["start_session"], "connection_id": session["connection_id"]}
    )
    # The owner's alone: anybody else is told so, whether or not the id is there.
    owners = {
        name
        for name in answers
        if any(noun in name for noun in ("/accounts/", "/login-providers/", "/invitations/"))
    }
    assert {name: answer.status_code for name, answer in answers.items()} == {
        name: 403 if name in owners else 404 for name in answers
    }
    assert started.content == next(iter(answers.values())).content
    for route in socket_routes():
        if route.parameters:
            assert await close_code(other, route.at(**mine)) == 4404

    assert (await other.get("/sessions")).json()["total"] == 0
    assert (await other.get("/connections")).json()["connections"] == []
    assert session["id"] not in (await other.get("/events")).text + (await other.get("/audit")).text
    assert (await phone.get(f"/sessions/{session['id']}")).json()["session"]["status"] == "active"


@pytest.mark.sshd
async def test_the_conversation_goes_on_in_the_next_session(phone: Client, sshd: Sshd) -> None:
    session = await start_session(phone, sshd)
    path = f"/conversations/{session['conversation_id']}"
    turn = (await phone.post(f"{path}/turns", {"text": "$ echo hello"})).json()["turn"]
    assert (turn["state"], turn["text"]) == ("running", "$ echo hello")
    await _until_finished(phone, path)
    await phone.delete(f"/sessions/{session['id']}")
    refused = await phone.post(f"{path}/turns", {"text": "help"})
    assert (refused.status_code, refused.json()["code"]) == (409, "session_not_active")

    second = (await phone.post("/sessions", {"connection_id": session["connection_id"]})).json()["session"]

    assert second["conversation_id"] == session["conversation_id"]
    conversation = (await phone.get(f"/connections/{session['connection_id']}/conversation")).json()[
        "conversation"
    ]
    assert conversation["session_id"] == second["id"]
    assert conversation["running_turn_id"] is None
    events = (await phone.get(f"{path}/events")).json()
    assert [event["seq"] for event in events["events"]] == list(range(1, events["last_seq"] + 1))
    kinds = [event["type"] for event in events["events"]]
    assert kinds.count("lease.started") == 2
    assert {"turn.started", "command.started", "command.output", "command.finished", "turn.finished"} <= set(
        kinds
    )
    page = (await phone.get(f"{path}/events?after=2&limit=1")).json()
    assert ([event["seq"] for event in page["events"]], page["has_more"]) == ([3], True)


async def _until_finished(phone: Client, path: str) -> None:
    async with asyncio.timeout(20), phone.socket(f"{API}{path}/live?after=0") as socket:
        async for frame in socket:
            if '"turn.finished"' in str(frame):
                return
