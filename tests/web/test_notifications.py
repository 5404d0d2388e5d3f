"""Channels over HTTP: added, tried, changed, removed, and never shown again."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.rooms.receiver import Browser, Receiver, receiver
from tests.waiting import eventually
from tests.web.served import Client, Json, Make, Served, hear

CHANNELS = "/notifications/channels"


@pytest.fixture
async def served(make: Make) -> Served:
    return await make(notify_loopback=True, notify_plain_http=True)


@pytest.fixture
async def out() -> AsyncIterator[Receiver]:
    async with receiver() as made:
        yield made


async def add(client: Client, **more: Any) -> Json:
    body = {"label": "Phone", "kinds": ["key_event", "turn_finished"], **more}
    answer = await client.post(CHANNELS, body)
    assert answer.status_code == 201, answer.text
    added: Json = answer.json()
    return added


def ntfy(out: Receiver) -> Json:
    return {"server": out.url, "topic": "canarytopic", "token": "canarytoken"}


def push(out: Receiver, browser: Browser) -> Json:
    return {"endpoint": f"{out.url}/canaryendpoint", "p256dh": browser.p256dh, "auth": browser.auth}


async def test_a_channel_is_added_tried_changed_and_removed(phone: Client, out: Receiver) -> None:
    added = (await add(phone, ntfy=ntfy(out)))["channel"]
    assert (added["kind"], added["host"], added["kinds"]) == (
        "ntfy",
        "127.0.0.1",
        ["turn_finished", "key_event"],
    )
    path = f"{CHANNELS}/{added['id']}"
    out.answers = [200, 403]
    assert (await phone.post(f"{path}/test")).json() == {"ok": True, "error": None, "message": None}
    refused = (await phone.post(f"{path}/test")).json()
    assert (refused["ok"], refused["error"]) == (False, "http_403")
    assert refused["message"] == "It does not let the box in. Check the token."
    changed = (await phone.patch(path, {"kinds": ["session_lost"], "enabled": False})).json()["channel"]
    assert (changed["kinds"], changed["enabled"], changed["label"]) == (["session_lost"], False, "Phone")
    log = (await phone.get("/notifications/deliveries")).json()
    assert [(row["kind"], row["state"]) for row in log["deliveries"]] == [
        ("test", "failed"),
        ("test", "sent"),
    ]
    assert (await phone.delete(path)).status_code == 200
    assert (await phone.get(CHANNELS)).json() == {"channels": []}
    assert len((await phone.get("/notifications/deliveries")).json()["deliveries"]) == 2


async def test_what_happens_in_the_box_is_pushed_to_the_browser(
    served: Served, phone: Client, out: Receiver
) -> None:
    browser = Browser()
    added = (await add(phone, webpush=push(out, browser)))["channel"]
    assert added["this_device"] is True
    assert (await (await served.browser()).get(CHANNELS)).json()["channels"][0]["this_device"] is False
    assert (await phone.post("/keys", {"label": "Laptop"})).status_code == 201
    await eventually(lambda: out.got)
    assert browser.read(out.got[0]) | {"tag": ""} == {
        "title": "A new key was made",
        "body": "“Laptop” can now be installed on servers.",
        "url": "/keys",
        "tag": "",
    }
    key = (await phone.get("/notifications/vapid")).json()["public_key"]
    assert out.got[0].headers["authorization"].endswith(f",k={key}")
    assert (await phone.delete("/auth/session")).status_code == 200
    await eventually(lambda: _removed(served))


async def _removed(served: Served) -> bool:
    return (
        await served.box.store.read(lambda r: r.value("SELECT removed_at FROM notify_channels"))
    ) is not None


async def test_addresses_and_tokens_are_never_shown_again(phone: Client, out: Receiver) -> None:
    browser = Browser()
    mail = {
        "host": "mail.example.com", "sender": "canarybox@example.com", "to": "canarya@example.com",
        "username": "canaryuser", "password": "canarypassword",
    }  # fmt: skip
    answers = [
        str(await add(phone, ntfy=ntfy(out))),
        str(await add(phone, webpush=push(out, browser))),
        str(await add(phone, email=mail)),
    ]
    hook = await add(phone, webhook={"url": f"{out.url}/canarypath?key=canarykey"})
    assert hook["secret"].startswith("whsec_")
    listed = await phone.get(CHANNELS)
    told = (
        listed.text + "".join(answers) + (await phone.get("/events")).text + (await phone.get("/audit")).text
    )
    for secret in ("canary", browser.auth, browser.p256dh, hook["secret"]):
        assert secret not in told
    assert [channel["host"] for channel in listed.json()["channels"]] == [
        "127.0.0.1", "127.0.0.1", "mail.example.com", "127.0.0.1",
    ]  # fmt: skip


async def test_another_accounts_channels_are_not_there(served: Served, phone: Client, out: Receiver) -> None:
    path = f"{CHANNELS}/{(await add(phone, ntfy=ntfy(out)))['channel']['id']}"
    await phone.post(f"{path}/test")
    stranger = await served.browser(await served.account())
    absent = await stranger.delete(f"{CHANNELS}/019b9d3c-4a10-7c3e-9d56-0d2f6a1b2c3d")
    for answer in (
        await stranger.patch(path, {"enabled": False}),
        await stranger.delete(path),
        await stranger.post(f"{path}/test"),
    ):
        assert (answer.status_code, answer.text) == (404, absent.text)
    assert (await stranger.get(CHANNELS)).json() == {"channels": []}
    assert (await stranger.get("/notifications/deliveries")).json() == {"deliveries": [], "has_more": False}
    assert len(out.got) == 1


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"ntfy": {"server": "https://a.example", "topic": "a"}, "webhook": {"url": "https://a.example/"}},
        {"webhook": {"url": "ftp://a.example/"}},
        {"webhook": {"url": "https://anna:secret@a.example/"}},
        {"webpush": {"endpoint": "https://a.example/", "p256dh": "AAAA", "auth": "AAAA"}},
        {"ntfy": {"server": "https://a.example", "topic": "a/b"}},
        {"kinds": ["everything"], "webhook": {"url": "https://a.example/"}},
        {"kinds": ["test"], "webhook": {"url": "https://a.example/"}},
        {"label": "\n", "webhook": {"url": "https://a.example/"}},
    ],
)  # fmt: skip
async def test_what_cannot_be_a_channel_is_refused(phone: Client, more: Json) -> None:
    answer = await phone.post(CHANNELS, {"label": "a", "kinds": [], **more})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")


async def test_plain_http_is_refused_where_the_owner_did_not_allow_it(make: Make) -> None:
    phone = await (await make()).browser()
    hook = {"url": "http://a.example/"}
    answer = await phone.post(CHANNELS, {"label": "a", "kinds": [], "webhook": hook})
    assert (answer.status_code, answer.json()["field"]) == (422, "url")
    at_home = await phone.post(
        CHANNELS, {"label": "a", "kinds": [], "webhook": {**hook, "local_network": True}}
    )
    assert at_home.status_code == 201


async def test_a_script_cannot_turn_on_a_browsers_notifications(script: Client, out: Receiver) -> None:
    answer = await script.post(CHANNELS, {"label": "a", "kinds": [], "webpush": push(out, Browser())})
    assert (answer.status_code, answer.json()["code"]) == (403, "browser_only")


async def test_tests_are_not_for_flooding_somebody(phone: Client, out: Receiver) -> None:
    path = f"{CHANNELS}/{(await add(phone, ntfy=ntfy(out)))['channel']['id']}/test"
    answers = [(await phone.post(path)).status_code for _ in range(11)]
    assert answers == [200] * 10 + [429]
    assert len(out.got) == 10


async def test_a_page_in_the_background_watches_nothing(served: Served, phone: Client) -> None:
    hub, key = served.box.hub, f"present:{served.box.owner.id}"
    async with phone.socket("/api/v1/events/live") as socket:
        assert (await hear(socket))["type"] == "ready"
        assert hub.is_heard(key)
        for said, heard in (
            ("away", False),
            ("away", False),
            ("here", True),
            ("here", True),
            ("away", False),
        ):
            await socket.send(f'{{"type":"{said}"}}')
            await socket.send('{"type":"ping"}')
            assert (await hear(socket))["type"] == "pong"
            assert hub.is_heard(key) is heard
        await socket.send('{"type":"here"}')
    await eventually(lambda: not hub.is_heard(key))
