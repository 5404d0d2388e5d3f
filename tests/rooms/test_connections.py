"""Saved connections on the real store; what a server has to do with them is in tests/ssh."""

from typing import Any

import pytest

from clawdbox.app import Box
from clawdbox.errors import Conflict, Invalid, NotFound
from clawdbox.events import Actor
from clawdbox.settings import Settings
from clawdbox.ssh.model import Connection
from clawdbox.ssh.service.dialling import Addresses


async def save(box: Box, label: str = "NAS", account_id: str | None = None, **more: Any) -> Connection:
    values = {"label": label, "host": "nas.lan", "port": 22, "username": "bob", "keypair_id": None, **more}
    who = account_id or box.owner.id
    return await box.connections.create(Actor(who), who, **values)


async def test_a_saved_connection_is_a_draft_with_the_default_key(box: Box) -> None:
    saved = await save(box, "Bob's NAS", host="NAS.lan.")
    (key,) = await box.keys.list(box.owner.id)
    assert (saved.label, saved.host, saved.port, saved.username) == ("Bob's NAS", "nas.lan", 22, "bob")
    assert (saved.keypair_id, saved.state, saved.deleted_at) == (key.id, "draft", None)
    assert await box.connections.get(box.owner.id, saved.id) == saved


async def test_the_default_key_is_the_default_one_even_when_others_are_older_or_newer(box: Box) -> None:
    me = Actor(box.owner.id)
    (first,) = await box.keys.list(box.owner.id)
    other, _ = await box.keys.create(me, box.owner.id, "other")
    assert (await save(box, "a")).keypair_id == first.id
    await box.keys.revoke(me, box.owner.id, first.id, force=False)
    assert (await save(box, "b")).keypair_id == other.id
    fresh, _ = await box.keys.create(me, box.owner.id, None)
    assert (await save(box, "c")).keypair_id == fresh.id


async def test_connections_are_listed_by_name_whatever_its_case(box: Box) -> None:
    for label in ("beta", "Alpha", "gamma"):
        await save(box, label)
    assert [found.label for found in await box.connections.list(box.owner.id)] == ["Alpha", "beta", "gamma"]


async def test_a_label_is_taken_once_per_account(box: Box) -> None:
    first = await save(box)
    with pytest.raises(Conflict) as taken:
        await save(box)
    assert (taken.value.code, taken.value.detail) == ("label_taken", {"field": "label"})
    anna = await box.accounts.create(Actor(), "Anna")
    await save(box, account_id=anna.id)
    second = await save(box, "Other")
    change = box.connections.change
    with pytest.raises(Conflict):
        await change(Actor(box.owner.id), box.owner.id, second.id, label="NAS")
    assert (await change(Actor(box.owner.id), box.owner.id, first.id, label="NAS")).label == "NAS"


@pytest.mark.parametrize(
    "field, value",
    [("label", "-x"), ("host", "2130706433"), ("host", "169.254.169.254"), ("port", 0), ("port", 65536),
     ("username", "-oProxyCommand=id")],
)  # fmt: skip
async def test_bad_input_names_its_field_and_writes_nothing(box: Box, field: str, value: Any) -> None:
    with pytest.raises(Invalid) as refused:
        await save(box, **{field: value})
    assert refused.value.field == field
    assert await box.connections.list(box.owner.id) == []
    saved = await save(box)
    with pytest.raises(Invalid) as refused:
        await box.connections.change(Actor(box.owner.id), box.owner.id, saved.id, **{field: value})
    assert refused.value.field == field
    assert await box.connections.get(box.owner.id, saved.id) == saved


async def test_an_edit_is_told_with_before_and_after(box: Box) -> None:
    saved = await save(box)
    await box.connections.change(Actor(box.owner.id), box.owner.id, saved.id, host="other.lan", port=2222)
    row = (await box.store.read(
        lambda r: r.all("SELECT detail FROM audit_log WHERE action = 'connection.update'")
    ))[0]  # fmt: skip
    assert '"nas.lan"' in row["detail"]
    assert '"other.lan"' in row["detail"]


async def test_a_removed_connection_is_gone_but_kept_for_its_old_leases(box: Box) -> None:
    saved = await save(box)
    me = Actor(box.owner.id)
    gone, removal = await box.connections.remove(me, box.owner.id, saved.id, remove_key=False)
    assert (gone.state, removal.attempted, removal.removed) == ("deleted", False, None)
    for verb in (
        box.connections.get(box.owner.id, saved.id),
        box.connections.change(me, box.owner.id, saved.id, label="x"),
        box.connections.remove(me, box.owner.id, saved.id, remove_key=False),
        box.leases.start(me, box.owner.id, saved.id),
    ):
        with pytest.raises(NotFound):
            await verb
    assert (await box.connections.get(box.owner.id, saved.id, deleted=True)).deleted_at is not None


async def test_a_key_shared_with_another_connection_stays_on_the_server(box: Box) -> None:
    first = await save(box, "one")
    await save(box, "two")
    _, removal = await box.connections.remove(Actor(box.owner.id), box.owner.id, first.id, remove_key=True)
    assert (removal.attempted, removal.removed) == (False, None)
    assert "another saved connection" in removal.message


async def test_a_server_whose_key_was_never_accepted_is_not_logged_in_to(box: Box) -> None:
    saved = await save(box)
    _, removal = await box.connections.remove(Actor(box.owner.id), box.owner.id, saved.id, remove_key=True)
    assert (removal.attempted, removal.removed) == (False, None)


async def test_the_owner_s_choice_about_loopback_outlives_a_restart(box: Box) -> None:
    box.addresses._by_flag = False
    with pytest.raises(Invalid):
        await save(box, host="127.0.0.1")
    await box.connections.allow_loopback(Actor(box.owner.id), True)
    saved = await save(box, host="127.0.0.1")
    box.addresses.by_setting = False
    await box.connections.load_loopback()
    assert await box.connections.loopback_allowed()
    await box.connections.allow_loopback(Actor(box.owner.id), False)
    assert not await box.connections.loopback_allowed()
    renamed = await box.connections.change(Actor(box.owner.id), box.owner.id, saved.id, label="Still")
    assert renamed.label == "Still"
    with pytest.raises(Invalid):
        await box.connections.change(Actor(box.owner.id), box.owner.id, saved.id, port=23)


@pytest.mark.parametrize(
    "flag, setting, demo, port, allowed",
    [(False, False, None, 22, False), (True, False, None, 22, True), (False, True, None, 22, True),
     (False, False, 2222, 2222, True), (False, False, 2222, 22, False)],
)  # fmt: skip
def test_which_loopback_is_allowed(
    flag: bool, setting: bool, demo: int | None, port: int, allowed: bool
) -> None:
    addresses = Addresses(Settings(allow_loopback=flag))
    addresses.by_setting, addresses.demo_port = setting, demo
    assert addresses.loopback_for(port) == allowed
