"""The second ways in: a code at the terminal, codes on paper, and a device that is let in by another one."""

import asyncio

import pytest

from clawdbox.admin.verbs import perform
from clawdbox.errors import Problem
from tests.web.served import Client, Make, Served


@pytest.fixture
async def served(make: Make) -> Served:
    return await make(rate_pair_per_minute=1000)


async def confirm(served: Served, code: str) -> str:
    """`clawdbox confirm`: who was confirmed, or the problem's code."""
    try:
        return str((await perform(served.box, "confirm", {"code": code}))["device"])
    except Problem as problem:
        return problem.code


class TestTerminal:
    @pytest.fixture
    async def phone(self, served: Served) -> Client:
        await served.browser()
        return await served.browser(device="Blue phone")

    async def code(self, phone: Client) -> str:
        answer = await phone.post("/auth/step-up/terminal")
        assert answer.status_code == 200
        return str(answer.json()["code"])

    async def test_the_code_that_the_phone_shows_confirms_it_once(
        self, served: Served, phone: Client
    ) -> None:
        other = await served.browser()
        code = await self.code(phone)
        assert len(code) == 6
        assert await confirm(served, f"{code[:3]} {code[3:]}") == "Blue phone"
        assert (await phone.post("/recovery-words")).status_code == 200
        assert (await other.post("/recovery-words")).json()["code"] == "step_up_required"
        assert await confirm(served, code) == "confirm_code_wrong"

    async def test_it_expires_and_a_new_one_replaces_it(self, served: Served, phone: Client) -> None:
        old, new = await self.code(phone), await self.code(phone)
        assert await confirm(served, old) == "confirm_code_wrong"
        assert await confirm(served, new) == "Blue phone"
        late = await self.code(phone)
        served.turn(301)
        assert await confirm(served, late) == "confirm_code_wrong"

    async def test_five_wrong_codes_void_them_all(self, served: Served, phone: Client) -> None:
        code = await self.code(phone)
        for _ in range(5):
            assert await confirm(served, "nonsense") == "confirm_code_wrong"
        assert await confirm(served, code) == "confirm_code_wrong"
        assert await confirm(served, await self.code(phone)) == "Blue phone"

    async def test_a_script_gets_none_and_a_login_that_ended_is_not_confirmed(
        self, served: Served, phone: Client
    ) -> None:
        script = await served.script()
        assert (await script.post("/auth/step-up/terminal")).json()["code"] == "browser_only"
        code = await self.code(phone)
        await phone.delete("/auth/session")
        assert await confirm(served, code) == "login_required"


class TestRecoveryCodes:
    async def test_each_of_ten_signs_in_once(self, served: Served, phone: Client) -> None:
        codes = (await phone.post("/recovery-codes")).json()["codes"]
        assert (len(set(codes)), (await phone.get("/recovery-codes")).json()) == (10, {"left": 10})
        stranger = await served.stranger()
        answer = await stranger.post("/auth/recovery-code", {"code": f" {codes[0].upper()} "})
        assert answer.status_code == 201
        used = await (await served.stranger()).post("/auth/recovery-code", {"code": codes[0]})
        wrong = await (await served.stranger()).post("/auth/recovery-code", {"code": "aaaa-aaaa"})
        assert (used.status_code, used.json()["code"]) == (401, "recovery_code_invalid")
        assert used.text == wrong.text
        assert (await phone.get("/recovery-codes")).json() == {"left": 9}
        logins = await served.box.accounts.logins(served.box.owner.id)
        newest = max(logins, key=lambda login: login.id)
        assert (newest.method, newest.verified_at is not None) == ("recovery_code", True)

    async def test_new_ones_replace_the_old(self, served: Served, phone: Client) -> None:
        old = (await phone.post("/recovery-codes")).json()["codes"][0]
        new = (await phone.post("/recovery-codes")).json()["codes"][0]
        stranger = await served.stranger()
        assert (await stranger.post("/auth/recovery-code", {"code": old})).status_code == 401
        assert (await stranger.post("/auth/recovery-code", {"code": new})).status_code == 201

    async def test_of_two_at_once_one_gets_in(self, served: Served, phone: Client) -> None:
        code = (await phone.post("/recovery-codes")).json()["codes"][0]
        strangers = [await served.stranger() for _ in range(4)]
        found = await asyncio.gather(*(one.post("/auth/recovery-code", {"code": code}) for one in strangers))
        assert sorted(answer.status_code for answer in found) == [201, 401, 401, 401]

    async def test_they_are_kept_as_hashes_alone(self, served: Served, phone: Client) -> None:
        codes = (await phone.post("/recovery-codes")).json()["codes"]
        kept = ""
        for table in ("recovery_codes", "events", "audit_log"):
            kept += str(await served.box.store.read(lambda r, t=table: r.all(f"SELECT * FROM {t}")))  # type: ignore[misc]
        for code in codes:
            assert code not in kept
            assert code.replace("-", "") not in kept

    async def test_guessing_is_slowed_down(self, make: Make) -> None:
        served = await make(rate_pair_per_minute=3)
        stranger = await served.stranger()
        for _ in range(3):
            assert (await stranger.post("/auth/recovery-code", {"code": "x"})).status_code == 401
        assert (await stranger.post("/auth/recovery-code", {"code": "x"})).status_code == 429


