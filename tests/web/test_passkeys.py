"""Passkeys: what signs in by a signature, and everything that must not."""

import asyncio
from typing import Any

import httpx
import pytest

from clawdbox.accounts import ceremony
from clawdbox.events.model import SYSTEM
from tests.web.authenticator import ORIGIN, Authenticator, Json
from tests.web.served import Client, Make, Served

HEADERS = {"host": "box.example.org", "origin": ORIGIN}


@pytest.fixture
async def served(make: Make) -> Served:
    return await make(public_url=ORIGIN, rate_pair_per_minute=1000)


async def signed_in(served: Served) -> Client:
    """A browser that came by https to the box's name; the account's first, and so confirmed."""
    client = await served.stranger()
    code = await served.box.accounts.make_pairing_code(SYSTEM, served.box.owner.id)
    answer = await client.post("/auth/pair", {"code": code.code}, headers=HEADERS)
    cookie = answer.headers["set-cookie"].partition(";")[0]
    client.http.cookies.clear()
    client.headers = {**HEADERS, "cookie": cookie}
    client.csrf = answer.json()["csrf_token"]
    return client


@pytest.fixture
async def phone(served: Served) -> Client:
    return await signed_in(served)


async def options(client: Client, path: str) -> Json:
    answer = await client.post(path, headers=HEADERS)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()["options"]
    return found


async def added(phone: Client, **more: Any) -> Authenticator:
    key = Authenticator(**more)
    answer = await phone.post(
        "/passkeys", {"label": "Phone", "credential": key.make(await options(phone, "/passkeys/options"))}
    )
    assert answer.status_code == 201, answer.text
    return key


async def enter(client: Client, credential: object) -> httpx.Response:
    return await client.post(
        "/auth/passkey", {"credential": credential, "device_name": "New"}, headers=HEADERS
    )


class TestPlace:
    @pytest.mark.parametrize(
        "public_url, rp_id, origin",
        [
            ("https://box.example.org", "box.example.org", "https://box.example.org"),
            ("https://box.example.org/", "box.example.org", "https://box.example.org"),
            ("https://Box.Example.org:443", "box.example.org", "https://box.example.org"),
            ("https://nas.home.arpa:8443", "nas.home.arpa", "https://nas.home.arpa:8443"),
            ("https://box", "box", "https://box"),
            ("http://localhost:8022", "localhost", "http://localhost:8022"),
        ],
    )
    def test_it_comes_from_the_public_address(self, public_url: str, rp_id: str, origin: str) -> None:
        assert ceremony.place(public_url) == (rp_id, origin)

    @pytest.mark.parametrize(
        "public_url",
        [
            None,
            "",
            "http://box.example.org",
            "http://nas.local",
            "https://192.168.1.20",
            "https://[::1]:8022",
        ],
    )
    def test_without_https_or_under_an_address_there_is_none(self, public_url: str | None) -> None:
        assert ceremony.place(public_url) is None


async def test_one_is_added_and_signs_in(served: Served, phone: Client, stranger: Client) -> None:
    key = await added(phone)
    answer = await enter(stranger, key.use(await options(stranger, "/auth/passkey/options")))
    assert answer.status_code == 201, answer.text
    assert set(answer.json()) == {"account", "expires_at", "csrf_token"}
    assert answer.headers["set-cookie"].startswith("__Host-clawdbox_login=")
    logins = await served.box.accounts.logins(served.box.owner.id)
    newest = max(logins, key=lambda login: login.id)
    assert (newest.method, newest.device_name, newest.verified_at is not None) == ("passkey", "New", True)
    [listed] = (await phone.get("/passkeys")).json()["passkeys"]
    assert (listed["label"], listed["usable"]) == ("Phone", True)
    assert listed["last_used_at"] is not None
    [row] = await served.audit(action="passkey.add")
    assert row["target_id"] == listed["id"]


async def test_it_steps_up_this_login(served: Served, phone: Client) -> None:
    key = await added(phone)
    served.turn(600)
    refused = await phone.post("/recovery-codes")
    assert refused.json()["means"] == ["passkey", "terminal"]
    asked = await options(phone, "/auth/step-up/passkey/options")
    assert [one["id"] for one in asked["allowCredentials"]] == [ceremony.to_text(key.id)]
    answer = await phone.post("/auth/step-up/passkey", {"credential": key.use(asked)})
    assert answer.json()["verified_at"] is not None
    assert (await phone.post("/recovery-codes")).status_code == 201


