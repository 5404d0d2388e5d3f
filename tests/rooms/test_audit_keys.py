"""The keys of the audit chain outlive the master keys that they come from."""

import pytest

from clawdbox.events import Actor, Ledger
from clawdbox.events.audit_keys import AuditKeys
from clawdbox.events.rules import ChainCheck
from clawdbox.store import Store, Tx
from clawdbox.vault import Sealer, Secret

FIRST, SECOND = "00000000000000aa", "00000000000000bb"
MASTERS = {FIRST: Secret(b"a" * 32), SECOND: Secret(b"b" * 32)}


@pytest.fixture
def sealer() -> Sealer:
    return Sealer("instance-1", FIRST, {FIRST: MASTERS[FIRST]})


def written(ledger: Ledger, keys: AuditKeys, count: int):  # type: ignore[no-untyped-def]  # a write
    def change(tx: Tx) -> None:
        keys.keep(tx)
        for n in range(count):
            ledger.audit(tx, Actor(), f"do.{n}")

    return change


async def test_rows_verify_after_their_master_key_has_gone(store: Store, sealer: Sealer) -> None:
    keys = AuditKeys(sealer)
    ledger = Ledger(keys)
    await store.write(written(ledger, keys, 2))
    sealer.adopt(SECOND, MASTERS)
    await store.write(written(ledger, keys, 2))
    await store.write(lambda tx: reseal(tx, sealer))
    sealer.adopt(SECOND, {SECOND: MASTERS[SECOND]})
    assert await store.read(lambda r: ledger.verify(r, None)) == ChainCheck(4, None, None)
    named = await store.read(lambda r: r.all("SELECT key_id FROM audit_log ORDER BY id"))
    assert [row["key_id"] for row in named] == [FIRST, FIRST, SECOND, SECOND]


def reseal(tx: Tx, sealer: Sealer) -> None:
    place = ("audit_keys", FIRST, "key_enc", "box")
    kept = str(tx.value("SELECT key_enc FROM audit_keys WHERE key_id = ?", (FIRST,)))
    tx.run(
        "UPDATE audit_keys SET key_enc = ? WHERE key_id = ?",
        (sealer.seal(*place, sealer.open(*place, kept)), FIRST),
    )


async def test_rows_from_before_they_named_a_key_belong_to_the_first(store: Store, sealer: Sealer) -> None:
    old = Ledger(bytes(AuditKeys(sealer).active()[1]))
    await store.write(lambda tx: old.audit(tx, Actor(), "long.ago"))
    keys = AuditKeys(sealer)
    await store.write(written(Ledger(keys), keys, 1))
    sealer.adopt(SECOND, MASTERS)
    await store.write(written(Ledger(keys), keys, 1))
    assert await store.read(lambda r: Ledger(keys).verify(r, None)) == ChainCheck(3, None, None)


async def test_a_key_that_somebody_changed_makes_its_rows_bad(store: Store, sealer: Sealer) -> None:
    keys = AuditKeys(sealer)
    await store.write(written(Ledger(keys), keys, 1))
    sealer.adopt(SECOND, {SECOND: MASTERS[SECOND]})
    await store.write(written(Ledger(keys), keys, 1))
    assert (await store.read(lambda r: Ledger(keys).verify(r, None))).first_bad == 1


async def test_a_key_is_kept_once(store: Store, sealer: Sealer) -> None:
    keys = AuditKeys(sealer)
    for _ in range(2):
        await store.write(keys.keep)
    assert await store.read(lambda r: r.value("SELECT count(*) FROM audit_keys")) == 1
