"""How often is too often."""

import pytest

from clawdbox.errors import RateLimited
from clawdbox.web.limits import Window, address_key, check
from tests.web.served import Client, Make, Served, new_connection


class TestWindow:
    def test_it_allows_so_many_within_any_window(self) -> None:
        window = Window(3, 60)
        assert [window.hit("a", now) for now in (0, 10, 20)] == [None, None, None]
        assert window.hit("a", 30) == 30
        assert window.hit("a", 59.5) == 0.5
        assert window.hit("a", 60) is None
        assert window.hit("a", 61) == 9

    def test_a_refused_hit_does_not_prolong_the_wait(self) -> None:
        window = Window(1, 60)
        window.hit("a", 0)
        for now in range(1, 60):
            assert window.hit("a", now) == 60 - now
        assert window.hit("a", 60) is None

    def test_keys_do_not_share(self) -> None:
        window = Window(1, 60)
        assert window.hit("a", 0) is None
        assert window.hit("b", 0) is None

    def test_a_clock_that_went_back_locks_nobody_out(self) -> None:
        window = Window(1, 60)
        window.hit("a", 10_000)
        assert window.hit("a", 100) is None

    def test_memory_is_bounded_however_many_ask_and_however_often(self) -> None:
        window = Window(1_000_000, 60)
        for number in range(50_000):
            window.hit("busy", number / 1000)
        assert len(window._hits["busy"]) <= 257
        for number in range(20_000):
            window.hit(f"stranger {number}", 50)
        assert len(window._hits) <= 8192

    def test_a_high_limit_counts_each_hit(self) -> None:
        window = Window(1000, 60)
        assert all(window.hit("a", number / 1000) is None for number in range(1000))
        assert window.hit("a", 2) is not None

    def test_the_problem_tells_whole_seconds(self) -> None:
        window = Window(1, 60)
        check(window, "a", 0)
        with pytest.raises(RateLimited) as caught:
            check(window, "a", 0.4)
        assert caught.value.retry_after == 60


@pytest.mark.parametrize(
    "one, other, same",
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        (None, None, True),
    ],
)
def test_who_shares_a_limit(one: str | None, other: str | None, same: bool) -> None:
    assert (address_key(one) == address_key(other)) is same


async def test_a_connection_is_tested_five_times_a_minute(served: Served, phone: Client) -> None:
    first = await new_connection(phone, label="one", host="127.0.0.1", port=1)
    second = await new_connection(phone, label="two", host="127.0.0.1", port=1)
    for _ in range(5):
        assert (await phone.post(f"/connections/{first['id']}/test")).status_code == 200

    refused = await phone.post(f"/connections/{first['id']}/test")

    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.json()["retry_after"] == int(refused.headers["retry-after"])
    assert (await phone.post(f"/connections/{second['id']}/test")).status_code == 200
    served.turn(61)
    assert (await phone.post(f"/connections/{first['id']}/test")).status_code == 200


async def test_an_account_starts_ten_sessions_an_hour(served: Served, phone: Client) -> None:
    draft = await new_connection(phone)
    codes = [
        (await phone.post("/sessions", {"connection_id": draft["id"]})).json()["code"] for _ in range(11)
    ]
    assert codes == ["connection_untested"] * 10 + ["rate_limited"]
    other = await served.script(await served.account())
    theirs = await new_connection(other)
    assert (await other.post("/sessions", {"connection_id": theirs["id"]})).status_code == 409
    served.turn(3601)
    assert (await phone.post("/sessions", {"connection_id": draft["id"]})).status_code == 409


async def test_an_address_tries_ten_pairing_codes_a_minute(served: Served, stranger: Client) -> None:
    statuses = [(await stranger.post("/auth/pair", {"code": str(n)})).status_code for n in range(11)]
    assert statuses == [401] * 10 + [429]
    served.turn(61)
    assert (await stranger.post("/auth/pair", {"code": "x"})).status_code == 401


async def test_failed_logins_are_counted_but_lock_no_real_login_out(make: Make) -> None:
    served = await make(rate_failed_login_per_minute=3)
    script, intruder = await served.script(), await served.stranger()
    intruder.headers = {"authorization": "Bearer guess"}
    assert [(await intruder.get("/keys")).status_code for _ in range(5)] == [401, 401, 401, 429, 429]
    assert (await script.get("/keys")).status_code == 200
    assert (await (await served.stranger()).get("/keys")).status_code == 401
    served.turn(61)
    assert (await intruder.get("/keys")).status_code == 401


async def test_a_forged_forwarding_header_evades_no_limit(make: Make) -> None:
    served = await make(rate_pair_per_minute=2)
    stranger = await served.stranger()
    statuses = [
        (
            await stranger.post("/auth/pair", {"code": "x"}, headers={"x-forwarded-for": f"203.0.113.{n}"})
        ).status_code
        for n in range(3)
    ]
    assert statuses == [401, 401, 429]


async def test_behind_a_trusted_proxy_strangers_do_not_share_a_limit(make: Make) -> None:
    served = await make(rate_pair_per_minute=1, trusted_proxies=["127.0.0.1"])
    stranger = await served.stranger()
    for address in ("203.0.113.1", "203.0.113.2"):
        told = {"x-forwarded-for": address}
        assert (await stranger.post("/auth/pair", {"code": "x"}, headers=told)).status_code == 401
        assert (await stranger.post("/auth/pair", {"code": "x"}, headers=told)).status_code == 429


async def test_each_login_has_its_share_of_requests(make: Make) -> None:
    served = await make(rate_request_per_minute=5)
    one, other = await served.script(), await served.script()
    assert [(await one.get("/keys")).status_code for _ in range(6)] == [200] * 5 + [429]
    assert (await other.get("/keys")).status_code == 200


async def test_an_account_imports_twenty_times_a_minute_previews_included(
    served: Served, phone: Client
) -> None:
    other = await served.browser(await served.account())
    text = {"config": "Host nas\n HostName nas.lan\n User bob\n"}
    codes = [(await phone.post("/connections/import/preview", text)).status_code for _ in range(20)]
    assert codes == [200] * 20
    for path in ("/connections/import/preview", "/connections/import"):
        answer = await phone.post(path, text)
        assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert (await other.post("/connections/import/preview", text)).status_code == 200
    served.turn(61)
    assert (await phone.post("/connections/import/preview", text)).status_code == 200
