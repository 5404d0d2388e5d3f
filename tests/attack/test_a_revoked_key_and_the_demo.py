"""Revoking every key is a person's right, and no reason for a box not to start."""

from pathlib import Path

from clawdbox.app import Box
from clawdbox.events.model import SYSTEM
from clawdbox.settings import Settings
from tests.clocks import HandClock


async def test_a_demo_whose_keys_are_all_revoked_starts_with_a_new_one(
    tmp_path: Path, clock: HandClock
) -> None:
    box = Box(tmp_path / "box", Settings(demo=True), clock)
    await box.start()
    old = await box.keys.default(box.owner.id)
    await box.keys.revoke(SYSTEM, box.owner.id, old.id, force=True)
    await box.stop()

    box = Box(tmp_path / "box", Settings(demo=True), clock)
    await box.start()
    try:
        new = await box.keys.default(box.owner.id)
        (demo,) = await box.connections.list(box.owner.id)
        assert (new.id != old.id, demo.keypair_id) == (True, new.id)
    finally:
        await box.stop()
