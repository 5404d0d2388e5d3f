"""Saved servers: from a draft to a tested one, against a real OpenSSH server."""

import pytest

from tests.ssh.sshd import Sshd
from tests.web.served import Client, Make, Served, new_connection
from tests.web.servers import connect_to, start_session

SHAPE = {
    "id", "label", "host", "port", "username", "keypair_id", "jump_connection_id", "state", "host_key_fingerprint", "host_key_type",
    "host_key_pinned_at", "host_authority_id", "offered_host_key", "last_tested_at", "last_test_result", "last_test_message",
    "last_latency_ms", "created_at", "updated_at", "active_session_id", "tier", "judge_people",
}  # fmt: skip


async def test_a_saved_server_is_a_draft_with_the_accounts_key(phone: Client) -> None:
    key = (await phone.get("/keys")).json()["keypairs"][0]
    connection = await new_connection(phone)
    assert set(connection) == SHAPE
    assert (connection["state"], connection["port"], connection["keypair_id"]) == ("draft", 22, key["id"])
    assert (await phone.get(f"/connections/{connection['id']}")).json()["connection"] == connection
    assert (await phone.get("/connections")).json()["connections"] == [connection]


async def test_a_label_is_taken_once_among_living_connections(phone: Client) -> None:
    first = await new_connection(phone)
    again = await phone.post("/connections", {"label": "NAS", "host": "a", "username": "b"})
    assert (again.status_code, again.json()["code"]) == (409, "label_taken")
    removed = await phone.delete(f"/connections/{first['id']}")
    assert removed.json()["key_removal"] == {
        "attempted": False,
        "removed": None,
        "message": "The key stays on the server.",
    }
    assert (await new_connection(phone))["label"] == "NAS"


async def test_another_accounts_key_cannot_be_used(served: Served, phone: Client) -> None:
    other = await served.script(await served.account())
    theirs = (await other.get("/keys")).json()["keypairs"][0]["id"]
    mine = await new_connection(phone)
    made = await phone.post(
        "/connections", {"label": "x", "host": "a", "username": "b", "keypair_id": theirs}
    )
    changed = await phone.patch(f"/connections/{mine['id']}", {"keypair_id": theirs})
    assert (made.status_code, changed.status_code) == (404, 404)


async def test_only_what_is_given_changes(phone: Client) -> None:
    before = await new_connection(phone)
    after = (await phone.patch(f"/connections/{before['id']}", {"label": "Attic"})).json()["connection"]
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"label", "updated_at"}


@pytest.mark.sshd
class TestAgainstARealServer:
    async def test_the_host_key_is_shown_then_pinned_then_tested(self, phone: Client, sshd: Sshd) -> None:
        sshd.authorize((await phone.get("/keys")).json()["keypairs"][0]["public_key"])
        connection = await new_connection(phone, host=sshd.host, port=sshd.port, username=sshd.username)
        path = f"/connections/{connection['id']}/test"

        shown = await phone.post(path)

        assert (shown.status_code, shown.json()["code"]) == (409, "host_key_unknown")
        assert shown.json()["new_fingerprint"] == sshd.fingerprint()
        assert shown.json()["new_type"] == "ssh-ed25519"
        assert sshd.login_attempts() == 0
        offered = (await phone.get(f"/connections/{connection['id']}")).json()["connection"][
            "offered_host_key"
        ]
        assert (offered["fingerprint"], offered["type"]) == (sshd.fingerprint(), "ssh-ed25519")

        tested = await phone.post(path, {"accept_host_key": True})

        answer = tested.json()
        assert (tested.status_code, answer["result"], answer["cause"], answer["next_step"]) == (
            200,
            "ok",
            None,
            None,
        )
        assert answer["host_key"] == {"fingerprint": sshd.fingerprint(), "type": "ssh-ed25519"}
        assert answer["latency_ms"] > 0
        assert "OpenSSH" in answer["server_version"]
        assert answer["connection"]["state"] == "tested"
        assert answer["connection"]["offered_host_key"] is None

    async def test_a_changed_host_key_is_told_old_against_new(self, phone: Client, sshd: Sshd) -> None:
        connection = await connect_to(phone, sshd)
        old = sshd.fingerprint()
        sshd.restart(new_host_keys=("ed25519",))

        refused = await phone.post(f"/connections/{connection['id']}/test")

        assert (refused.status_code, refused.json()["code"]) == (409, "host_key_changed")
        problem = refused.json()
        assert (problem["old_fingerprint"], problem["new_fingerprint"]) == (old, sshd.fingerprint())
        assert {"old_type", "new_type", "pinned_at", "offered_at"} <= set(problem)
        started = await phone.post("/sessions", {"connection_id": connection["id"]})
        assert started.json()["code"] == "host_key_changed"

    async def test_a_failed_test_is_an_answer_with_its_cause(self, phone: Client, sshd: Sshd) -> None:
        connection = await connect_to(phone, sshd)
        sshd.deauthorize_all()
        answer = (await phone.post(f"/connections/{connection['id']}/test")).json()
        assert (answer["result"], answer["cause"]) == ("failed", "authentication")
        assert answer["next_step"]
        sshd.stop()
        answer = (await phone.post(f"/connections/{connection['id']}/test")).json()
        assert (answer["result"], answer["cause"]) == ("failed", "port")

    async def test_what_a_session_uses_stays_as_it_is(self, phone: Client, sshd: Sshd) -> None:
        session = await start_session(phone, sshd)
        path = f"/connections/{session['connection_id']}"
        assert (await phone.get(path)).json()["connection"]["active_session_id"] == session["id"]
        moved = await phone.patch(path, {"port": 2222})
        removed = await phone.delete(path)
        revoked = await phone.delete(f"/keys/{session['keypair_id']}")
        assert [answer.json()["code"] for answer in (moved, removed, revoked)] == [
            "connection_in_use", "connection_in_use", "keypair_in_use",
        ]  # fmt: skip
        assert removed.json()["session_ids"] == revoked.json()["session_ids"] == [session["id"]]

    async def test_removing_it_can_take_the_key_off_the_server(self, phone: Client, sshd: Sshd) -> None:
        connection = await connect_to(phone, sshd)
        removed = (await phone.delete(f"/connections/{connection['id']}?remove_key=true")).json()
        assert removed["key_removal"]["attempted"] is True
        assert set(removed["key_removal"]) == {"attempted", "removed", "message"}
        assert (await phone.get(f"/connections/{connection['id']}")).status_code == 404


