"""Errors a person can act on and a program can tell apart, whatever went wrong."""

import asyncio
from typing import Any

import pytest

from clawdbox.errors import Problem
from tests.waiting import eventually
from tests.web.routes import ABSENT, http_routes
from tests.web.served import API, Client, Make, Served, new_connection

MEMBERS = {"type", "title", "status", "detail", "code"}


def is_problem(answer: Any, status: int, code: str) -> bool:
    body = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(body) >= MEMBERS
    assert (answer.status_code, body["status"], body["code"]) == (status, status, code), answer.text
    assert body["type"] == f"urn:clawdbox:problem:{code}"
    assert body["detail"].endswith((".", ")"))
    return True


async def test_what_is_not_there_and_what_is_not_allowed_are_problems(phone: Client) -> None:
    assert is_problem(await phone.get("/nothing"), 404, "not_found")
    assert is_problem(await phone.ask("GET", "/api"), 404, "not_found")
    wrong = await phone.ask("PUT", f"{API}/keys", json={})
    assert is_problem(wrong, 405, "method_not_allowed")
    assert "POST" in wrong.headers["allow"]
    assert is_problem(await phone.ask("POST", "/"), 405, "method_not_allowed")


@pytest.mark.parametrize(
    "body", [b"{bad", b"\xff", b'{"label": "\\ud800"}', b'{"a":1e400}', b'{"label":"a"}x', b"[" * 100_000]
)
async def test_a_body_that_is_no_json_is_called_that(phone: Client, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    answer = await phone.ask("POST", f"{API}/keys", content=body, headers=headers)
    assert is_problem(answer, 400, "malformed_json")


@pytest.mark.parametrize(
    "body, field, part",
    [
        ({}, "label", "required"),
        ({"label": 1, "host": "a", "username": "b"}, "label", "a text, not a whole number"),
        ({"label": "a", "host": "b", "username": "c", "port": 0}, "port", "at least 1"),
        ({"label": "a", "host": "b", "username": "c", "port": 65536}, "port", "at most 65535"),
        ({"label": "a", "host": "b", "username": "c", "port": 10**40}, "port", ""),
        ({"label": "a", "host": "b", "username": "c", "prot": 22}, "prot", "spelling"),
        ({"label": "a" * 300, "host": "b", "username": "c"}, "label", "at most 256 characters"),
        ({"label": "a" * 65, "host": "b", "username": "c"}, "label", "64"),
        ({"label": "a\u0000b", "host": "b", "username": "c"}, "label", "control"),
        ({"label": "-a", "host": "b", "username": "c"}, "label", "dash"),
        ({"label": "a", "host": "-oProxyCommand=x", "username": "c"}, "host", ""),
        ({"label": "a", "host": "2130706433", "username": "c"}, "host", ""),
        ({"label": "a", "host": "b", "username": "-l root"}, "username", ""),
        ([], "body", "an object, not a list"),
        ("x", "body", "an object, not a text"),
    ],
)
async def test_a_bad_field_is_named_in_a_sentence(phone: Client, body: Any, field: str, part: str) -> None:
    answer = await phone.post("/connections", body)
    assert is_problem(answer, 422, "invalid_input")
    problem = answer.json()
    assert problem["field"] == field
    assert problem["errors"][0]["field"] == field
    assert part in problem["errors"][0]["message"]


async def test_bobs_nas_is_a_fine_label(phone: Client) -> None:
    assert (await new_connection(phone, label="Bob's NAS"))["label"] == "Bob's NAS"


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=x",
        "offset=-1",
        "limit=99999999999999999999999",
        "offset=1.5",
        "status=sleeping",
    ],
)
async def test_a_bad_query_is_named_too(phone: Client, query: str) -> None:
    answer = await phone.get(f"/sessions?{query}")
    assert is_problem(answer, 422, "invalid_input")
    assert answer.json()["field"] == query.partition("=")[0]


async def test_numbers_of_any_size_are_answered(phone: Client) -> None:
    for path in ("/events?after={}", "/sessions?offset={}", "/audit?limit={}", "/events?limit={}"):
        for number in (2**31, 2**62 + 1, 2**63, 2**64, 10**30, -1):
            answer = await phone.get(path.format(number))
            assert answer.status_code in (200, 422), (path, number)
            assert answer.status_code == 422 or 0 <= number < 2**62


