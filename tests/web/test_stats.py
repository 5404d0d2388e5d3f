"""What a server is and how it does, from a real one; and what odd servers and odd shells make of the probe."""

import asyncio
import os

import pytest

from clawdbox.ssh.service import stats as service
from tests.ssh.sshd import Sshd
from tests.waiting import eventually
from tests.web.routes import ABSENT
from tests.web.served import Client, Json, Make, Served, code_of, hear
from tests.web.servers import start_session

pytestmark = pytest.mark.sshd


@pytest.fixture
async def served(make: Make) -> Served:
    return await make(allow_loopback=True, stats_interval_s=0.2)


async def executions(served: Served) -> list[Json]:
    return await served.box.store.read(lambda r: r.all("SELECT * FROM executions ORDER BY id"))


async def test_a_server_says_what_it_is(phone: Client, sshd: Sshd) -> None:
    session = await start_session(phone, sshd)
    facts = (await phone.get(f"/sessions/{session['id']}/facts")).json()["facts"]
    assert (facts["system"], facts["kernel"]) == ("Linux", os.uname().release)
    assert facts["cores"] >= 1
    assert facts["memory_total"] > 1 << 28
    assert facts["uptime_s"] > 1
    assert facts["hostname"] == os.uname().nodename
    assert facts["os"]


async def test_figures_come_with_a_level_and_the_second_sample_knows_the_processors(
    phone: Client, sshd: Sshd
) -> None:
    session = await start_session(phone, sshd)
    path = f"/sessions/{session['id']}/stats"
    first = (await phone.get(path)).json()
    assert first["latest"]["cpu"] is None
    assert 0 < first["latest"]["memory"]["percent"] < 100
    assert first["latest"]["load"]["level"] in ("ok", "warn", "bad")
    assert first["latest"]["disks"]

    async def second() -> Json | None:
        found: Json = (await phone.get(path)).json()
        return found if found["latest"]["cpu"] else None

    found = await eventually(second, what="a sample with processors")
    assert found is not None
    assert 0 <= found["latest"]["cpu"]["percent"] <= 100
    assert len(found["history"]) >= 2


async def test_a_feed_probes_while_somebody_listens_and_stops_after_the_last(
    served: Served, phone: Client, sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "LINGER_S", 0.3)
    session = await start_session(phone, sshd)
    path = f"/api/v1/sessions/{session['id']}/stats/live"
    async with phone.socket(path) as one, phone.socket(path) as other:
        assert (await hear(one))["type"] == "ready"
        samples = [(await hear(one))["sample"]["at"] for _ in range(3)]
        assert samples == sorted(set(samples))
        assert (await hear(other))["type"] == "ready"
    await eventually(lambda: not served.box.stats._periods, what="the end of looking")
    rows = await executions(served)
    assert [(row["state"], row["session_lease_id"]) for row in rows] == [("done", session["id"])]
    watched = await served.audit(action="session.watch")
    assert len(watched) == 1, "one row for the whole period, not one for each probe"
    assert watched[0]["detail"]["probes"] >= 3


async def test_looking_does_not_keep_an_idle_session_alive(served: Served, phone: Client, sshd: Sshd) -> None:
    session = await start_session(phone, sshd)
    async with phone.socket(f"/api/v1/sessions/{session['id']}/stats/live") as socket:
        assert (await hear(socket))["type"] == "ready"
        await hear(socket)
        served.turn(1801)
        await served.box._jobs[0].sweep()  # type: ignore[union-attr]
        assert await code_of(socket) == 1000
    found = (await phone.get(f"/sessions/{session['id']}")).json()["session"]
    assert (found["status"], found["close_reason"]) == ("closed", "timeout")


