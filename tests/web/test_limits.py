"""How often is too often."""

import pytest

from clawdbox.errors import RateLimited
from clawdbox.web.limits import Delays, Window, address_key, check
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


class TestDelays:
    def test_the_wait_doubles_up_to_a_quarter_of_an_hour_and_an_hour_of_quiet_ends_it(self) -> None:
        delays, now, waits = Delays(3), 0.0, []
        for _ in range(14):
            wait = delays.wait("a", now) or 0.0
            waits.append(wait)
            now += wait
            assert delays.wait("a", now) is None
            delays.fail("a", now)
        assert waits == [0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900]
        assert delays.wait("b", now) is None
        assert delays.wait("a", now + 3600) is None
        delays.fail("a", now + 3600)
        assert delays.wait("a", now + 3600) is None

    def test_memory_is_bounded(self) -> None:
        delays = Delays(1)
        for number in range(20_000):
            delays.fail(f"stranger {number}", 0)
        assert len(delays._failures) <= 8192


async def test_case_15_who_keeps_failing_waits_longer_and_longer_and_no_right_login_waits(make: Make) -> None:
    served = await make(failed_logins_free=2)
    phone, script = await served.browser(), await served.script()
    intruder = await served.stranger()
    intruder.headers = {"authorization": "Bearer guess"}

    async def tries() -> list[int]:
        return [(await intruder.get("/keys")).status_code for _ in range(2)]

    assert await tries() == [401, 401]
    assert await tries() == [429, 429]
    for seconds in (1.5, 2.5, 4.5):
        served.turn(seconds)
        assert await tries() == [401, 429]
    refused = await intruder.get("/keys")
    assert 4 <= refused.json()["retry_after"] <= 8
    assert (await script.get("/keys")).status_code == 200
    assert (await phone.get("/keys")).status_code == 200
    code = (await phone.post("/pairing-codes")).json()["pairing_code"]["code"]
    paired = await (await served.stranger()).post("/auth/pair", {"code": code})
    assert paired.status_code == 201, "a right code gets in, whatever its address did before"


async def test_case_15_one_wrong_code_waits_wherever_it_is_tried_from(make: Make) -> None:
    served = await make(failed_logins_free=2, trusted_proxies=["127.0.0.1"])
    stranger = await served.stranger()
    statuses = [
        (
            await stranger.post("/auth/pair", {"code": "x"}, headers={"x-forwarded-for": f"203.0.113.{n}"})
        ).status_code
        for n in range(3)
    ]
    assert statuses == [401, 401, 429]
    other = {"x-forwarded-for": "203.0.113.9"}
    assert (await stranger.post("/auth/pair", {"code": "y"}, headers=other)).status_code == 401


async def test_more_than_five_failed_logins_in_ten_minutes_are_one_incident_for_the_owner(
    served: Served, phone: Client, stranger: Client
) -> None:
    stranger.headers = {"authorization": "Bearer guess"}
    for _ in range(5):
        await stranger.get("/keys")
    assert (await phone.get("/incidents")).json()["incidents"] == []
    for _ in range(4):
        await stranger.get("/keys")

    (incident,) = (await phone.get("/incidents?only_open=true")).json()["incidents"]

    assert (incident["kind"], incident["subject"], incident["times"]) == ("failed_logins", "127.0.0.1", 1)
    assert incident["detail"] == {"failures": 6, "within_s": 600}
    (row,) = await served.audit(action="incident.failed_logins")
    assert row["account_id"] == served.box.owner.id
    events = (await phone.get("/events?after=0")).json()["events"]
    assert [event["type"] for event in events].count("incident.failed_logins") == 1
    other = await served.browser(await served.account())
    assert (await other.get("/incidents")).json()["incidents"] == []
    seen = await phone.post(f"/incidents/{incident['id']}/seen")
    assert seen.json()["incident"]["seen_at"]
    assert (await phone.get("/incidents?only_open=true")).json()["incidents"] == []


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
