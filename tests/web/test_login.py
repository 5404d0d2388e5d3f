"""How a browser or a script becomes somebody, and how that ends."""

from datetime import timedelta

import pytest

from clawdbox.events.model import SYSTEM
from tests.web.served import API, Client, Make, Served


async def test_a_pairing_code_signs_a_browser_in_once(served: Served) -> None:
    code = await served.box.accounts.make_pairing_code(SYSTEM, served.box.owner.id)
    first, second = await served.stranger(), await served.stranger()

    answer = await first.post("/auth/pair", {"code": code.code, "device_name": "Bob's phone"})

    assert answer.status_code == 201
    assert answer.json()["account"]["display_name"] == "Owner"
    assert set(answer.json()) == {"account", "expires_at", "csrf_token"}
    again = await second.post("/auth/pair", {"code": code.code})
    assert (again.status_code, again.json()["code"]) == (401, "pairing_code_invalid")
    assert "clawdbox pair" in again.json()["detail"]


async def test_wrong_used_and_expired_codes_answer_alike(served: Served, stranger: Client) -> None:
    used = await served.box.accounts.make_pairing_code(SYSTEM, served.box.owner.id)
    await (await served.stranger()).post("/auth/pair", {"code": used.code})
    expired = await served.box.accounts.make_pairing_code(SYSTEM, served.box.owner.id)
    served.turn(601)

    answers = [
        await stranger.post("/auth/pair", {"code": code}) for code in ("wrong", used.code, expired.code)
    ]

    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1


async def test_the_login_cookie_is_out_of_reach_of_scripts_and_other_sites(
    served: Served, stranger: Client
) -> None:
    code = await served.box.accounts.make_pairing_code(SYSTEM, served.box.owner.id)

    answer = await stranger.post("/auth/pair", {"code": code.code})

    name, *attributes = answer.headers["set-cookie"].split("; ")
    assert name.startswith("clawdbox_login=")
    assert set(attributes) == {"Path=/", "Max-Age=2592000", "HttpOnly", "SameSite=Strict"}
    token = name.partition("=")[2]
    assert token not in answer.text


async def test_over_https_the_cookie_is_bound_to_the_host_and_secure(make: Make) -> None:
    served = await make(trusted_proxies=["127.0.0.1"])
    code = await served.box.accounts.make_pairing_code(SYSTEM, served.box.owner.id)
    stranger = await served.stranger()
    https = {"x-forwarded-proto": "https"}

    answer = await stranger.post("/auth/pair", {"code": code.code}, headers=https)

    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-clawdbox_login=")
    assert cookie.endswith("; Secure")
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    token = cookie.partition("=")[2].partition(";")[0]
    stranger.http.cookies.clear()
    planted = {"cookie": f"clawdbox_login={token}"}
    assert (await stranger.get("/auth/me", headers={**https, **planted})).status_code == 401
    right = {"cookie": f"__Host-clawdbox_login={token}"}
    assert (await stranger.get("/auth/me", headers={**https, **right})).status_code == 200


async def test_a_public_https_address_is_https_although_a_tunnel_speaks_http_to_the_box(make: Make) -> None:
    served = await make(public_url="https://box.example.org")
    code = await served.box.accounts.make_pairing_code(SYSTEM, served.box.owner.id)
    stranger = await served.stranger()
    through = {"host": "box.example.org", "origin": "https://box.example.org"}

    answer = await stranger.post("/auth/pair", {"code": code.code}, headers=through)

    assert answer.headers["set-cookie"].startswith("__Host-clawdbox_login=")
    assert "strict-transport-security" in answer.headers
    assert "strict-transport-security" not in (await stranger.ask("GET", "/health")).headers


async def test_me_tells_who_is_signed_in_and_about_the_box(phone: Client) -> None:
    me = (await phone.get("/auth/me")).json()

    assert set(me) == {"account", "login", "csrf_token", "box"}
    assert me["account"]["role"] == "owner"
    assert me["login"]["kind"] == "browser"
    assert me["login"]["device_name"] == "Test browser"
    assert me["csrf_token"] == phone.csrf
    assert set(me["box"]) == {
        "version",
        "demo",
        "public_url",
        "insecure",
        "runtimes",
        "recovery_words_pending",
    }
    assert me["box"]["insecure"] is False
    assert me["box"]["runtimes"] == ["runbook"]
    assert me["box"]["recovery_words_pending"] is True


