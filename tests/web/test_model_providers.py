"""Where models are asked: kept, changed, tested; and a key that never comes out."""

import io
from collections.abc import Iterator
from typing import Any

import pytest

from clawdbox import logs
from clawdbox.agents.model_providers.model import Endpoint, Verdict
from tests.agents.model_server.script import Script
from tests.agents.model_server.server import ModelServer
from tests.web.routes import ABSENT
from tests.web.served import Client, Make, Served

pytestmark = pytest.mark.xdist_group("model")
KEY = "sk-canary-9f2e7c1b4d"
BODY = {"label": "Ollama", "kind": "openai", "base_url": "http://127.0.0.1:11434/v1/", "model": "qwen3:14b"}


@pytest.fixture
def server() -> Iterator[ModelServer]:
    from clawdbox.agents.runtimes.model import libraries  # noqa: F401 - before a request waits for them

    with ModelServer(key=KEY) as server:
        yield server


async def add(client: Client, **more: Any) -> dict[str, Any]:
    answer = await client.post("/model-providers", {**BODY, **more})
    assert answer.status_code == 201, answer.text
    provider: dict[str, Any] = answer.json()["model_provider"]
    return provider


async def test_one_is_kept_changed_and_removed(served: Served, phone: Client) -> None:
    made = await add(phone, api_key=KEY)
    assert (made["base_url"], made["has_key"]) == ("http://127.0.0.1:11434/v1", True)
    listed = (await phone.get("/model-providers")).json()
    assert listed["model_providers"] == [made]
    assert {"Ollama", "llama.cpp", "vLLM", "OpenRouter", "OpenAI", "Anthropic"} == {
        preset["name"] for preset in listed["presets"]
    }
    changed = await phone.patch(f"/model-providers/{made['id']}", {"model": "qwen3:32b", "label": "NAS"})
    assert changed.json()["model_provider"]["model"] == "qwen3:32b"
    assert changed.json()["model_provider"]["has_key"] is True
    gone = await phone.delete(f"/model-providers/{made['id']}")
    assert (gone.status_code, gone.json()["model_provider"]["has_key"]) == (200, False)
    assert (await phone.get("/model-providers")).json()["model_providers"] == []
    assert (await phone.delete(f"/model-providers/{made['id']}")).status_code == 404
    await add(phone, label="NAS")
    actions = [row["action"] for row in await served.audit() if row["action"].startswith("model_provider")]
    assert actions == [
        "model_provider.create",
        "model_provider.update",
        "model_provider.remove",
        "model_provider.remove",  # refused: it was gone
        "model_provider.create",
    ]


async def test_a_key_never_comes_out(served: Served, phone: Client, server: ModelServer) -> None:
    out = io.StringIO()
    logs.configure("debug", out)
    try:
        made = await add(phone, api_key=KEY, base_url=server.openai_url)
        answers = [
            await phone.get("/model-providers"),
            await phone.post("/model-providers", {**BODY, "api_key": f"{KEY} {KEY}", "label": "b"}),
            await phone.post(f"/model-providers/{made['id']}/test"),
            await phone.get("/events?after=0"),
            await phone.get("/audit"),
        ]
        server.key = "another"
        answers.append(await phone.post(f"/model-providers/{made['id']}/test"))
        assert answers[-1].json()["code"] == "model_key_refused"
    finally:
        logs.configure("warning")
    assert KEY not in "".join(answer.text for answer in answers)
    assert KEY not in out.getvalue()
    tables = ("model_providers", "events", "audit_log", "idempotency_keys")
    for table in tables:
        rows = await served.box.store.read(lambda r, table=table: r.all(f"SELECT * FROM {table}"))  # type: ignore[misc]
        assert KEY not in str(rows), table
    assert KEY.encode() in (await endpoint(served, made["id"])).key.reveal()  # type: ignore[union-attr]
    await phone.delete(f"/model-providers/{made['id']}")
    row = await served.box.store.read(lambda r: r.all("SELECT api_key_enc FROM model_providers"))
    assert row == [{"api_key_enc": None}]


async def endpoint(served: Served, provider_id: str) -> Endpoint:
    return await served.box.model_providers.endpoint(served.box.owner.id, provider_id)


