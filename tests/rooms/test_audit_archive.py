"""Months long past lie in signed files, and the chain still verifies across them."""

import sqlite3
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from clawdbox.events import Actor, Ledger, sql
from clawdbox.events.archive import Archivist, first_flaw
from clawdbox.events.rules import ChainCheck
from clawdbox.settings import Settings
from clawdbox.store import Store, Tx
from tests.clocks import HandClock

DAY = 86_400.0


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(b"k" * 32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "audit-archive"


@pytest.fixture
async def archivist(store: Store, ledger: Ledger, clock: HandClock, folder: Path) -> Archivist:
    """Two rows a month for half a year, the newest of today."""

    def account(tx: Tx) -> None:
        tx.run("INSERT INTO accounts (id, display_name) VALUES ('a', 'Anna')")

    def two(tx: Tx) -> None:
        for n in range(2):
            ledger.audit(tx, Actor("a", "192.0.2.1"), "do.it", "thing", str(n), detail={"n": n})

    await store.write(account)
    await store.write(two)
    for _ in range(5):
        clock.turn(31 * DAY)
        await store.write(two)
    return Archivist(folder, store, ledger, Settings())


async def check(store: Store, ledger: Ledger, anchor: tuple[int, str] | None = None) -> ChainCheck:
    return await store.read(lambda r: ledger.verify(r, anchor))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def modes(folder: Path) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


def read(path: Path) -> bytes:
    return path.read_bytes()


def remove(path: Path) -> None:
    path.unlink()


def put(path: Path, data: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)


async def ids(store: Store) -> list[int]:
    return [
        int(row["id"]) for row in await store.read(lambda r: r.all("SELECT id FROM audit_log ORDER BY id"))
    ]


async def test_months_older_than_ninety_days_become_files_and_the_chain_goes_on(
    archivist: Archivist, store: Store, ledger: Ledger, folder: Path
) -> None:
    oldest = (await store.read(lambda r: sql.audit_after(r, 0, 1)))[0]
    months = await archivist.look()

    assert months >= 2
    archives = await store.read(sql.archives)
    assert [one.first_id for one in archives] == [1, *(one.last_id + 1 for one in archives[:-1])]
    assert (await ids(store))[0] == archives[-1].last_id + 1
    assert names(folder) == [one.file_name for one in archives]
    assert modes(folder) == {0o600}
    whole = await check(store, ledger)
    assert (whole.first_bad, whole.rows) == (None, 12 + months)
    assert (await check(store, ledger, (oldest.id, oldest.mac))).first_bad is None, "a copy may be far behind"
    assert first_flaw(folder, archives) is None
    assert await archivist.look() == 0


async def test_what_lies_in_no_archive_cannot_be_deleted(archivist: Archivist, store: Store) -> None:
    await archivist.look()
    hot = (await ids(store))[0]
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        await store.write(lambda tx: tx.run("DELETE FROM audit_log WHERE id = ?", (hot,)))


async def test_a_file_that_was_changed_cut_or_removed_is_named_by_its_first_row(
    archivist: Archivist, store: Store, folder: Path
) -> None:
    await archivist.look()
    archives = await store.read(sql.archives)
    second = folder / archives[1].file_name
    kept = read(second)
    for forged in (
        kept.replace(b"do.it", b"do.no", 1),
        b"".join(kept.splitlines(keepends=True)[1:]),
        kept[:-5],
        b"",
    ):
        put(second, forged)
        flaw = first_flaw(folder, archives)
        assert flaw is not None
        assert flaw[0] == archives[1].first_id
    remove(second)
    assert first_flaw(folder, archives) == (
        archives[1].first_id,
        f"{second.name}, the archive that holds it, is not there",
    )


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_archives SET last_mac = 'x' WHERE first_id = 1",
        "UPDATE audit_archives SET sha256 = 'x' WHERE first_id = 1",
        "DELETE FROM audit_archives WHERE first_id = 1",
        "UPDATE audit_archives SET last_id = last_id + 1 WHERE first_id = 1",
    ],
)
async def test_a_checkpoint_that_was_changed_is_found(
    archivist: Archivist, store: Store, ledger: Ledger, statement: str
) -> None:
    await archivist.look()
    await store.write(lambda tx: tx.run(statement))
    assert (await check(store, ledger)).first_bad == 1


async def test_a_trail_that_was_changed_is_not_signed_anew(
    archivist: Archivist, store: Store, ledger: Ledger, folder: Path
) -> None:
    db = sqlite3.connect(store.path, isolation_level=None)
    db.execute("DROP TRIGGER audit_log_is_append_only_update")
    db.execute("UPDATE audit_log SET action = 'do.nothing' WHERE id = 1")
    db.close()
    assert await archivist.look() == 0
    assert names(folder) == []
    assert (await check(store, ledger)).first_bad == 1


async def test_a_file_that_a_crash_left_without_its_row_is_written_again(
    archivist: Archivist, store: Store, ledger: Ledger, folder: Path
) -> None:
    rows = await archivist._rows(0, 2)
    put(folder / f"{rows[0].created_at:%Y-%m}-1.jsonl", b"half")
    assert await archivist.look() >= 2
    assert first_flaw(folder, await store.read(sql.archives)) is None
    assert (await check(store, ledger)).first_bad is None


async def test_after_a_year_the_file_goes_and_the_chain_still_verifies(
    archivist: Archivist, store: Store, ledger: Ledger, folder: Path, clock: HandClock
) -> None:
    await archivist.look()
    first = len(await store.read(sql.archives))
    clock.turn(364 * DAY)
    await archivist.look()
    assert len(names(folder)) == len(await store.read(sql.archives)) > first
    clock.turn(2 * DAY)
    await archivist.look()
    removed = [one for one in await store.read(sql.archives) if one.removed_at]
    assert len(removed) == first
    assert (await check(store, ledger)).first_bad is None
    assert first_flaw(folder, await store.read(sql.archives)) is None
    assert removed[0].removed_at is not None
    assert removed[0].removed_at - removed[0].created_at >= timedelta(days=365)
