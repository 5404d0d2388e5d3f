"""The master key is exchanged under way: every value is sealed anew, and nothing is lost, whenever it is interrupted."""

import multiprocessing
import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from clawdbox.app import Box
from clawdbox.errors import Problem, StartRefused
from clawdbox.events.model import SYSTEM
from clawdbox.events.rules import ChainCheck
from clawdbox.sealed_columns import SEALED_COLUMNS
from clawdbox.settings import Settings
from clawdbox.store import Tx
from clawdbox.vault import BOX, Keyring, key_mark
from tests.rooms.rotating import audited, lost, make, open_as_a_start_does, rotate


def marks(folder: Path) -> dict[tuple[str, str], set[str]]:
    """By column, how the values in it begin: under which keys they are sealed."""
    db = sqlite3.connect(folder / "clawdbox.db")
    found = {}
    for it in SEALED_COLUMNS:
        where = f"{it.row} IN ('keyring_check', 'vapid_key')" if it.only else f"{it.column} IS NOT NULL"
        rows = db.execute(f"SELECT substr({it.column}, 1, 12) FROM {it.table} WHERE {where}").fetchall()
        found[it.table, it.column] = {mark for (mark,) in rows}
    db.close()
    return found


async def test_every_value_is_sealed_anew_and_the_old_key_goes(tmp_path: Path) -> None:
    told = await make(tmp_path / "box", 3)
    before = (tmp_path / "box" / "master.keyring").read_bytes()
    async with Box.offline(tmp_path / "box", Settings()) as box:
        old = box.keyring.status().active
        box.rotation.batch = 2
        assert await box.rotation.begin(SYSTEM, None)
        progress = await box.rotation.run()
        assert (progress.left, progress.old_keys, progress.broken) == (0, (), ())
        new = box.keyring.status().active
        assert new != old
    assert lost(tmp_path / "box", told) == []
    assert set(map(frozenset, marks(tmp_path / "box").values())) == {frozenset({key_mark(new)})}
    assert await audited(tmp_path / "box") == ChainCheck(5, None, None)
    (tmp_path / "box" / "master.keyring").write_bytes(before)
    with pytest.raises(StartRefused):
        open_as_a_start_does(tmp_path / "box")


async def test_what_is_written_meanwhile_is_sealed_with_the_new_key(box: Box) -> None:
    old = await box.keys.default(box.owner.id)
    await box.rotation.begin(SYSTEM, None)
    new, _ = await box.keys.create(SYSTEM, box.owner.id, "meanwhile")
    kept = await box.store.read(lambda r: r.all("SELECT id, private_key_enc AS value FROM agent_keypairs"))
    active = key_mark(box.keyring.status().active)
    assert {row["id"]: row["value"].startswith(active) for row in kept} == {old.id: False, new.id: True}
    await box.rotation.run()
    assert box.keyring.old_keys == ()
    for keypair in (old, new):
        assert await box.keys.private_key(keypair)


async def test_a_value_that_changes_while_it_is_sealed_anew_is_not_overwritten(box: Box) -> None:
    await box.store.write(
        lambda tx: tx.run("INSERT INTO box_meta VALUES ('vapid_key', ?)", (sealed(box, "old"),))
    )
    await box.rotation.begin(SYSTEM, None)
    seal_anew = box.rotation._anew

    def slow(*args: object) -> str | None:
        fresh = seal_anew(*args)  # type: ignore[arg-type]
        db = sqlite3.connect(box.store.path)
        with db:
            db.execute("UPDATE box_meta SET value = ? WHERE key = 'vapid_key'", (sealed(box, "newer"),))
        db.close()
        return fresh

    box.rotation._anew = slow  # type: ignore[method-assign,assignment]
    await box.rotation.run()
    value = await box.store.read(lambda r: r.value("SELECT value FROM box_meta WHERE key = 'vapid_key'"))
    assert bytes(box.sealer.open("box_meta", "vapid_key", "value", BOX, value)) == b"newer"


def sealed(box: Box, text: str) -> str:
    return box.sealer.seal("box_meta", "vapid_key", "value", BOX, text.encode())


async def test_the_next_start_goes_on_by_itself(tmp_path: Path) -> None:
    told = await make(tmp_path / "box", 2)
    async with Box.offline(tmp_path / "box", Settings()) as box:
        await box.rotation.begin(SYSTEM, None)
    started = Box(tmp_path / "box", Settings())
    await started.open()
    started.rotation.start()
    assert started.rotation._task is not None
    await started.rotation._task
    assert started.keyring.old_keys == ()
    await started.store.close()
    assert lost(tmp_path / "box", told) == []