class TestSize:
    async def test_a_body_over_the_limit_is_refused(self, phone: Client) -> None:
        answer = await phone.post("/keys", {"label": "a" * 1_100_000})
        assert is_problem(answer, 413, "body_too_large")
        assert (await phone.get("/keys")).status_code == 200

    async def test_so_is_one_that_does_not_tell_its_length(self, phone: Client) -> None:
        async def endless() -> Any:
            for _ in range(60):
                yield b"a" * 65_536

        headers = {"content-type": "application/json"}
        answer = await phone.ask("POST", f"{API}/keys", content=endless(), headers=headers)
        assert is_problem(answer, 413, "body_too_large")

    async def test_so_is_one_with_an_idempotency_key(self, phone: Client) -> None:
        answer = await phone.post("/keys", {"label": "a" * 1_100_000}, headers={"idempotency-key": "big"})
        assert is_problem(answer, 413, "body_too_large")

    async def test_a_stranger_may_not_send_much_either(self, stranger: Client) -> None:
        assert is_problem(await stranger.post("/auth/pair", {"code": "a" * 1_100_000}), 413, "body_too_large")


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"]
)
async def test_a_form_is_never_read_as_json(phone: Client, kind: str) -> None:
    answer = await phone.ask("POST", f"{API}/keys", content=b'{"label":"a"}', headers={"content-type": kind})
    assert is_problem(answer, 415, "unsupported_media_type")


class TestSurprises:
    async def test_what_nobody_foresaw_shows_a_reference_and_nothing_else(
        self, served: Served, phone: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def fail(*_: object) -> None:
            raise RuntimeError("CANARY in /etc/secret")

        monkeypatch.setattr(served.box.keys, "list", fail)

        answer = await phone.get("/keys")

        assert is_problem(answer, 500, "internal_error")
        assert "CANARY" not in answer.text
        assert "RuntimeError" not in answer.text
        assert len(answer.json()["reference"]) == 12

    async def test_a_request_ends_after_its_time(self, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        served = await make(request_timeout_s=0.05)
        phone = await served.browser()
        cancelled = asyncio.Event()

        async def hang(*_: object) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        monkeypatch.setattr(served.box.keys, "list", hang)
        answer = await phone.get("/keys")
        assert is_problem(answer, 504, "request_timeout")
        assert cancelled.is_set()

    async def test_a_body_that_comes_too_slowly_is_not_waited_for(self, make: Make) -> None:
        """A command's own time-out may be long; that of its request's body is not."""
        served = await make(request_timeout_s=0.2)
        script = await served.script()
        stuck = asyncio.Event()

        async def slow() -> Any:
            yield b'{"command":'
            await stuck.wait()

        path = f"{API}/sessions/{ABSENT}/exec"
        asking = asyncio.create_task(
            script.ask("POST", path, content=slow(), headers={"content-type": "application/json"})
        )
        rows = await eventually(lambda: served.audit(action="session.exec", result="failed"))
        assert rows[0]["detail"]["code"] == "request_timeout"
        stuck.set()
        await asyncio.wait({asking})
        if not asking.exception():
            assert is_problem(asking.result(), 504, "request_timeout")

    async def test_a_problem_with_more_to_tell_tells_it_but_not_over_its_own_members(
        self, served: Served, phone: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def fail(*_: object) -> None:
            raise Problem("odd", "This is odd.", cause="name", status=200, title="x")

        monkeypatch.setattr(served.box.keys, "list", fail)
        answer = await phone.get("/keys")
        assert is_problem(answer, 400, "odd")
        assert answer.json()["cause"] == "name"


async def test_no_route_answers_bad_bodies_with_a_fault_of_its_own(make: Make) -> None:
    served = await make(rate_test_per_minute=10_000, rate_session_start_per_hour=10_000)
    script = await served.script()
    bad = [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"1",
        b'"x"',
        b"{",
        b'{"label":null}',
        b'{"text":1}',
        b'{"command":[]}',
    ]
    for route in http_routes(unsafe=True):
        if route.name == "sign_out":
            continue
        for body in bad:
            headers = {"content-type": "application/json"}
            answer = await script.ask(route.method, route.at(), content=body, headers=headers)
            assert answer.status_code < 500, (route, body)
            if answer.status_code >= 400:
                assert answer.headers["content-type"] == "application/problem+json"