async def test_another_account_s_passkey_steps_up_nobody(served: Served, phone: Client) -> None:
    mine = await added(phone)
    other = await served.browser(await served.account())
    asked = (await other.post("/auth/step-up/passkey/options")).json()["options"]
    answer = await other.post("/auth/step-up/passkey", {"credential": mine.use(asked)})
    assert answer.json()["code"] == "passkey_refused"


async def test_a_challenge_is_good_once_whatever_comes_of_it(
    served: Served, phone: Client, stranger: Client
) -> None:
    key = await added(phone)
    asked = await options(stranger, "/auth/passkey/options")
    assert (await enter(stranger, key.use(asked))).status_code == 201
    assert (await enter(stranger, key.use(asked))).json()["code"] == "passkey_refused"
    asked = await options(stranger, "/auth/passkey/options")
    assert (await enter(stranger, Authenticator().use(asked))).json()["code"] == "passkey_refused"
    assert (await enter(stranger, key.use(asked))).json()["code"] == "passkey_refused"


async def test_a_challenge_expires_after_five_minutes(
    served: Served, phone: Client, stranger: Client
) -> None:
    key = await added(phone)
    asked = await options(stranger, "/auth/passkey/options")
    served.turn(301)
    assert (await enter(stranger, key.use(asked))).json()["code"] == "passkey_refused"


async def test_a_challenge_for_one_thing_is_none_for_another(
    served: Served, phone: Client, stranger: Client
) -> None:
    key = await added(phone)
    stepping = await options(phone, "/auth/step-up/passkey/options")
    assert (await enter(stranger, key.use(stepping))).json()["code"] == "passkey_refused"
    entering = await options(stranger, "/auth/passkey/options")
    answer = await phone.post("/auth/step-up/passkey", {"credential": key.use(entering)})
    assert answer.json()["code"] == "passkey_refused"
    made_up = {"challenge": ceremony.to_text(b"x" * 32)}
    assert (await enter(stranger, key.use(made_up))).json()["code"] == "passkey_refused"


async def test_of_two_answers_to_one_challenge_at_once_one_counts(phone: Client, stranger: Client) -> None:
    key = await added(phone)
    credential = key.use(await options(stranger, "/auth/passkey/options"))
    found = await asyncio.gather(*(enter(stranger, credential) for _ in range(4)))
    assert sorted(answer.status_code for answer in found) == [201, 400, 400, 400]


@pytest.mark.parametrize(
    "odd",
    [{"rp_id": "evil.example"}, {"origin": "https://evil.example"}, {"origin": "http://box.example.org"}],
    ids=lambda odd: next(iter(odd.values())),
)
async def test_another_name_or_origin_is_refused(
    phone: Client, stranger: Client, odd: dict[str, str]
) -> None:
    key = await added(phone)
    for name, value in odd.items():
        setattr(key, name, value)
    answer = await enter(stranger, key.use(await options(stranger, "/auth/passkey/options")))
    assert answer.json()["code"] == "passkey_refused"
    other = Authenticator(**odd)
    asked = await options(phone, "/passkeys/options")
    refused = await phone.post("/passkeys", {"label": "a", "credential": other.make(asked)})
    assert refused.json()["code"] == "passkey_refused"


async def test_neither_name_nor_origin_come_from_the_request(served: Served, stranger: Client) -> None:
    headers = {"x-forwarded-host": "evil.example", "host": f"127.0.0.1:{served.web.port}"}
    asked = await stranger.post("/auth/passkey/options", headers=headers)
    assert asked.json()["options"]["rpId"] == "box.example.org"


async def test_one_that_was_not_unlocked_by_its_person_is_refused(phone: Client, stranger: Client) -> None:
    key = await added(phone)
    asked = await options(stranger, "/auth/passkey/options")
    assert (await enter(stranger, key.use(asked, verified=False))).status_code == 400
    fresh = Authenticator().make(await options(phone, "/passkeys/options"), verified=False)
    assert (await phone.post("/passkeys", {"label": "a", "credential": fresh})).status_code == 400