async def test_a_second_rotation_only_goes_on_with_the_first(box: Box) -> None:
    assert await box.rotation.begin(SYSTEM, None)
    active = box.keyring.status().active
    assert not await box.rotation.begin(SYSTEM, None)
    assert box.keyring.status().active == active


async def test_a_value_that_no_key_opens_is_named_and_keeps_the_old_key(box: Box) -> None:
    value = sealed(box, "x")
    damaged = value[:20] + ("A" if value[20] != "A" else "B") + value[21:]
    await box.store.write(lambda tx: tx.run("INSERT INTO box_meta VALUES ('vapid_key', ?)", (damaged,)))
    await box.rotation.begin(SYSTEM, None)
    progress = await box.rotation.run()
    assert progress.broken == ("box_meta.value of vapid_key",)
    assert (progress.left, len(progress.old_keys), progress.is_done) == (1, 1, True)
    await box.store.write(lambda tx: tx.run("DELETE FROM box_meta WHERE key = 'vapid_key'"))
    assert (await box.rotation.run()).old_keys == ()


async def test_the_words_are_new_and_wait_to_be_written_down(tmp_path: Path) -> None:
    await make(tmp_path / "box", 1)
    async with Box.offline(tmp_path / "box", Settings()) as box:
        await box.rotation.begin(SYSTEM, None)
        words = " ".join(await box.recovery.reveal())
        assert Keyring.open_with_words(box.data_dir, words).words_id == box.recovery.words_id
    again = Box(tmp_path / "box", Settings())
    await again.open()
    await again.recovery.load()
    assert again.recovery.pending, "nobody confirmed them, so there are new ones"
    await again.store.close()


async def test_a_rotation_that_is_refused_leaves_the_words_that_were_written_down(tmp_path: Path) -> None:
    await make(tmp_path / "box", 1)
    async with Box.offline(tmp_path / "box", Settings()) as box:
        await box.slots.set_passphrase(SYSTEM, "correct horse battery")
        (tmp_path / "box" / ".master.keyring.new").mkdir()
        for given in (None, "wrong horse battery", "correct horse battery"):
            with pytest.raises((Problem, OSError)):
                await box.rotation.begin(SYSTEM, given)
        await box.recovery.load()
        assert not box.recovery.pending
        assert box.keyring.old_keys == ()


# kill -9


def killed_at(folder: Path, seconds: float) -> bool:
    """Rotate in a process that is killed after so long; whether it came to its end before."""
    process = FORKS.Process(target=rotate, args=(folder, 2))
    process.start()
    process.join(seconds)
    process.kill()
    process.join()
    assert process.exitcode in (0, -9)
    return process.exitcode == 0


FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.rooms.rotating"])


async def test_words_that_count_as_written_down_open_the_box_whenever_it_is_killed(tmp_path: Path) -> None:
    """Between the note of them, which goes first, and the file, in which other words take their place."""
    folder = tmp_path / "box"
    async with Box.offline(folder, Settings()) as box:
        await box.recovery.load()
        words = " ".join(await box.recovery.reveal())
        await box.recovery.confirm(SYSTEM)
        written = box.store.write

        async def write(fn: Callable[[Tx], object]) -> object:
            result = await written(fn)
            if noted_down(folder):
                Keyring.open_with_words(folder, words)
            return result

        box.store.write = write  # type: ignore[method-assign,assignment]
        await box.rotation.begin(SYSTEM, None)
    assert not noted_down(folder)


def noted_down(folder: Path) -> bool:
    db = sqlite3.connect(folder / "clawdbox.db")
    (count,) = db.execute("SELECT count(*) FROM box_meta WHERE key = 'recovery_shown_at'").fetchone()
    db.close()
    return bool(count)


async def survives(folder: Path, kills: int) -> None:
    """After each kill the box opens as at a start, and every value says what it said."""
    chance = random.Random(5)
    told = await make(folder, 6)
    assert killed_at(folder, 60)  # this one waits for the imports of the process that forks
    began = time.monotonic()
    assert killed_at(folder, 60)
    whole = time.monotonic() - began
    while kills:
        kills -= not killed_at(folder, chance.uniform(0, whole))
        assert lost(folder, told) == []
    assert killed_at(folder, 60)
    assert lost(folder, told) == []
    assert open_as_a_start_does(folder).old_keys == ()
    assert (await audited(folder)).first_bad is None


async def test_a_rotation_that_is_killed_five_times_loses_nothing(tmp_path: Path) -> None:
    await survives(tmp_path / "box", 5)


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_a_rotation_that_is_killed_two_hundred_times_loses_nothing(tmp_path: Path) -> None:
    await survives(tmp_path / "box", 200)