async def test_plain_http_from_another_machine_is_called_insecure(make: Make) -> None:
    served = await make(trusted_proxies=["127.0.0.1"])
    script = await served.script()

    async def insecure(**headers: str) -> bool:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return bool((await script.get("/auth/me", headers=sent)).json()["box"]["insecure"])

    assert await insecure(x_forwarded_for="192.168.1.9")
    assert not await insecure(x_forwarded_for="192.168.1.9", x_forwarded_proto="https")
    assert not await insecure()


async def test_a_browsers_login_and_cookie_slide_with_their_use(served: Served, phone: Client) -> None:
    served.turn(20 * 86_400)
    renewed = await phone.get("/auth/me")
    assert "Max-Age=2592000" in renewed.headers["set-cookie"]
    served.turn(20 * 86_400)
    assert (await phone.get("/auth/me")).status_code == 200
    served.turn(31 * 86_400)
    assert (await phone.get("/auth/me")).status_code == 401


async def test_a_cookie_set_beside_the_login_by_another_port_neither_ends_nor_changes_it(
    served: Served, phone: Client, stranger: Client
) -> None:
    real = phone.http.cookies["clawdbox_login"]
    other = await served.browser(await served.account())
    for cookies, status in (
        (f"clawdbox_login=tossed; clawdbox_login={real}", 200),
        (f"clawdbox_login={real}; clawdbox_login=tossed; clawdbox_login={real}", 200),
        (f"clawdbox_login={other.http.cookies['clawdbox_login']}; clawdbox_login={real}", 401),
        ("; ".join(f"clawdbox_login=tossed{number}" for number in range(9)), 401),
    ):
        answer = await stranger.get("/auth/me", headers={"cookie": cookies})
        assert answer.status_code == status
        if status == 200:
            assert answer.json()["login"]["id"] == phone.login_id
            assert f"clawdbox_login={real};" in answer.headers["set-cookie"]


async def test_a_token_keeps_the_end_it_got(served: Served) -> None:
    script = await served.script(expires_in=timedelta(days=2))
    assert "set-cookie" not in (await script.get("/auth/me")).headers
    served.turn(86_400)
    assert (await script.get("/auth/me")).status_code == 200
    served.turn(86_401)
    assert (await script.get("/auth/me")).json()["code"] == "login_required"


async def test_signing_out_ends_the_login_on_the_server(served: Served, phone: Client) -> None:
    cookie = phone.http.cookies["clawdbox_login"]

    answer = await phone.delete("/auth/session")

    assert answer.json() == {"revoked": True}
    assert "Max-Age=0" in answer.headers["set-cookie"]
    stolen = {"cookie": f"clawdbox_login={cookie}"}
    assert (await (await served.stranger()).get("/auth/me", headers=stolen)).status_code == 401


async def test_a_bearer_token_wins_over_a_cookie(served: Served, phone: Client) -> None:
    other = await served.script(await served.account("Carol"))

    me = await phone.get("/auth/me", headers=other.headers)
    wrong = await phone.get("/auth/me", headers={"authorization": "Bearer nonsense"})
    basic = await phone.get("/auth/me", headers={"authorization": "Basic b3duZXI6"})

    assert me.json()["account"]["display_name"] == "Carol"
    assert (wrong.status_code, basic.status_code) == (401, 401)
    assert wrong.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("name", ["token", "access_token", "bearer", "authorization", "clawdbox_login"])
async def test_a_token_in_the_address_is_never_taken(script: Client, stranger: Client, name: str) -> None:
    token = script.headers["authorization"].removeprefix("Bearer ")
    assert (await stranger.get("/auth/me", params={name: token})).status_code == 401


