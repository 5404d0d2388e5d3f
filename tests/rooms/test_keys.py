"""Keypairs on the real store and vault: made once per label, sealed, revoked for good."""

import asyncio
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from clawdbox.app import Box
from clawdbox.errors import Conflict, Invalid, NotFound, Problem
from clawdbox.events import Actor
from clawdbox.keys import rules


def contents(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def me(box: Box) -> Actor:
    return Actor(box.owner.id)


async def test_signing_up_makes_a_key(box: Box) -> None:
    (key,) = await box.keys.list(box.owner.id)
    assert (key.label, key.algorithm, key.is_active) == ("default", "ed25519", True)
    assert key.public_key.startswith("ssh-ed25519 ")
    assert key.public_key.endswith(" clawdbox-default")
    assert key.fingerprint == rules.fingerprint(key.public_key)
    anna = await box.accounts.create(Actor(), "Anna")
    (theirs,) = await box.keys.list(anna.id)
    assert theirs.public_key != key.public_key


async def test_a_label_is_made_once_while_it_lives(box: Box, me: Actor) -> None:
    (key, made), (again, made_again) = await asyncio.gather(
        box.keys.create(me, me.account_id or "", "Laptop"), box.keys.create(me, me.account_id or "", "Laptop")
    )
    assert key == again
    assert {made, made_again} == {True, False}
    await box.keys.revoke(me, box.owner.id, key.id, force=False)
    fresh, made = await box.keys.create(me, box.owner.id, "Laptop")
    assert made
    assert fresh.id != key.id
    assert fresh.fingerprint != key.fingerprint


async def test_no_label_means_the_default_key(box: Box, me: Actor) -> None:
    (default,) = await box.keys.list(box.owner.id)
    assert await box.keys.create(me, box.owner.id, None) == (default, False)


@pytest.mark.parametrize("label", ["", "-x", "a\nb", "x" * 65])
async def test_a_bad_label_is_refused(box: Box, me: Actor, label: str) -> None:
    with pytest.raises(Invalid):
        await box.keys.create(me, box.owner.id, label)


async def test_a_strange_label_makes_a_harmless_comment(box: Box, me: Actor) -> None:
    key, _ = await box.keys.create(me, box.owner.id, "Bob's `id` $(x) é")
    assert len(key.public_key.split()) == 3
    assert set(key.public_key.split()[2]) <= set("clawdbox-Bsidx")


async def test_the_private_key_is_sealed_and_fits_the_public_one(box: Box, me: Actor) -> None:
    (key,) = await box.keys.list(box.owner.id)
    private = await box.keys.private_key(key)
    loaded = serialization.load_ssh_private_key(bytes(private), None)
    public = loaded.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    assert public.decode() == " ".join(key.public_key.split()[:2])
    body = bytes(private).splitlines()[1][40:]
    kept = contents(box.data_dir)
    assert len(kept) > 1_000
    assert b"PRIVATE KEY" not in kept
    assert body not in kept


async def test_a_sealed_key_opens_for_its_own_row_and_account_only(box: Box, me: Actor) -> None:
    anna = await box.accounts.create(me, "Anna")
    (mine,), (theirs,) = await box.keys.list(box.owner.id), await box.keys.list(anna.id)
    await box.store.write(
        lambda tx: tx.run(
            "UPDATE agent_keypairs SET private_key_enc ="
            " (SELECT private_key_enc FROM agent_keypairs WHERE id = ?) WHERE id = ?",
            (mine.id, theirs.id),
        )
    )
    with pytest.raises(Problem) as broken:
        await box.keys.private_key(theirs)
    assert broken.value.code == "sealed_value_broken"


async def test_a_revoked_key_stays_revoked_and_is_told(box: Box, me: Actor) -> None:
    (key,) = await box.keys.list(box.owner.id)
    revoked = await box.keys.revoke(me, box.owner.id, key.id, force=False)
    assert (revoked.is_active, revoked.revoked_at is not None) == (False, True)
    for force in (False, True):
        with pytest.raises(Conflict) as again:
            await box.keys.revoke(me, box.owner.id, key.id, force=force)
        assert again.value.code == "keypair_revoked"
    rows = await box.store.read(
        lambda r: r.all("SELECT account_id, target_id FROM audit_log WHERE action = 'keypair.revoke'")
    )
    assert rows == [{"account_id": box.owner.id, "target_id": key.id}]
    with pytest.raises(Conflict) as none:
        await box.connections.create(
            me, box.owner.id, label="S", host="192.168.1.2", port=22, username="u", keypair_id=None
        )
    assert none.value.code == "no_keypair"


async def test_the_number_of_living_keys_is_limited(
    box: Box, me: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "MAX_LIVING", 2)
    second, _ = await box.keys.create(me, box.owner.id, "second")
    with pytest.raises(Conflict) as full:
        await box.keys.create(me, box.owner.id, "third")
    assert full.value.code == "keypair_limit_reached"
    assert await box.keys.create(me, box.owner.id, "second") == (second, False)
    await box.keys.revoke(me, box.owner.id, second.id, force=False)
    await box.keys.create(me, box.owner.id, "third")


async def test_keys_of_others_are_not_found(box: Box, me: Actor) -> None:
    anna = await box.accounts.create(me, "Anna")
    (mine,) = await box.keys.list(box.owner.id)
    for keypair_id in (mine.id, "nothing"):
        with pytest.raises(NotFound):
            await box.keys.get(anna.id, keypair_id)
        with pytest.raises(NotFound):
            await box.keys.revoke(Actor(anna.id), anna.id, keypair_id, force=True)
        with pytest.raises(NotFound):
            await box.connections.create(
                Actor(anna.id),
                anna.id,
                label="S",
                host="192.168.1.2",
                port=22,
                username="u",
                keypair_id=keypair_id,
            )
    assert (await box.keys.get(box.owner.id, mine.id)).is_active
