"""What a request leaves behind: rows in the audit trail, one line in the log, numbers; and never a secret."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from clawdbox import logs
from clawdbox.events.model import SYSTEM
from clawdbox.store import Tx
from tests.web.routes import ABSENT
from tests.web.served import API, Client, Make, Served, new_connection


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the box writes to its log, as a running box has it."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    out = io.StringIO()
    logs.configure("debug", out)
    yield out
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def lines(log: io.StringIO, event: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in log.getvalue().splitlines()]
    return [line for line in found if line["event"] == event]


class TestAudit:
    async def test_a_failed_change_is_written_down_with_what_it_was(
        self, served: Served, phone: Client
    ) -> None:
        await new_connection(phone)
        await phone.post("/connections", {"label": "NAS", "host": "a", "username": "b"})
        await phone.post("/connections", {"label": 1})
        await phone.delete(f"/keys/{ABSENT}")

        rows = await served.audit(result="failed")

        assert [(row["action"], row["detail"]) for row in rows] == [
            ("connection.create", {"code": "label_taken", "status": 409, "route": f"{API}/connections"}),
            ("connection.create", {"code": "invalid_input", "status": 422, "route": f"{API}/connections"}),
            ("keypair.revoke", {"code": "not_found", "status": 404, "route": f"{API}/keys/{{keypair_id}}"}),
        ]
        assert {row["actor"] for row in rows} == {f"account:{served.box.owner.id}"}
        assert {row["ip_address"] for row in rows} == {"127.0.0.1"}

    async def test_so_is_one_without_the_nonce(self, served: Served, phone: Client) -> None:
        phone.csrf = None
        await phone.post("/keys", {})
        assert [
            row["detail"]["code"] for row in await served.audit(action="keypair.create", result="failed")
        ] == ["csrf_missing"]

    async def test_strangers_who_try_are_written_down_by_address(
        self, served: Served, stranger: Client
    ) -> None:
        await stranger.post("/auth/pair", {"code": "wrong"})
        await stranger.get("/keys")
        stranger.headers = {"authorization": "Bearer wrong"}
        await stranger.get("/keys")
        rows = await served.audit(result="failed")
        assert [(row["action"], row["account_id"], row["ip_address"]) for row in rows] == [
            ("login.pair", None, "127.0.0.1"),
            ("login.authenticate", None, "127.0.0.1"),
        ]

    async def test_a_flood_of_refusals_is_no_flood_of_rows(self, make: Make) -> None:
        served = await make(rate_request_per_minute=3)
        script = await served.script()
        for _ in range(20):
            await script.post("/keys", {"label": "-"})
        rows = await served.audit(action="keypair.create", result="failed")
        assert [row["detail"]["status"] for row in rows] == [422, 422, 422, 429]

    async def test_the_trail_is_read_by_pages_without_a_hole(self, served: Served, phone: Client) -> None:
        for number in range(7):
            await new_connection(phone, label=f"c{number}")
        account = await served.account("Later")
        await served.box.accounts.set_active(SYSTEM, account.id, False)
        everything = (await phone.get("/audit?limit=500")).json()
        assert everything["next_before"] is None

        seen, more = [], ""
        while True:
            page = (await phone.get(f"/audit?limit=2{more}")).json()
            seen += page["entries"]
            if page["next_before"] is None:
                break
            more = f"&before={page['next_before']}"

        assert seen == everything["entries"]
        assert set(seen[0]) == {
            "id", "actor", "action", "target_type", "target_id", "ip_address", "result", "detail", "created_at",
        }  # fmt: skip
        only = (await phone.get("/audit?action=connection.create")).json()["entries"]
        assert len(only) == 7
        assert (await phone.get("/audit?before=yesterday")).json()["field"] == "before"

    async def test_rows_of_one_transaction_are_not_left_out_between_pages(
        self, served: Served, phone: Client
    ) -> None:
        owner = served.box.owner.id

        def many(tx: Tx) -> None:
            for number in range(5):
                served.box.ledger.audit(tx, SYSTEM, "test.at_once", detail={"n": number}, account_id=owner)

        await served.box.store.write(many)
        first = (await phone.get("/audit?limit=3&action=test.at_once")).json()
        second = (await phone.get(f"/audit?limit=3&action=test.at_once&before={first['next_before']}")).json()
        numbers = [entry["detail"]["n"] for entry in [*first["entries"], *second["entries"]]]
        assert (numbers, second["next_before"]) == ([4, 3, 2, 1, 0], None)

    async def test_the_chain_holds(self, served: Served, phone: Client) -> None:
        await phone.post("/keys", {"label": "-"})
        check = await served.box.store.read(lambda r: served.box.ledger.verify(r, None))
        assert check.first_bad is None


class TestLog:
    async def test_each_request_is_one_line_with_its_route_and_who_asked(
        self, log: io.StringIO, served: Served, phone: Client
    ) -> None:
        log.truncate(0)
        log.seek(0)
        await phone.get(f"/connections/{ABSENT}?token=CANARY")

        (line,) = lines(log, "web.request")

        assert line["route"] == f"{API}/connections/{{connection_id}}"
        assert (line["method"], line["status"], line["problem"]) == ("GET", 404, "not_found")
        assert (line["account_id"], line["login_id"]) == (served.box.owner.id, phone.login_id)
        assert line["ms"] >= 0

    async def test_a_fault_is_found_by_its_reference(
        self, log: io.StringIO, served: Served, phone: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def fail(*_: object) -> None:
            raise RuntimeError("what really happened")

        monkeypatch.setattr(served.box.keys, "list", fail)
        reference = (await phone.get("/keys")).json()["reference"]
        (line,) = lines(log, "web.internal_error")
        assert line["reference"] == reference
        assert "what really happened" in line["exception"]

    async def test_no_secret_is_in_the_log_or_the_audit_trail(
        self, log: io.StringIO, served: Served, stranger: Client
    ) -> None:
        code = (await served.box.accounts.make_pairing_code(SYSTEM, served.box.owner.id)).code
        paired = await stranger.post("/auth/pair", {"code": code})
        cookie, csrf = stranger.http.cookies["clawdbox_login"], paired.json()["csrf_token"]
        stranger.csrf = csrf
        made = (await stranger.post("/pairing-codes")).json()["pairing_code"]["code"]
        words = (await stranger.post("/recovery-words")).json()["words"]
        await stranger.post(f"/keys?token={cookie}", {"label": "-"})
        async with stranger.socket(f"/api/v1/events/live?token={cookie}") as socket:
            await socket.recv()
        trail = json.dumps(await served.audit(), default=str)
        for secret in (code, cookie, csrf, made, " ".join(words[:3])):
            assert secret not in log.getvalue()
            assert secret not in trail

    def test_values_whose_key_speaks_of_a_secret_are_hidden(self, log: io.StringIO) -> None:
        logs.get("test").info(
            "test.secret",
            token="CANARY",
            headers={
                "Authorization": "CANARY",
                "X-CSRF-Token": "CANARY",
                "Cookie": "CANARY",
                "host": "shown",
            },
            private_key_pem="CANARY",
            words=["CANARY"],
            code="CANARY",
        )
        (line,) = lines(log, "test.secret")
        assert "CANARY" not in json.dumps(line)
        assert line["headers"]["host"] == "shown"

    def test_the_standard_librarys_loggers_speak_through_it(self, log: io.StringIO) -> None:
        logging.getLogger("library").warning("as %s", "json")
        (line,) = lines(log, "as json")
        assert line["level"] == "warning"
        logging.getLogger("uvicorn.error").info("quoted /path?token=CANARY")
        assert "CANARY" not in log.getvalue()


class TestMetrics:
    async def test_they_have_the_names_of_the_specification(self, stranger: Client) -> None:
        await stranger.ask("GET", "/health")
        answer = await stranger.ask("GET", "/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        for name in (
            "active_sessions 0.0",
            "session_start_total 0.0",
            "session_error_total 0.0",
            'ssh_connect_latency_ms_bucket{le="+Inf"} 0.0',
            'http_requests_total{method="GET",route="/health",status="200"}',
        ):
            assert name in answer.text

    async def test_labels_are_routes_and_never_what_was_asked_for(
        self, phone: Client, stranger: Client
    ) -> None:
        await phone.get("/keys/CANARY/install-command")
        await phone.ask("GET", "/CANARY")
        await phone.ask("GET", "/api/CANARY")
        await phone.ask("CANARY", "/api/v1/keys")
        assert "CANARY" not in (await stranger.ask("GET", "/metrics")).text

    async def test_from_elsewhere_they_need_a_token(self, served: Served, stranger: Client) -> None:
        forwarded = {"x-forwarded-for": "203.0.113.9"}
        assert (await stranger.ask("GET", "/metrics", headers=forwarded)).status_code == 401
        for scope in ("metrics", "full"):
            script = await served.script(scope=scope)
            assert (await script.ask("GET", "/metrics", headers=forwarded)).status_code == 200


class TestHealth:
    async def test_it_tells_how_the_box_is(self, stranger: Client) -> None:
        health = (await stranger.ask("GET", "/health")).json()
        assert (health["status"], health["active_sessions"], health["db"]) == ("ok", 0, "ok")
        assert set(health) == {"status", "active_sessions", "db", "version"}

    async def test_a_database_that_does_not_answer_is_told(
        self, served: Served, stranger: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def fail() -> int:
            raise OSError

        monkeypatch.setattr(served.box.leases, "count_active", fail)
        answer = await stranger.ask("GET", "/health")
        assert (answer.status_code, answer.json()["db"]) == (503, "error")