async def test_a_count_that_does_not_grow_tells_of_a_copy(phone: Client, stranger: Client) -> None:
    key = await added(phone)
    for counting, status in ((5, 201), (0, 400), (-1, 400), (9, 201)):
        asked = await options(stranger, "/auth/passkey/options")
        assert (await enter(stranger, key.use(asked, counting=counting))).status_code == status, counting


async def test_one_that_never_counts_is_good(phone: Client, stranger: Client) -> None:
    key = await added(phone)
    for _ in range(2):
        asked = await options(stranger, "/auth/passkey/options")
        assert (await enter(stranger, key.use(asked, counting=0))).status_code == 201


async def test_what_is_removed_and_who_is_disabled_looks_like_what_never_was(
    served: Served, phone: Client, stranger: Client
) -> None:
    key = await added(phone)
    unknown = await enter(stranger, Authenticator().use(await options(stranger, "/auth/passkey/options")))
    [listed] = (await phone.get("/passkeys")).json()["passkeys"]
    assert (await phone.delete(f"/passkeys/{listed['id']}")).status_code == 200
    gone = await enter(stranger, key.use(await options(stranger, "/auth/passkey/options")))
    assert gone.text == unknown.text
    again = await added(phone)
    await served.box.accounts.create(SYSTEM, "Second", "owner")
    await served.box.accounts.set_active(SYSTEM, served.box.owner.id, False)
    disabled = await enter(stranger, again.use(await options(stranger, "/auth/passkey/options")))
    assert disabled.text == unknown.text


async def test_adding_and_removing_need_the_person_and_renaming_does_not(
    served: Served, phone: Client
) -> None:
    await added(phone)
    [listed] = (await phone.get("/passkeys")).json()["passkeys"]
    served.turn(600)
    assert (await phone.post("/passkeys/options")).json()["code"] == "step_up_required"
    assert (await phone.delete(f"/passkeys/{listed['id']}")).json()["code"] == "step_up_required"
    renamed = await phone.patch(f"/passkeys/{listed['id']}", {"label": "Blue phone"})
    assert renamed.json()["passkey"]["label"] == "Blue phone"


async def test_the_same_one_is_added_once(phone: Client) -> None:
    key = await added(phone)
    asked = await options(phone, "/passkeys/options")
    assert [one["id"] for one in asked["excludeCredentials"]] == [ceremony.to_text(key.id)]
    answer = await phone.post("/passkeys", {"label": "again", "credential": key.make(asked)})
    assert (answer.status_code, answer.json()["code"]) == (409, "passkey_known")


async def test_without_https_it_says_why(make: Make) -> None:
    served = await make()
    phone = await served.browser()
    assert (await phone.get("/passkeys")).json() == {"passkeys": [], "origin": None}
    answer = await phone.post("/passkeys/options")
    assert (answer.status_code, answer.json()["code"]) == (409, "passkeys_impossible")
    assert "https" in answer.json()["detail"]


@pytest.mark.parametrize(
    "nonsense",
    [
        {},
        {"id": 1},
        {"response": []},
        {"response": {"clientDataJSON": "é"}},
        {"response": {"clientDataJSON": "e30"}},
    ],
    ids=str,
)
async def test_nonsense_is_refused(phone: Client, stranger: Client, nonsense: Json) -> None:
    assert (await enter(stranger, nonsense)).json()["code"] == "passkey_refused"
    answer = await phone.post("/passkeys", {"label": "a", "credential": nonsense})
    assert answer.json()["code"] == "passkey_refused"


async def test_a_right_challenge_around_nonsense_is_refused(phone: Client, stranger: Client) -> None:
    key = await added(phone)
    for broken in (
        {"signature": "AA"},
        {"authenticatorData": "AA"},
        {"authenticatorData": 5},
        {"signature": None},
    ):
        credential = key.use(await options(stranger, "/auth/passkey/options"))
        credential["response"].update(broken)
        assert (await enter(stranger, credential)).json()["code"] == "passkey_refused", broken
    credential = Authenticator().make(await options(phone, "/passkeys/options"))
    credential["response"]["attestationObject"] = "AA"
    answer = await phone.post("/passkeys", {"label": "a", "credential": credential})
    assert answer.json()["code"] == "passkey_refused"
