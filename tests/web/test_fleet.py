"""A command on many servers: what each answers, what is never run twice, and what is not run at all."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from clawdbox.errors import Unavailable
from clawdbox.events import Actor
from tests.ssh.sshd import Sshd
from tests.waiting import eventually
from tests.web.served import Client, Json, Make, Served, hear, new_connection
from tests.web.servers import connect_to, start_session

pytestmark = pytest.mark.sshd


@pytest.fixture
async def served(make: Make) -> Served:
    return await make(allow_loopback=True, rate_test_per_minute=100, rate_session_start_per_hour=100)


@pytest.fixture
async def second(tmp_path: Path) -> AsyncIterator[Sshd]:
    with Sshd(tmp_path / "second") as server:
        yield server


async def run(client: Client, connections: list[Json], command: str, **more: object) -> Json:
    body = {"command": command, "connection_ids": [one["id"] for one in connections], **more}
    answer = await client.post("/fleet-runs", {k: v for k, v in body.items() if v is not None})
    assert answer.status_code == 201, answer.text
    found: Json = answer.json()
    return found


async def ended(client: Client, started: Json) -> Json:
    run_id = started["fleet_run"]["id"]

    async def over() -> Json | None:
        found: Json = (await client.get(f"/fleet-runs/{run_id}")).json()
        return found if found["fleet_run"]["state"] != "running" else None

    found = await eventually(over, timeout=40, what="the end of the run")
    assert found is not None
    return found


def by_label(found: Json) -> dict[str, Json]:
    return {answer["label"]: answer for answer in found["answers"]}


async def open_sessions(client: Client) -> list[Json]:
    sessions: list[Json] = (await client.get("/sessions")).json()["sessions"]
    return [one for one in sessions if one["status"] in ("active", "pending")]


async def test_every_server_answers_once_and_sessions_made_for_it_are_closed(
    phone: Client, sshd: Sshd, second: Sshd
) -> None:
    chosen = [
        await connect_to(phone, sshd, "a"),
        await connect_to(phone, second, "b"),
        await connect_to(phone, second, "c"),
    ]
    marks = [sshd.home / "runs", second.home / "runs"]
    started = await run(phone, chosen, "echo run >> ~/runs; echo hello; echo warn >&2")
    assert started["fleet_run"]["state"] == "running"
    found = await ended(phone, started)
    assert found["fleet_run"]["state"] == "done"
    assert found["fleet_run"]["counts"] == {"done": 3}
    assert {(one["stdout"], one["stderr"], one["exit_status"]) for one in found["answers"]} == {
        ("hello\n", "warn\n", 0)
    }
    assert len({one["digest"] for one in found["answers"]}) == 1
    assert [mark.read_text().count("run") for mark in marks] == [1, 2]
    assert await open_sessions(phone) == []


async def test_an_open_session_is_used_and_stays_open(phone: Client, sshd: Sshd) -> None:
    session = await start_session(phone, sshd, "a")
    found = await ended(phone, await run(phone, [session["connection"]], "echo $SSH_CONNECTION"))
    assert by_label(found)["a"]["session_id"] == session["id"]
    assert [one["id"] for one in await open_sessions(phone)] == [session["id"]]


@pytest.mark.parametrize(
    "path, body",
    [
        ("forwards", {"kind": "local", "target_port": 9}),
        ("files/uploads", {"path": "HOME/new", "size": 10}),
        ("files/folders", {"path": "HOME/new"}),
    ],
    ids=["a forward", "an upload", "files"],
)
async def test_a_session_made_for_a_run_stays_when_somebody_works_in_it_meanwhile(
    phone: Client, sshd: Sshd, path: str, body: Json
) -> None:
    connection = await connect_to(phone, sshd, "a")
    started = await run(phone, [connection], "until [ -e ~/go ]; do sleep 0.1; done")

    async def active() -> Json | None:
        return next((one for one in await open_sessions(phone) if one["status"] == "active"), None)

    session = await eventually(active, what="the session of the run")
    assert session is not None
    wish = json.loads(json.dumps(body).replace("HOME", str(sshd.home)))
    begun = await phone.post(f"/sessions/{session['id']}/{path}", wish)
    assert begun.is_success, begun.text
    (sshd.home / "go").touch()
    await ended(phone, started)
    assert [one["id"] for one in await open_sessions(phone)] == [session["id"]]


async def test_one_that_differs_fails_or_cannot_be_reached_says_why(
    phone: Client, sshd: Sshd, second: Sshd, tmp_path: Path
) -> None:
    (second.home / "odd").touch()
    good, odd = await connect_to(phone, sshd, "good"), await connect_to(phone, second, "odd")
    draft = await new_connection(phone, label="draft", host="127.0.0.1", username="x", port=1)
    with Sshd(tmp_path / "third") as third:
        gone = await connect_to(phone, third, "gone")
    command = "test ! -e ~/odd || exit 3"
    found = by_label(await ended(phone, await run(phone, [good, odd, draft, gone, good], command)))
    assert {label: one["state"] for label, one in found.items()} == {
        "good": "done",
        "odd": "failed",
        "draft": "refused",
        "gone": "refused",
    }
    assert (found["odd"]["exit_status"], found["odd"]["cause"]) == (3, "exit_status")
    assert found["good"]["digest"] != found["odd"]["digest"]
    assert found["draft"]["cause"] == "connection_untested"
    assert found["gone"]["cause"] == "port"
    assert found["gone"]["next_step"]
    assert found["gone"]["digest"] is None


async def test_more_servers_than_sessions_allowed_take_turns(phone: Client, sshd: Sshd) -> None:
    await phone.patch("/account/settings", {"max_leases": 2})
    chosen = [await connect_to(phone, sshd, f"s{number}") for number in range(6)]
    found = await ended(phone, await run(phone, chosen, "sleep 0.2; echo ok"))
    assert found["fleet_run"]["counts"] == {"done": 6}
    assert await open_sessions(phone) == []


async def test_where_a_person_uses_every_session_the_run_says_so_and_takes_none(
    phone: Client, sshd: Sshd
) -> None:
    await phone.patch("/account/settings", {"max_leases": 1})
    session = await start_session(phone, sshd, "mine")
    others = [await connect_to(phone, sshd, "x"), await connect_to(phone, sshd, "y")]
    found = by_label(await ended(phone, await run(phone, [session["connection"], *others], "true")))
    assert {label: one["state"] for label, one in found.items()} == {
        "mine": "done", "x": "refused", "y": "refused"
    }  # fmt: skip
    assert found["x"]["cause"] == "lease_limit_reached"


async def test_output_is_kept_up_to_its_cap_and_shown_short_in_the_list(phone: Client, sshd: Sshd) -> None:
    connection = await connect_to(phone, sshd, "a")
    command = "head -c 300000 /dev/zero | tr '\\0' a; echo end >&2"
    found = await ended(phone, await run(phone, [connection], command))
    short = by_label(found)["a"]
    assert (len(short["stdout"]), short["stderr"], short["truncated"], short["shortened"]) == (
        4096, "end\n", True, True
    )  # fmt: skip
    run_id = found["fleet_run"]["id"]
    whole = (await phone.get(f"/fleet-runs/{run_id}/answers/{short['id']}")).json()["answer"]
    assert (len(whole["stdout"]), whole["shortened"]) == (65536, False)


async def test_output_that_is_no_text_comes_as_base64(phone: Client, sshd: Sshd) -> None:
    connection = await connect_to(phone, sshd, "a")
    found = by_label(await ended(phone, await run(phone, [connection], "printf '\\377\\376'")))["a"]
    assert (found["encoding"], found["stdout"]) == ("base64", "//4=")


async def test_a_command_that_takes_too_long_is_stopped(phone: Client, sshd: Sshd) -> None:
    connection = await connect_to(phone, sshd, "a")
    found = by_label(
        await ended(phone, await run(phone, [connection], "echo so far; sleep 60", timeout_s=1))
    )["a"]
    assert (found["state"], found["cause"], found["stdout"]) == ("failed", "timed_out", "so far\n")


async def test_cancelling_stops_what_runs_and_sends_nothing_more(make: Make, sshd: Sshd) -> None:
    served = await make(allow_loopback=True, rate_test_per_minute=100, fleet_parallel=1)
    phone = await served.browser()
    chosen = [await connect_to(phone, sshd, "a"), await connect_to(phone, sshd, "b")]
    started = await run(phone, chosen, "echo run >> ~/runs; sleep 60; echo late >> ~/runs")
    runs = sshd.home / "runs"
    await eventually(runs.exists, timeout=20)
    run_id = started["fleet_run"]["id"]
    assert (await phone.post(f"/fleet-runs/{run_id}/cancel")).status_code == 200
    found = await ended(phone, started)
    assert found["fleet_run"]["state"] == "cancelled"
    assert found["fleet_run"]["counts"] == {"cancelled": 2}
    assert runs.read_text() == "run\n"
    again = await phone.post(f"/fleet-runs/{run_id}/cancel")
    assert again.json()["fleet_run"]["state"] == "cancelled"
    assert len(await served.audit(action="fleet.cancel")) == 1


async def test_a_link_that_breaks_in_between_is_lost_and_not_run_again(phone: Client, sshd: Sshd) -> None:
    session = await start_session(phone, sshd, "a")
    started = await run(phone, [session["connection"]], "echo run >> ~/runs; sleep 30")
    await eventually((sshd.home / "runs").exists, timeout=20)
    sshd.kill_connections()
    found = by_label(await ended(phone, started))["a"]
    assert (found["state"], found["cause"]) == ("lost", "lost")
    assert (sshd.home / "runs").read_text() == "run\n"


async def test_the_stopping_box_ends_a_run_and_says_what_was_sent(make: Make, sshd: Sshd) -> None:
    served = await make(allow_loopback=True, rate_test_per_minute=100, fleet_parallel=1)
    phone = await served.browser()
    chosen = [await connect_to(phone, sshd, "a"), await connect_to(phone, sshd, "b")]
    run_id = (await run(phone, chosen, "echo run >> ~/runs; sleep 60"))["fleet_run"]["id"]
    await eventually((sshd.home / "runs").exists, timeout=20)
    await served.box.fleet.stop()
    found = (await phone.get(f"/fleet-runs/{run_id}")).json()
    assert found["fleet_run"]["state"] == "interrupted"
    assert sorted(one["cause"] for one in found["answers"]) == ["box_ended", "cancelled"]
    refused = await phone.post("/fleet-runs", {"command": "true", "connection_ids": [chosen[0]["id"]]})
    assert (refused.status_code, refused.json()["code"]) == (503, "stopping")


async def test_each_answer_is_told_as_it_comes(served: Served, phone: Client, sshd: Sshd) -> None:
    connection = await connect_to(phone, sshd, "a")
    async with phone.socket("/api/v1/events/live") as socket:
        assert (await hear(socket))["type"] == "ready"
        started = await run(phone, [connection], "true")
        told: list[tuple[str, str | None]] = []
        while not told or told[-1][0] != "fleet.ended":
            event = (await hear(socket))["event"]
            if event["type"].startswith("fleet."):
                assert event["subject_id"] == started["fleet_run"]["id"]
                told.append((event["type"], event["payload"].get("state")))
    assert told == [
        ("fleet.started", None), ("fleet.answer", "running"), ("fleet.answer", "done"), ("fleet.ended", "done")
    ]  # fmt: skip
    row = (await served.audit(action="fleet.run"))[0]
    assert row["detail"]["connections"] == 1
    assert "true" not in row["detail"].values(), "the trail holds the command's hash only"


async def test_another_account_finds_neither_run_nor_server(
    served: Served, phone: Client, sshd: Sshd
) -> None:
    connection = await connect_to(phone, sshd, "a")
    found = await ended(phone, await run(phone, [connection], "true"))
    run_id, answer_id = found["fleet_run"]["id"], found["answers"][0]["id"]
    other = await served.browser(await served.account())
    mine = (await other.post("/connections", {"label": "x", "host": "nas.lan", "username": "b"})).json()
    for answer in (
        await other.get(f"/fleet-runs/{run_id}"),
        await other.get(f"/fleet-runs/{run_id}/answers/{answer_id}"),
        await other.post(f"/fleet-runs/{run_id}/cancel"),
        await other.post(
            "/fleet-runs",
            {"command": "true", "connection_ids": [mine["connection"]["id"], connection["id"]]},
        ),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), answer.text
    assert (await other.get("/fleet-runs")).json()["total"] == 0


@pytest.mark.parametrize(
    "body, field",
    [
        ({"command": "true", "connection_ids": []}, None),
        ({"connection_ids": ["x"]}, None),
        ({"command": " ", "connection_ids": ["{id}"]}, "command"),
        ({"command": "true", "snippet_id": "{id}", "connection_ids": ["{id}"]}, "command"),
        ({"connection_ids": ["{id}"]}, "command"),
        ({"command": "true", "connection_ids": ["{id}"], "timeout_s": 5000}, "timeout_s"),
    ],
)
async def test_what_cannot_be_run_is_refused_before_anything_is_written(
    phone: Client, body: Json, field: str | None
) -> None:
    connection = await new_connection(phone)
    told = {
        name: [one.format(id=connection["id"]) for one in value] if isinstance(value, list)
        else value.format(id=connection["id"]) if isinstance(value, str) else value
        for name, value in body.items()
    }  # fmt: skip
    answer = await phone.post("/fleet-runs", told)
    assert answer.status_code in (404, 422)
    assert field is None or answer.json()["field"] == field, answer.text
    assert (await phone.get("/fleet-runs")).json()["total"] == 0


async def test_four_runs_at_a_time_and_ten_a_minute(phone: Client, sshd: Sshd) -> None:
    session = await start_session(phone, sshd, "a")
    runs = [await run(phone, [session["connection"]], "sleep 60") for _ in range(4)]
    body = {"command": "true", "connection_ids": [session["connection_id"]]}
    refused = await phone.post("/fleet-runs", body)
    assert (refused.status_code, refused.json()["code"]) == (409, "fleet_limit_reached")
    for one in runs:
        await phone.post(f"/fleet-runs/{one['fleet_run']['id']}/cancel")
    for one in runs:
        await ended(phone, one)
    answers = [await phone.post("/fleet-runs", body) for _ in range(6)]
    assert answers[-1].status_code == 429
    await asyncio.gather(*(ended(phone, one.json()) for one in answers if one.status_code == 201))


async def test_a_snippet_runs_with_its_values_quoted(phone: Client, sshd: Sshd) -> None:
    connection = await connect_to(phone, sshd, "a")
    made = await phone.post(
        "/snippets", {"label": "Say", "command": "printf '<%s>' {{what}}", "variables": [{"name": "what"}]}
    )
    assert made.status_code == 201, made.text
    body = {"snippet_id": made.json()["snippet"]["id"], "values": {"what": '\'; touch ~/hit; echo "$(id)"'}}
    found = await ended(phone, await run(phone, [connection], None, **body))  # type: ignore[arg-type]
    assert by_label(found)["a"]["stdout"] == '<\'; touch ~/hit; echo "$(id)">'
    assert found["fleet_run"]["title"] == "Say"
    assert not (sshd.home / "hit").exists()


async def test_a_run_whose_end_the_disk_refuses_ends_once_there_is_room(
    served: Served, phone: Client, sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = await connect_to(phone, sshd, "a")
    started = await run(phone, [connection], "touch ~/begun; while [ ! -e ~/go ]; do sleep 0.1; done")
    await eventually((sshd.home / "begun").exists, what="a command on the server")
    refused = 0

    async def full(_change: object) -> None:
        nonlocal refused
        refused += 1
        raise Unavailable("storage_full", "Full.")

    monkeypatch.setattr("clawdbox.ssh.service.fleet._AGAIN_S", 0.2)
    with monkeypatch.context() as disk:
        disk.setattr(served.box.fleet._store, "write", full)
        (sshd.home / "go").touch()
        await eventually(lambda: refused > 6, timeout=40, what="several tries")
    found = await ended(phone, started)
    assert found["fleet_run"]["state"] == "done"
    assert found["answers"][0]["state"] == "lost"


async def test_a_run_whose_caller_gives_up_while_it_is_written_down_flies_all_the_same(
    served: Served, phone: Client, sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = await connect_to(phone, sshd, "a")
    fleet, owner = served.box.fleet, served.box.owner.id
    really, written, go_on = fleet._store.write, asyncio.Event(), asyncio.Event()

    async def slowly(change: object) -> object:
        result: object = await really(change)  # type: ignore[arg-type]
        written.set()
        await go_on.wait()
        return result

    with monkeypatch.context() as disk:
        disk.setattr(fleet._store, "write", slowly)
        asking = asyncio.ensure_future(
            fleet.start(Actor(owner), owner, "true", [connection["id"]], timeout_s=20)
        )
        await written.wait()
        asking.cancel()
        go_on.set()
        await asyncio.wait({asking})
    (found,) = (await phone.get("/fleet-runs")).json()["fleet_runs"]
    assert (await ended(phone, {"fleet_run": found}))["fleet_run"]["counts"] == {"done": 1}


async def test_where_people_are_judged_a_run_does_only_what_needs_no_answer(
    phone: Client, sshd: Sshd, second: Sshd
) -> None:
    chosen = [await connect_to(phone, sshd, "judged"), await connect_to(phone, second, "free")]
    await phone.patch(f"/connections/{chosen[0]['id']}", {"judge_people": True})
    found = by_label(await ended(phone, await run(phone, chosen, "echo x > ~/made")))
    assert (found["judged"]["state"], found["judged"]["cause"]) == ("refused", "command_judged")
    assert found["free"]["state"] == "done"
    assert not (sshd.home / "made").exists()
    assert (second.home / "made").exists()
    found = by_label(await ended(phone, await run(phone, chosen, "uptime")))
    assert found["judged"]["state"] == "done"
