"""A request that is sent again is answered again, and not done again."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from clawdbox.web.idempotency import hash_request
from tests.web.served import API, Client, Served, new_connection

KEY = {"idempotency-key": "4f1b9c8e-one"}
NEW = {"label": "NAS", "host": "nas.lan", "username": "bob"}


async def test_the_same_request_gets_the_first_answer_again(phone: Client) -> None:
    first = await phone.post("/connections", NEW, headers=KEY)
    again = await phone.post("/connections", NEW, headers=KEY)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["content-type"] == first.headers["content-type"]
    assert "idempotency-replayed" not in first.headers
    assert len((await phone.get("/connections")).json()["connections"]) == 1


async def test_another_request_with_the_same_key_is_refused(phone: Client) -> None:
    made = (await phone.post("/connections", NEW, headers=KEY)).json()["connection"]
    others = [
        await phone.post("/connections", {**NEW, "label": "Other"}, headers=KEY),
        await phone.post("/keys", NEW, headers=KEY),
        await phone.delete(f"/connections/{made['id']}", headers=KEY),
    ]
    assert [(answer.status_code, answer.json()["code"]) for answer in others] == [
        (422, "idempotency_key_reused")
    ] * 3


async def test_the_query_belongs_to_the_request(phone: Client) -> None:
    made = await new_connection(phone)
    assert (await phone.delete(f"/connections/{made['id']}", headers=KEY)).status_code == 200
    other = await phone.delete(f"/connections/{made['id']}?remove_key=true", headers=KEY)
    assert other.json()["code"] == "idempotency_key_reused"
    assert hash_request("POST", "/a", b"", b"bc") != hash_request("POST", "/ab", b"", b"c")


async def test_a_key_belongs_to_an_account(served: Served, phone: Client) -> None:
    other = await served.script(await served.account())
    assert (await phone.post("/connections", NEW, headers=KEY)).status_code == 201
    theirs = await other.post("/connections", NEW, headers=KEY)
    assert "idempotency-replayed" not in theirs.headers


async def test_while_the_first_is_being_answered_the_second_is_told_to_wait(
    served: Served, phone: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go = asyncio.Event(), asyncio.Event()
    create, calls = served.box.keys.create, 0

    async def slow(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        begun.set()
        await go.wait()
        return await create(*arguments)

    monkeypatch.setattr(served.box.keys, "create", slow)
    first = asyncio.create_task(phone.post("/keys", {"label": "slow"}, headers=KEY))
    await begun.wait()

    second = await phone.post("/keys", {"label": "slow"}, headers=KEY)

    assert (second.status_code, second.json()["code"]) == (409, "idempotency_in_progress")
    go.set()
    assert (await first).status_code == 201
    third = await phone.post("/keys", {"label": "slow"}, headers=KEY)
    assert (third.status_code, calls) == (201, 1)


async def test_a_refused_request_changed_nothing_and_may_be_sent_again(phone: Client) -> None:
    made = await new_connection(phone)
    taken = await phone.post("/connections", NEW, headers=KEY)
    assert taken.status_code == 409
    await phone.delete(f"/connections/{made['id']}")
    assert (await phone.post("/connections", NEW, headers=KEY)).status_code == 201
    bad = await phone.post("/keys", {"label": "-"}, headers={"idempotency-key": "two"})
    good = await phone.post("/keys", {"label": "ok"}, headers={"idempotency-key": "two"})
    assert (bad.status_code, good.status_code) == (422, 201)


async def test_a_failure_on_the_way_is_answered_again_too(
    served: Served, phone: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as broken:
        broken.setattr(served.box.keys, "create", fail)
        first = await phone.post("/keys", {"label": "a"}, headers=KEY)
    again = await phone.post("/keys", {"label": "a"}, headers=KEY)
    assert (first.status_code, again.status_code) == (500, 500)
    assert again.content == first.content
    assert again.headers["content-type"] == "application/problem+json"


async def test_a_request_that_the_box_died_in_is_not_done_again(served: Served, phone: Client) -> None:
    body = b'{"label":"a"}'
    values = (served.box.owner.id, "cut-off", hash_request("POST", f"{API}/keys", b"", body))
    await served.box.store.write(
        lambda tx: tx.run(
            "INSERT INTO idempotency_keys (account_id, key, request_hash, created_at) VALUES (?, ?, ?, ?)",
            (*values, tx.now - timedelta(hours=1)),
        )
    )
    headers = {"idempotency-key": "cut-off", "content-type": "application/json"}
    answer = await phone.ask("POST", f"{API}/keys", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_interrupted")
    assert len((await phone.get("/keys")).json()["keypairs"]) == 1


async def test_after_a_day_a_key_is_forgotten_and_its_row_goes(served: Served, phone: Client) -> None:
    await phone.post("/connections", NEW, headers=KEY)
    served.turn(86_401)
    again = await phone.post("/connections", NEW, headers=KEY)
    assert again.json()["code"] == "label_taken"
    await phone.post("/keys", {"label": "x"}, headers={"idempotency-key": "later"})
    keys = await served.box.store.read(lambda r: r.all("SELECT key FROM idempotency_keys"))
    assert [row["key"] for row in keys] == ["later"]


async def test_answers_that_hold_secrets_are_never_kept(served: Served, phone: Client) -> None:
    for path in ("/pairing-codes", "/recovery-words"):
        first = await phone.post(path, headers=KEY)
        assert first.is_success
        assert "idempotency-replayed" not in (await phone.post(path, headers=KEY)).headers
    assert await served.box.store.read(lambda r: r.value("SELECT count(*) FROM idempotency_keys")) == 0


@pytest.mark.parametrize("key", [b"", b"x" * 201, b"caf\xe9", b"tab\there"])
async def test_a_key_is_short_printable_ascii(phone: Client, key: bytes) -> None:
    answer = await phone.post("/keys", {"label": "a"}, headers={"idempotency-key": key})
    assert (answer.status_code, answer.json()["field"]) == (422, "Idempotency-Key")


async def test_a_replay_needs_a_login_and_the_nonce_like_the_first(served: Served, phone: Client) -> None:
    await phone.post("/connections", NEW, headers=KEY)
    assert (await (await served.stranger()).post("/connections", NEW, headers=KEY)).status_code == 401
    phone.csrf = None
    assert (await phone.post("/connections", NEW, headers=KEY)).status_code == 403
