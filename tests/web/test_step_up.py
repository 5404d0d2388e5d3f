"""What a stolen cookie alone must not do."""

from datetime import timedelta

import pytest

from clawdbox.accounts import Device
from clawdbox.events.model import SYSTEM
from clawdbox.store import Tx
from tests.web.routes import all_handlers
from tests.web.served import Client, Make, Served, new_connection

FRESH_ROUTES = {
    "rotate_key",
    "retry_rotation",
    "export_audit",
    "reveal_recovery_words",
    "begin_passkey",
    "add_passkey",
    "remove_passkey",
    "renew_recovery_codes",
    "add_login_provider",
    "remove_login_provider",
    "unlink_identity",
    "change_account",
    "choose_sign_up",
    "create_invitation",
}


async def later(served: Served) -> Client:
    """A browser whose person proved nothing: not the account's first."""
    await served.browser()
    return await served.browser()


async def verify(served: Served, client: Client) -> None:
    await served.box.store.write(lambda tx: served.box.accounts.verify_login(tx, client.login_id, "test"))


def test_these_routes_ask_for_a_person() -> None:
    assert {handler.fn.__name__ for handler in all_handlers() if handler.opt.get("fresh")} == FRESH_ROUTES


async def test_a_login_that_proved_nothing_is_told_what_it_can_use(served: Served) -> None:
    phone = await later(served)
    answer = await phone.post("/recovery-words")
    assert (answer.status_code, answer.json()["code"]) == (403, "step_up_required")
    assert answer.json()["means"] == ["terminal"]
    rows = await served.audit(action="recovery_words.reveal", result="failed")
    assert [row["detail"]["code"] for row in rows] == ["step_up_required"]


async def test_after_the_proof_the_same_request_passes_for_five_minutes(served: Served) -> None:
    phone = await later(served)
    await verify(served, phone)
    assert (await phone.post("/recovery-words")).status_code == 200
    served.turn(299)
    assert (await phone.post("/recovery-words")).status_code == 200
    served.turn(2)
    assert (await phone.post("/recovery-words")).json()["code"] == "step_up_required"
    assert (await phone.get("/auth/me")).json()["login"]["verified_at"] is not None


async def test_one_login_s_proof_is_not_another_s(served: Served) -> None:
    phone, other = await later(served), await served.browser()
    await verify(served, other)
    assert (await phone.post("/recovery-words")).json()["code"] == "step_up_required"


async def test_a_clock_set_back_makes_no_proof_last_longer(served: Served) -> None:
    phone = await later(served)
    served.turn(3600)
    await verify(served, phone)
    served.turn(-3600)
    assert (await phone.post("/recovery-words")).json()["code"] == "step_up_required"


async def test_a_script_cannot_prove_that_somebody_is_there(served: Served, script: Client) -> None:
    await verify(served, script)
    assert (await script.post("/recovery-words")).json()["code"] == "browser_only"


async def test_the_first_browser_by_a_link_of_the_box_itself_is_confirmed(served: Served) -> None:
    first, second = await served.browser(), await served.browser()
    assert (await first.get("/auth/me")).json()["login"]["verified_at"] is not None
    assert (await second.get("/auth/me")).json()["login"]["verified_at"] is None


async def test_a_link_made_by_another_device_confirms_nobody(served: Served) -> None:
    account = await served.account()
    someone = await served.script(account)
    actor = (await served.box.accounts.authenticate(someone.headers["authorization"][7:], None)).actor
    code = await served.box.accounts.make_pairing_code(actor, account.id)
    granted = await served.box.accounts.pair(code.code, Device("a", None, None))
    assert granted.login.verified_at is None


async def test_a_login_that_has_ended_is_not_verified(served: Served) -> None:
    phone = await later(served)
    await served.box.accounts.revoke_login(SYSTEM, served.box.owner.id, phone.login_id)
    with pytest.raises(Exception, match="Sign in first"):
        await verify(served, phone)


async def test_the_proof_is_in_the_trail(served: Served) -> None:
    phone = await later(served)
    await verify(served, phone)
    rows = await served.audit(action="login.verify")
    assert [(row["target_id"], row["detail"]) for row in rows] == [(phone.login_id, {"means": "test"})]


class TestPolicies:
    @pytest.mark.parametrize(
        "lax, strict",
        [
            ({"agent_mode": "unattended"}, {"agent_mode": "read_freely"}),
            ({"agent_mode": "read_freely"}, {"agent_mode": "ask_everything"}),
        ],
        ids=lambda given: given["agent_mode"],
    )
    async def test_letting_agents_ask_less_needs_a_person_and_more_does_not(
        self, served: Served, lax: dict[str, str], strict: dict[str, str]
    ) -> None:
        phone = await later(served)
        assert (await phone.patch("/account/settings", strict)).status_code == 200
        refused = await phone.patch("/account/settings", {**lax, "max_leases": 9})
        assert refused.json()["code"] == "step_up_required"
        now = (await phone.get("/account/settings")).json()["settings"]
        assert (now["agent_mode"], now["max_leases"]) == (strict["agent_mode"], 5)
        await verify(served, phone)
        assert (await phone.patch("/account/settings", lax)).status_code == 200
        served.turn(600)
        assert (await phone.patch("/account/settings", {**lax, "max_leases": 9})).status_code == 200
        assert (await phone.patch("/account/settings", strict)).status_code == 200

    async def test_so_does_a_laxer_tier_and_judging_people_no_more(self, served: Served) -> None:
        phone = await later(served)
        path = f"/connections/{(await new_connection(phone))['id']}"
        assert (await phone.patch(path, {"judge_people": True, "label": "b"})).status_code == 200
        for lax in ({"tier": "staging"}, {"tier": "lab"}, {"judge_people": False}):
            assert (await phone.patch(path, lax)).json()["code"] == "step_up_required", lax
        await verify(served, phone)
        assert (await phone.patch(path, {"tier": "lab", "judge_people": False})).status_code == 200
        served.turn(600)
        assert (await phone.patch(path, {"tier": "production"})).status_code == 200

    async def test_a_script_lowers_none(self, served: Served, script: Client) -> None:
        path = f"/connections/{(await new_connection(script))['id']}"
        assert (await script.patch(path, {"tier": "lab"})).json()["code"] == "browser_only"
        assert (await script.patch("/account/settings", {"agent_mode": "unattended"})).status_code == 403
        assert (await script.patch("/account/settings", {"max_leases": 9})).status_code == 200

    async def test_loopback_is_allowed_by_a_person_only(self, make: Make) -> None:
        served = await make()
        phone = await later(served)
        answer = await phone.patch("/account/settings", {"allow_loopback": True})
        assert answer.json()["code"] == "step_up_required"
        assert (await phone.patch("/account/settings", {"allow_loopback": False})).status_code == 200


async def test_every_sign_in_gets_a_token_of_its_own(served: Served) -> None:
    def twice(tx: Tx) -> list[str]:
        device = Device("a", None, None)
        owner = served.box.owner
        return [
            served.box.accounts.sign_in(tx, owner, "passkey", device, verified=True).token for _ in range(2)
        ]

    first, second = await served.box.store.write(twice)
    assert first != second
    logins = await served.box.accounts.logins(served.box.owner.id)
    assert {login.method for login in logins} == {"passkey"}
    assert all(login.verified_at for login in logins)
    assert logins[0].expires_at - logins[0].created_at == timedelta(days=30)