class TestPairingRequests:
    async def asked(self, served: Served, name: str = "New phone") -> tuple[Client, dict[str, str]]:
        client = await served.stranger()
        answer = await client.post("/auth/pairing-requests", {"device_name": name})
        assert answer.status_code == 201
        return client, answer.json()

    async def claim(self, client: Client, secret: str) -> str:
        answer = (await client.post("/auth/pairing-requests/claim", {"secret": secret})).json()
        return str(answer.get("state") or answer["code"])

    async def test_the_device_with_the_same_digits_is_let_in_once(
        self, served: Served, phone: Client
    ) -> None:
        new, asked = await self.asked(served)
        assert await self.claim(new, asked["secret"]) == "waiting"
        [listed] = (await phone.get("/pairing-requests")).json()["pairing_requests"]
        assert (listed["digits"], listed["device_name"]) == (asked["digits"], "New phone")
        assert "secret" not in listed
        answer = await phone.post(f"/pairing-requests/{listed['id']}/confirm", {"digits": asked["digits"]})
        assert answer.json() == {"state": "confirmed", "device_name": "New phone"}
        paired = await new.post("/auth/pairing-requests/claim", {"secret": asked["secret"]})
        assert paired.json()["state"] == "paired"
        me = (await new.get("/auth/me")).json()
        assert (me["login"]["device_name"], me["login"]["method"]) == ("New phone", "pairing")
        assert me["login"]["verified_at"] is None
        assert await self.claim(await served.stranger(), asked["secret"]) == "pairing_request_invalid"
        assert len(await served.audit(action="pairing_request.confirm")) == 1

    async def test_of_two_devices_the_one_whose_digits_were_seen_is_let_in(
        self, served: Served, phone: Client
    ) -> None:
        mine, asked = await self.asked(served)
        thief, asked_too = await self.asked(served)
        assert asked["digits"] != asked_too["digits"]
        listed = {
            one["digits"]: one["id"]
            for one in (await phone.get("/pairing-requests")).json()["pairing_requests"]
        }
        wrong = await phone.post(
            f"/pairing-requests/{listed[asked_too['digits']]}/confirm", {"digits": asked["digits"]}
        )
        assert wrong.json()["code"] == "digits_differ"
        await phone.post(f"/pairing-requests/{listed[asked['digits']]}/confirm", {"digits": asked["digits"]})
        assert await self.claim(mine, asked["secret"]) == "paired"
        assert await self.claim(thief, asked_too["secret"]) == "waiting"

    async def test_three_times_other_digits_end_the_request(self, served: Served, phone: Client) -> None:
        new, asked = await self.asked(served)
        [listed] = (await phone.get("/pairing-requests")).json()["pairing_requests"]
        other = f"{(int(asked['digits']) + 1) % 1_000_000:06}"
        for _ in range(3):
            answer = await phone.post(f"/pairing-requests/{listed['id']}/confirm", {"digits": other})
            assert answer.status_code == 409
        answer = await phone.post(f"/pairing-requests/{listed['id']}/confirm", {"digits": asked["digits"]})
        assert answer.status_code == 404
        assert await self.claim(new, asked["secret"]) == "pairing_request_refused"

    async def test_it_can_be_refused_and_expires(self, served: Served, phone: Client) -> None:
        new, asked = await self.asked(served)
        [listed] = (await phone.get("/pairing-requests")).json()["pairing_requests"]
        assert (await phone.post(f"/pairing-requests/{listed['id']}/refuse")).json()["state"] == "refused"
        assert await self.claim(new, asked["secret"]) == "pairing_request_refused"
        late, asked = await self.asked(served)
        served.turn(301)
        assert await self.claim(late, asked["secret"]) == "pairing_request_invalid"
        assert (await phone.get("/pairing-requests")).json() == {"pairing_requests": []}

    async def test_of_two_answers_the_first_counts(self, served: Served, phone: Client) -> None:
        _, asked = await self.asked(served)
        other = await served.browser(await served.account())
        [listed] = (await phone.get("/pairing-requests")).json()["pairing_requests"]
        path, body = f"/pairing-requests/{listed['id']}/confirm", {"digits": asked["digits"]}
        found = await asyncio.gather(phone.post(path, body), other.post(path, body))
        assert sorted(answer.status_code for answer in found) == [200, 404]

    async def test_strangers_fill_no_memory_and_write_no_row(self, served: Served, phone: Client) -> None:
        for _ in range(30):
            await self.asked(served)
        assert len((await phone.get("/pairing-requests")).json()["pairing_requests"]) == 20
        assert len(await served.audit(action="login.pair")) == 0

    async def test_a_script_lets_nobody_in(self, served: Served, script: Client) -> None:
        _, asked = await self.asked(served)
        assert (await script.get("/pairing-requests")).json()["code"] == "browser_only"
        request_id = served.box.pairing_requests.waiting()[0].request.id
        answer = await script.post(f"/pairing-requests/{request_id}/confirm", {"digits": asked["digits"]})
        assert answer.json()["code"] == "browser_only"


async def test_signing_out_everywhere_keeps_this_device(served: Served, phone: Client) -> None:
    other, script = await served.browser(), await served.script()
    stranger = await served.browser(await served.account())
    assert (await phone.delete("/logins")).json() == {"ended": 2}
    assert [(await one.get("/auth/me")).status_code for one in (phone, other, script, stranger)] == [
        200,
        401,
        401,
        200,
    ]
