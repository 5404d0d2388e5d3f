"""OpenClaw gateways: kept, changed, tested, removed; and secrets that never come out."""

import io
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from clawdbox import logs
from tests.agents.openclaw.scripted import ScriptedGateway
from tests.web.routes import ABSENT
from tests.web.served import Client, Make, Served

TOKEN = "t0ken-canary-9f2e7c1b4d"
BODY = {"label": "Claw", "url": "ws://127.0.0.1"}
PATH = "/openclaw-gateways"


@pytest.fixture
async def gateway() -> AsyncIterator[ScriptedGateway]:
    async with ScriptedGateway(TOKEN) as scripted:
        yield scripted


async def add(client: Client, **more: Any) -> dict[str, Any]:
    answer = await client.post(PATH, {**BODY, **more})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()["openclaw_gateway"]
    return made


async def change(client: Client, made: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = await client.patch(f"{PATH}/{made['id']}", more)
    assert answer.status_code == 200, answer.text
    changed: dict[str, Any] = answer.json()["openclaw_gateway"]
    return changed


async def look(client: Client, made: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post(f"{PATH}/{made['id']}/test")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def row(served: Served) -> dict[str, Any]:
    [found] = await served.box.store.read(lambda r: r.all("SELECT * FROM openclaw_gateways"))
    return dict(found)


async def test_one_is_kept_changed_and_removed(served: Served, phone: Client) -> None:
    made = await add(phone, token=TOKEN)
    assert (made["url"], made["auth"], made["state"]) == ("ws://127.0.0.1:18789", "token", "untested")
    assert (made["may_execute"], made["why_not_execute"]) == (True, None)
    assert (await phone.get(PATH)).json() == {"openclaw_gateways": [made]}
    changed = await change(phone, made, label="Other", password="another")
    assert changed == {**made, "label": "Other", "auth": "password"}
    assert await change(phone, made, token="") == {**changed, "auth": "none"}
    assert (await phone.delete(f"{PATH}/{made['id']}")).status_code == 200
    assert (await phone.get(PATH)).json() == {"openclaw_gateways": []}
    assert (await phone.delete(f"{PATH}/{made['id']}")).status_code == 404
    actions = [entry["action"] for entry in await served.audit() if entry["action"].startswith("openclaw")]
    assert actions == [
        "openclaw_gateway.add",
        "openclaw_gateway.change",
        "openclaw_gateway.change",
        "openclaw_gateway.remove",
        "openclaw_gateway.remove",  # refused: it was gone
    ]


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    out = io.StringIO()
    logs.configure("debug", out)
    yield out
    logs.configure("warning")


async def test_no_secret_of_one_comes_out(
    served: Served, phone: Client, gateway: ScriptedGateway, logged: io.StringIO
) -> None:
    made = await add(phone, url=gateway.url, token=TOKEN)
    assert (await look(phone, made))["result"] == "ready"
    given = [greeting["auth"] for greeting in gateway.greetings]
    await look(phone, made)
    secrets = (TOKEN, f"dt-{made['device_id'][:8]}")
    assert given[0]["token"] == TOKEN
    assert gateway.greetings[-1]["auth"]["deviceToken"] == secrets[1]
    for secret in secrets:
        assert secret not in (await phone.get(PATH)).text
        assert secret not in logged.getvalue()
        for table in ("openclaw_gateways", "events", "audit_log", "idempotency_keys"):
            rows = await served.box.store.read(lambda r, table=table: r.all(f"SELECT * FROM {table}"))  # type: ignore[misc]
            assert secret not in str(rows), table
    await phone.delete(f"{PATH}/{made['id']}")
    gone = await row(served)
    assert [gone[name] for name in ("token_enc", "device_key_enc", "device_token_enc")] == [None] * 3


async def test_another_address_gets_nothing_of_the_old_one(
    served: Served, phone: Client, gateway: ScriptedGateway
) -> None:
    made = await add(phone, url=gateway.url, token=TOKEN)
    await look(phone, made)
    before = await row(served)
    async with ScriptedGateway("other") as other:
        moved = await change(phone, made, url=other.url)
        after = await row(served)
        assert (moved["auth"], moved["state"]) == ("none", "untested")
        assert moved["device_id"] != made["device_id"]
        assert (after["token_enc"], after["device_token_enc"]) == (None, None)
        assert after["device_key_enc"] != before["device_key_enc"]
        await look(phone, made)
        assert TOKEN not in str(other.greetings)
        assert {greeting["device"]["id"] for greeting in other.greetings} == {moved["device_id"]}


async def test_a_test_says_what_became_of_it_and_what_to_do(
    served: Served, phone: Client, gateway: ScriptedGateway
) -> None:
    gateway.requires_pairing = True
    made = await add(phone, url=gateway.url, token="wrong")
    found = await look(phone, made)
    assert (found["result"], found["latency_ms"]) == ("refused", None)
    assert "gateway.auth.token" in found["message"]
    await change(phone, made, token=TOKEN)
    found = await look(phone, made)
    request = "11111111-2222-3333-4444-555555555555"
    pairing = {"request_id": request, "command": f"openclaw devices approve {request}"}
    assert (found["result"], found["openclaw_gateway"]["pairing"]) == ("pairing", pairing)
    gateway.paired.add(made["device_id"])
    found = await look(phone, made)
    assert (found["result"], found["message"]) == ("ready", "OpenClaw 2026.9.6 lets this box in.")
    assert (found["openclaw_gateway"]["pairing"], found["latency_ms"] > 0) == (None, True)
    await gateway.go_away()
    found = await look(phone, made)
    assert (found["result"], found["openclaw_gateway"]["version"]) == ("unreachable", "2026.9.6")
    assert len(await served.audit(action="openclaw_gateway.paired")) == 1


async def test_one_behind_a_server_wants_a_session_there(served: Served, phone: Client) -> None:
    absent = await phone.post(PATH, {**BODY, "way": "forward", "connection_id": ABSENT})
    none = await phone.post(PATH, {**BODY, "way": "forward"})
    both = await phone.post(PATH, {**BODY, "connection_id": ABSENT})
    assert [(one.status_code, one.json()["code"]) for one in (absent, none, both)] == [
        (404, "not_found"),
        (422, "invalid_input"),
        (409, "gateway_direct"),
    ]
    server = {"label": "nas", "host": "203.0.113.9", "port": 22, "username": "ada"}
    connection = (await phone.post("/connections", server)).json()["connection"]
    made = await add(phone, way="forward", connection_id=connection["id"])
    assert (made["may_execute"], "on a server" in made["why_not_execute"]) == (False, True)
    found = await look(phone, made)
    assert (found["result"], "no session" in found["message"]) == ("unreachable", True)


async def test_the_box_itself_and_what_is_no_address_are_refused(served: Served, phone: Client) -> None:
    for url, code in (
        (served.origin.replace("http", "ws"), "address_refused"),
        ("ws://169.254.169.254", "address_refused"),
        ("ws://93.184.216.34", "address_refused"),
        ("ws://127.0.0.1/?token=x", "invalid_input"),
        ("http://127.0.0.1", "invalid_input"),
    ):
        answer = await phone.post(PATH, {**BODY, "url": url})
        assert (answer.status_code, answer.json()["code"]) == (422, code), url


async def test_two_of_an_account_have_two_labels_and_there_are_twenty(phone: Client) -> None:
    made = await add(phone)
    assert (await phone.post(PATH, BODY)).json()["code"] == "label_taken"
    other = await add(phone, label="Other")
    assert (await phone.patch(f"{PATH}/{other['id']}", {"label": "Claw"})).json()["code"] == "label_taken"
    await change(phone, made, label="Claw")
    for number in range(18):
        await add(phone, label=f"Number {number}")
    full = await phone.post(PATH, {**BODY, "label": "one more"})
    assert (full.status_code, full.json()["code"]) == (409, "gateway_limit_reached")


async def test_another_account_has_none_of_it_and_a_viewer_changes_nothing(
    served: Served, phone: Client
) -> None:
    made = await add(phone)
    other = await served.browser(await served.account())
    assert (await other.get(PATH)).json() == {"openclaw_gateways": []}
    absent = await other.post(f"{PATH}/{ABSENT}/test")
    answers = [
        await other.patch(f"{PATH}/{made['id']}", {"label": "x"}),
        await other.delete(f"{PATH}/{made['id']}"),
        await other.post(f"{PATH}/{made['id']}/test"),
    ]
    assert [(answer.status_code, answer.content) for answer in answers] == [(404, absent.content)] * 3
    viewer = await served.browser(await served.account(role="viewer"))
    assert (await viewer.get(PATH)).status_code == 200
    assert (await viewer.post(PATH, BODY)).json()["code"] == "role_forbidden"


async def test_tests_of_one_gateway_are_limited(make: Make, gateway: ScriptedGateway) -> None:
    served = await make()
    phone = await served.browser()
    made = await add(phone, url=gateway.url, token=TOKEN)
    codes = [(await phone.post(f"{PATH}/{made['id']}/test")).status_code for _ in range(6)]
    assert codes == [200] * 5 + [429]
