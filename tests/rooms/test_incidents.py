"""What somebody should look at: raised once, counted while nobody has, and settled by who decides."""

from clawdbox.app import Box
from clawdbox.events import Actor, IncidentKind
from clawdbox.events.model import SYSTEM
from clawdbox.events.sql import incidents
from clawdbox.store import Tx


async def told(box: Box, kind: str) -> int:
    return int(
        await box.store.read(lambda r: r.value("SELECT count(*) FROM events WHERE type = ?", (kind,))) or 0
    )


async def test_the_same_thing_again_is_counted_until_somebody_has_seen_it(box: Box) -> None:
    owner = box.owner

    def raise_it(tx: Tx) -> None:
        box.ledger.incident(tx, SYSTEM, owner.id, IncidentKind.FAILED_LOGINS, "192.0.2.7", {"failures": 6})

    for _ in range(3):
        await box.store.write(raise_it)
    (one,) = await box.store.read(lambda r: incidents(r, owner.id, 10, only_open=True))
    assert (one.times, one.subject) == (3, "192.0.2.7")
    assert await told(box, "incident.failed_logins") == 1

    seen = await box.store.write(lambda tx: box.ledger.see_incident(tx, Actor(owner.id), owner.id, one.id))

    assert seen.seen_at is not None
    assert await box.store.read(lambda r: incidents(r, owner.id, 10, only_open=True)) == []
    await box.store.write(raise_it)
    assert await told(box, "incident.failed_logins") == 2