async def test_a_key_does_not_follow_to_another_address(served: Served, phone: Client) -> None:
    made = await add(phone, api_key=KEY)
    path = f"/model-providers/{made['id']}"
    moved = await phone.patch(path, {"base_url": "https://evil.example/v1"})
    assert (moved.status_code, moved.json()["field"]) == (422, "api_key")
    assert (await endpoint(served, made["id"])).base_url == made["base_url"]
    assert (await phone.patch(path, {"base_url": "http://127.0.0.1:11434/v2"})).status_code == 200
    with_key = {"base_url": "https://other.example/v1", "api_key": "sk-other"}
    assert (await phone.patch(path, with_key)).status_code == 200
    assert (await endpoint(served, made["id"])).key.reveal() == b"sk-other"  # type: ignore[union-attr]
    without = await phone.patch(path, {"base_url": "http://nas.lan:1/v1", "api_key": None})
    assert without.json()["model_provider"]["has_key"] is False


async def test_the_box_itself_and_what_is_no_address_are_refused(served: Served, phone: Client) -> None:
    own = f"http://127.0.0.1:{served.web.port}/v1"
    for url, code in (
        (own, "address_refused"),
        ("http://169.254.169.254/v1", "address_refused"),
        ("nas.lan", "invalid_input"),
    ):
        answer = await phone.post("/model-providers", {**BODY, "base_url": url})
        assert (answer.status_code, answer.json()["code"]) == (422, code), url


async def test_two_of_an_account_have_two_labels_and_there_are_fifty(phone: Client) -> None:
    await add(phone)
    assert (await phone.post("/model-providers", BODY)).json()["code"] == "label_taken"
    for number in range(49):
        await add(phone, label=f"Number {number}")
    full = await phone.post("/model-providers", {**BODY, "label": "one more"})
    assert full.json()["code"] == "model_provider_limit_reached"


async def test_another_account_has_none_of_it(served: Served, phone: Client) -> None:
    made = await add(phone)
    other = await served.browser(await served.account())
    assert (await other.get("/model-providers")).json()["model_providers"] == []
    absent = await other.post(f"/model-providers/{ABSENT}/test")
    answers = [
        await other.patch(f"/model-providers/{made['id']}", {"label": "x"}),
        await other.delete(f"/model-providers/{made['id']}"),
        await other.post(f"/model-providers/{made['id']}/test"),
    ]
    assert [(answer.status_code, answer.content) for answer in answers] == [(404, absent.content)] * 3


async def test_a_viewer_looks_and_changes_nothing(served: Served, phone: Client) -> None:
    made = await add(phone)
    viewer = await served.browser(await served.account(role="viewer"))
    assert (await viewer.get("/model-providers")).status_code == 200
    assert (await viewer.post("/model-providers", BODY)).json()["code"] == "role_forbidden"
    assert (await viewer.post(f"/model-providers/{made['id']}/test")).json()["code"] == "role_forbidden"


async def test_a_test_asks_the_model_and_says_what_came_of_it(
    served: Served, phone: Client, server: ModelServer
) -> None:
    server.answers = Script("yes")
    made = await add(phone, base_url=server.openai_url, model="scripted-1", api_key=KEY)
    found = (await phone.post(f"/model-providers/{made['id']}/test")).json()
    assert (found["ok"], found["message"], found["models"], found["listed"]) == (
        True,
        "scripted-1 answered.",
        ["scripted-1"],
        True,
    )
    server.stop()
    found = (await phone.post(f"/model-providers/{made['id']}/test")).json()
    assert (found["ok"], found["code"]) == (False, "model_unreachable")
    rows = await served.audit(action="model_provider.test")
    assert [row["detail"] for row in rows] == [
        {"ok": True, "code": None},
        {"ok": False, "code": "model_unreachable"},
    ]


async def test_tests_of_one_provider_are_limited(make: Make) -> None:
    served = await make()
    phone = await served.browser()
    made = await add(phone)
    served.box.model_providers._probe = nothing
    codes = [(await phone.post(f"/model-providers/{made['id']}/test")).status_code for _ in range(6)]
    assert codes == [200] * 5 + [429]


async def nothing(endpoint: Endpoint) -> Verdict:
    return Verdict(True, "It answered.")


async def test_the_libraries_wait_for_the_first_that_is_asked(served: Served, phone: Client) -> None:
    import subprocess
    import sys

    heavy = "pydantic_ai openai anthropic httpx2 pydantic genai_prices"
    code = f"import clawdbox.web.site, clawdbox.app, sys; print([m for m in '{heavy}'.split() if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
