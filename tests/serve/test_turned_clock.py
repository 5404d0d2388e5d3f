"""Janitor, limits and time-outs through the running `serve`, its clock turned instead of waited for."""

import pytest

from tests.serve.turned import Turned
from tests.ssh.sshd import Sshd
from tests.waiting import eventually_sync

pytestmark = pytest.mark.sshd


def test_a_session_in_which_nothing_happens_ends_at_its_idle_time_out(turned: Turned, server: Sshd) -> None:
    turned.http.patch("/account/settings", json={"idle_timeout_s": 600}).raise_for_status()
    session_id = turned.post("/sessions", {"connection_id": turned.tested(server)})["session"]["id"]
    turned.turn(590)
    body = {"command": "true"}
    assert turned.post(f"/sessions/{session_id}/exec", body, status=200)["exit_status"] == 0
    turned.turn(590)
    eventually_sync(lambda: turned.session(session_id)["last_heartbeat_at"], what="a heartbeat")
    assert turned.session(session_id)["status"] == "active", "a command counts as something that happened"
    turned.turn(20)
    session = turned.ended(session_id)
    assert (session["status"], session["close_reason"]) == ("closed", "timeout")


def test_a_link_that_is_not_back_within_the_grace_ends_its_session(turned: Turned, server: Sshd) -> None:
    session_id = turned.post("/sessions", {"connection_id": turned.tested(server)})["session"]["id"]
    server.stop()
    eventually_sync(
        lambda: turned.session(session_id)["master"]["grace_ends_at"], timeout=20, what="the loss of the link"
    )
    turned.turn(240)
    assert turned.session(session_id)["status"] == "active", "four of five minutes are within the grace"
    turned.turn(70)
    session = turned.ended(session_id)
    assert (session["status"], session["close_reason"]) == ("closed", "server_closed")


def test_a_link_that_comes_back_within_the_grace_keeps_its_session(turned: Turned, server: Sshd) -> None:
    session_id = turned.post("/sessions", {"connection_id": turned.tested(server)})["session"]["id"]
    server.kill_connections()
    eventually_sync(lambda: turned.session(session_id)["master"]["redials"] >= 1, timeout=20, what="a redial")
    eventually_sync(
        lambda: turned.session(session_id)["master"]["state"] == "up", timeout=20, what="the link"
    )
    assert (
        turned.post(f"/sessions/{session_id}/exec", {"command": "echo back"}, status=200)["stdout"]
        == "back\n"
    )


def test_a_pairing_code_ends_after_ten_minutes(turned: Turned) -> None:
    turned.turn(601)
    answer = turned.http.post(
        "/auth/pair", json={"code": turned.printed_code()}, headers={"Authorization": ""}
    )
    assert (answer.status_code, answer.json()["code"]) == (401, "pairing_code_invalid")


def test_a_browser_that_is_not_used_for_thirty_days_is_signed_out(turned: Turned) -> None:
    with turned.http.__class__(base_url=turned.http.base_url) as browser:
        browser.post("/auth/pair", json={"code": turned.printed_code()}).raise_for_status()
        turned.turn(29 * 86400)
        assert browser.get("/auth/me").status_code == 200, "a use before the end moves the end"
        turned.turn(29 * 86400)
        assert browser.get("/auth/me").status_code == 200
        turned.turn(31 * 86400)
        assert browser.get("/auth/me").status_code == 401


def test_five_tests_a_minute_are_allowed_and_the_sixth_says_when_to_come_back(
    turned: Turned, server: Sshd
) -> None:
    connection_id = turned.tested(server)  # two of the five
    path = f"/connections/{connection_id}/test"
    for _ in range(3):
        turned.post(path, status=200)
    refused = turned.http.post(path, json={})
    assert refused.status_code == 429
    turned.turn(int(refused.headers["Retry-After"]))
    turned.post(path, status=200)


def test_ten_starts_an_hour_are_allowed(turned: Turned, server: Sshd) -> None:
    connection_id = turned.tested(server)
    for _ in range(10):
        session_id = turned.post("/sessions", {"connection_id": connection_id})["session"]["id"]
        turned.http.delete(f"/sessions/{session_id}").raise_for_status()
    refused = turned.http.post("/sessions", json={"connection_id": connection_id})
    assert refused.status_code == 429
    turned.turn(3601)
    turned.post("/sessions", {"connection_id": connection_id})