async def test_every_login_is_listed_and_can_be_ended_from_another_one(served: Served, phone: Client) -> None:
    script = await served.script()

    logins = (await phone.get("/logins")).json()["logins"]

    assert {login["id"]: login["current"] for login in logins} == {
        phone.login_id: True,
        script.login_id: False,
    }
    ended = await phone.delete(f"/logins/{script.login_id}")
    assert ended.json()["login"]["id"] == script.login_id
    assert (await script.get("/auth/me")).status_code == 401
    assert (await phone.delete(f"/logins/{script.login_id}")).status_code == 200


async def test_disabling_an_account_ends_its_logins(served: Served) -> None:
    account = await served.account()
    client = await served.browser(account)
    await served.box.accounts.set_active(SYSTEM, account.id, False)
    assert (await client.get("/keys")).status_code == 401


async def test_a_signed_in_device_makes_a_link_for_another_one(served: Served, phone: Client) -> None:
    made = await phone.post("/pairing-codes")

    assert made.status_code == 201
    code = made.json()["pairing_code"]
    assert code["url"] == f"{served.origin}/pair#{code['code']}"
    assert (await (await served.stranger()).post("/auth/pair", {"code": code["code"]})).status_code == 201


async def test_links_carry_the_public_address_when_there_is_one(make: Make) -> None:
    served = await make(public_url="https://box.example.org/")
    made = await (await served.browser()).post("/pairing-codes")
    assert made.json()["pairing_code"]["url"].startswith("https://box.example.org/pair#")


class TestRecoveryWords:
    async def test_they_are_shown_to_the_owners_browser_until_confirmed(self, phone: Client) -> None:
        shown = await phone.post("/recovery-words")
        assert shown.status_code == 200
        assert len(shown.json()["words"]) == 24
        assert (await phone.post("/recovery-words")).json() == shown.json()

        assert (await phone.post("/recovery-words/confirm")).json() == {"shown": True}

        assert (await phone.post("/recovery-words")).json()["code"] == "recovery_words_shown"
        assert not (await phone.get("/auth/me")).json()["box"]["recovery_words_pending"]

    async def test_a_token_and_another_account_do_not_see_them(self, served: Served, script: Client) -> None:
        other = await served.browser(await served.account())
        assert (await script.post("/recovery-words")).json()["code"] == "browser_only"
        assert (await other.post("/recovery-words")).json()["code"] == "role_forbidden"
        assert (await script.post("/recovery-words/confirm")).status_code == 403
        assert not (await other.get("/auth/me")).json()["box"]["recovery_words_pending"]


class TestCsrf:
    async def test_a_request_that_rides_on_the_cookie_needs_the_nonce(self, phone: Client) -> None:
        cases = {"": 403, "nonsense": 403, "é": 403, phone.csrf or "": 201}
        for nonce, status in cases.items():
            headers = [(b"x-csrf-token", nonce.encode("latin-1"))]
            answer = await phone.http.post(f"{API}/keys", json={"label": "csrf"}, headers=headers)
            assert answer.status_code == status, nonce
        assert (await phone.http.post(f"{API}/keys", json={})).json()["code"] == "csrf_missing"

    async def test_another_logins_nonce_does_not_fit(self, served: Served, phone: Client) -> None:
        other = await served.browser()
        answer = await phone.post("/keys", {}, headers={"x-csrf-token": other.csrf})
        assert answer.json()["code"] == "csrf_missing"

    async def test_reading_and_bearer_tokens_need_none(self, phone: Client, script: Client) -> None:
        assert (await phone.http.get(f"{API}/keys")).status_code == 200
        assert (await script.post("/keys", {"label": "other"})).status_code == 201


class TestViewer:
    async def test_a_viewer_looks_but_changes_nothing(self, served: Served) -> None:
        viewer = await served.browser(await served.account("Val", "viewer"))
        assert (await viewer.get("/connections")).status_code == 200
        refused = await viewer.post("/connections", {"label": "a", "host": "b", "username": "c"})
        assert (refused.status_code, refused.json()["code"]) == (403, "role_forbidden")
        assert (await viewer.patch("/account/settings", {"max_leases": 9})).status_code == 403
        assert (await viewer.delete("/auth/session")).status_code == 200