class TestKeys:
    async def test_a_key_is_made_once_for_each_label(self, phone: Client) -> None:
        made = await phone.post("/keys", {"label": "laptop"})
        again = await phone.post("/keys", {"label": "laptop"})
        default = await phone.post("/keys")
        assert (made.status_code, again.status_code, default.status_code) == (201, 200, 200)
        assert made.json() == again.json()
        assert set(made.json()["keypair"]) == {
            "id", "label", "fingerprint", "public_key", "algorithm", "created_at", "is_active", "rotated_at",
            "revoked_at", "state",
        }  # fmt: skip

    async def test_how_to_let_it_in_is_one_line(self, phone: Client) -> None:
        key = (await phone.get("/keys")).json()["keypairs"][0]
        shown = (await phone.get(f"/keys/{key['id']}/install-command")).json()
        assert (shown["public_key"], shown["fingerprint"]) == (key["public_key"], key["fingerprint"])
        assert key["public_key"] in shown["command"]
        assert "\n" not in shown["command"]

    async def test_a_revoked_key_stays_revoked(self, phone: Client) -> None:
        key = (await phone.post("/keys", {"label": "old"})).json()["keypair"]
        revoked = (await phone.delete(f"/keys/{key['id']}?force=true")).json()["keypair"]
        assert (revoked["state"], revoked["is_active"]) == ("revoked", False)
        assert (await phone.delete(f"/keys/{key['id']}")).json()["code"] == "keypair_revoked"

    async def test_no_answer_carries_a_private_key(self, phone: Client) -> None:
        for path in ("/keys", "/events", "/audit"):
            assert "PRIVATE" not in (await phone.get(path)).text


class TestSettings:
    async def test_they_have_defaults_and_bounds(self, phone: Client) -> None:
        settings = (await phone.get("/account/settings")).json()["settings"]
        assert settings == {
            "idle_timeout_s": 1800, "max_leases": 5, "allow_loopback": True, "allow_loopback_editable": False,
            "agent_mode": "read_freely", "turn_max_commands": 100, "turn_max_tokens": 2_000_000, "turn_max_cost_usd": 5.0,
            "turn_max_s": 3600, "unattended_commands": 20,
        }  # fmt: skip
        changed = await phone.patch("/account/settings", {"idle_timeout_s": 60})
        assert changed.json()["settings"] == {**settings, "idle_timeout_s": 60}
        for body in (
            {"idle_timeout_s": 59},
            {"idle_timeout_s": 86_401},
            {"max_leases": 0},
            {"max_leases": 51},
        ):
            assert (await phone.patch("/account/settings", body)).status_code == 422

    async def test_loopback_is_the_owners_to_allow_unless_the_start_fixed_it(
        self, served: Served, phone: Client
    ) -> None:
        fixed = await phone.patch("/account/settings", {"allow_loopback": False})
        assert (fixed.status_code, fixed.json()["code"]) == (409, "allow_loopback_fixed")

    async def test_the_owner_allows_loopback(self, make: Make) -> None:
        served = await make()
        phone, other = await served.browser(), await served.script(await served.account())
        loopback = {"label": "Here", "host": "127.0.0.1", "username": "a"}
        assert (await phone.post("/connections", loopback)).json()["field"] == "host"
        assert (await other.patch("/account/settings", {"allow_loopback": True})).json()[
            "code"
        ] == "role_forbidden"
        allowed = await phone.patch("/account/settings", {"allow_loopback": True})
        assert allowed.json()["settings"]["allow_loopback"] is True
        assert (await phone.post("/connections", loopback)).status_code == 201