async def test_rc_files_that_take_long_are_told_with_what_to_do(phone: Client, sshd: Sshd) -> None:
    (sshd.home / ".bashrc").write_text("sleep 0.4\n")
    session = await start_session(phone, sshd)
    slow = (await phone.post(f"/sessions/{session['id']}/shell-start")).json()["shell_start"]
    assert 400 <= slow["median_ms"] < 5000
    assert (slow["shell"], slow["level"]) == ("bash", "bad")
    assert "~/.bashrc" in slow["advice"]
    assert "case $- in" in slow["advice"]
    (sshd.home / ".bashrc").write_text("case $- in *i*) ;; *) return;; esac\nsleep 0.4\n")
    quick = (await phone.post(f"/sessions/{session['id']}/shell-start")).json()["shell_start"]
    assert quick["median_ms"] < 400
    assert len(quick["samples_ms"]) == 5


NOISE = {
    "garbage": "head -c 5000 /dev/urandom",
    "nothing": "true",
    "a flood": "yes @@memory",
    "escape codes": "printf '\\033[2J\\033]0;x\\007'",
}


@pytest.mark.parametrize("command", NOISE.values(), ids=NOISE.keys())
async def test_a_server_that_answers_nonsense_is_told_and_the_session_stays(
    phone: Client, sshd: Sshd, command: str
) -> None:
    session = await start_session(phone, sshd)
    (sshd.home / ".bashrc").write_text(f"{command}\nexit 0\n")
    for path in ("facts", "stats"):
        answer = await phone.get(f"/sessions/{session['id']}/{path}")
        assert (answer.status_code, answer.json()["code"]) == (502, "probe_failed"), answer.text
    measured = (await phone.post(f"/sessions/{session['id']}/shell-start")).json()
    assert "median_ms" not in measured or measured["median_ms"] is None
    found = (await phone.get(f"/sessions/{session['id']}")).json()["session"]
    assert found["status"] == "active"


async def test_a_greeting_before_the_answer_does_no_harm(phone: Client, sshd: Sshd) -> None:
    (sshd.home / ".bashrc").write_text("printf 'Welcome \\033[31mhome\\n@@memory\\nMemTotal: x kB\\n'\n")
    session = await start_session(phone, sshd)
    answer = await phone.get(f"/sessions/{session['id']}/stats")
    assert answer.status_code == 200
    assert "\\u001b" not in answer.text


async def test_a_probe_that_never_ends_is_given_up(
    phone: Client, sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_TIMEOUT_S", 0.5)
    session = await start_session(phone, sshd)
    (sshd.home / ".bashrc").write_text("sleep 60\n")
    answer = await phone.get(f"/sessions/{session['id']}/stats", timeout=60)
    assert (answer.status_code, answer.json()["cause"]) == (502, "timeout")


async def test_an_end_of_the_session_ends_the_feed(phone: Client, sshd: Sshd) -> None:
    session = await start_session(phone, sshd)
    async with phone.socket(f"/api/v1/sessions/{session['id']}/stats/live") as socket:
        await hear(socket)
        await phone.delete(f"/sessions/{session['id']}")
        assert await code_of(socket) == 1000
    assert (await phone.get(f"/sessions/{session['id']}/stats")).json()["code"] == "session_not_active"


async def test_another_account_finds_none_of_it(served: Served, phone: Client, sshd: Sshd) -> None:
    session = await start_session(phone, sshd)
    other = await served.browser(await served.account())
    absent = (await other.get(f"/sessions/{ABSENT}/stats")).json()
    for path in ("facts", "stats"):
        answer = await other.get(f"/sessions/{session['id']}/{path}")
        assert (answer.status_code, answer.json()) == (404, absent)
    assert (await other.post(f"/sessions/{session['id']}/shell-start")).status_code == 404
    async with other.socket(f"/api/v1/sessions/{session['id']}/stats/live") as socket:
        assert await code_of(socket) == 4404
    assert await executions(served) == []


async def test_many_who_look_at_once_share_a_period(served: Served, phone: Client, sshd: Sshd) -> None:
    session = await start_session(phone, sshd)
    paths = ["facts", "stats"] * 8
    answers = await asyncio.gather(*(phone.get(f"/sessions/{session['id']}/{path}") for path in paths))
    assert {answer.status_code for answer in answers} == {200}
    assert len(await executions(served)) == 1
