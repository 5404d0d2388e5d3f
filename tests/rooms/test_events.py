"""Events stand in their order; the audit trail is a chain that shows what was done to it; its file keeps up."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clawdbox.errors import StartRefused
from clawdbox.events import Actor, AuditEntry, Hub, Ledger, sql, wire
from clawdbox.events.rules import ChainCheck
from clawdbox.events.wire import AuditFile, cut_torn_line, last_line
from clawdbox.store import Store, Tx
from tests.clocks import HandClock
from tests.waiting import eventually

ROWS = 6


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(b"k" * 32)


@pytest.fixture
async def trail(store: Store, ledger: Ledger) -> Store:
    """A store with six audit rows of the account `a`."""

    def change(tx: Tx) -> None:
        tx.run("INSERT INTO accounts (id, display_name) VALUES ('a', 'Anna'), ('b', 'Bob')")
        for n in range(ROWS):
            ledger.audit(tx, Actor("a", "192.0.2.1"), f"do.{n}", "thing", str(n), detail={"n": n})

    await store.write(change)
    return store


async def check(store: Store, ledger: Ledger, anchor: tuple[int, str] | None = None) -> ChainCheck:
    return await store.read(lambda r: ledger.verify(r, anchor))


def tamper(store: Store, *statements: str) -> None:
    """As somebody with the file in hands: triggers and checks do not hold them."""
    db = sqlite3.connect(store.path, isolation_level=None)
    db.execute("PRAGMA ignore_check_constraints=ON")
    for name in ("audit_log_is_append_only_update", "audit_log_is_append_only_delete"):
        db.execute(f"DROP TRIGGER IF EXISTS {name}")
    for statement in statements:
        db.execute(statement)
    db.close()


async def test_an_untouched_trail_verifies(trail: Store, ledger: Ledger) -> None:
    assert await check(trail, ledger) == ChainCheck(ROWS, None, None)


async def test_another_key_verifies_nothing(trail: Store) -> None:
    assert (await check(trail, Ledger(b"x" * 32))).first_bad == 1


TAMPERED: dict[str, tuple[list[str], int]] = {
    "a row was edited": (["UPDATE audit_log SET action = 'do.x' WHERE id = 3"], 3),
    "the first row was edited": (["UPDATE audit_log SET ip_address = NULL WHERE id = 1"], 1),
    "the last row was edited": (["UPDATE audit_log SET detail = '{\"n\":7}' WHERE id = 6"], 6),
    "a time was moved": (["UPDATE audit_log SET created_at = '2020-01-01T00:00:00.000000Z' WHERE id = 4"], 4),
    "a mac was edited": (["UPDATE audit_log SET mac = replace(mac, substr(mac, 1, 1), 'g') WHERE id = 2"], 2),
    "a mac is not even ASCII": (["UPDATE audit_log SET mac = 'é' WHERE id = 2"], 2),
    "a row was deleted": (["DELETE FROM audit_log WHERE id = 3"], 3),
    "the first row was deleted": (["DELETE FROM audit_log WHERE id = 1"], 1),
    "the newest row was cut off": (["DELETE FROM audit_log WHERE id = 6"], 6),
    "all rows were deleted": (["DELETE FROM audit_log"], 1),
    "two rows changed places": (
        ["UPDATE audit_log SET id = 99 WHERE id = 3", "UPDATE audit_log SET id = 3 WHERE id = 4",
         "UPDATE audit_log SET id = 4 WHERE id = 99"], 3,
    ),
    "a row was slipped in before the first": (
        ["INSERT INTO audit_log (id, account_id, action, mac) VALUES (-5, 'a', 'forged', '')"], -5,
    ),
    "a row was appended": (["INSERT INTO audit_log (account_id, action, mac) VALUES ('a', 'forged', '')"], 7),
    "a row cannot be read": (["UPDATE audit_log SET created_at = 'yesterday' WHERE id = 5"], 5),
    "a detail cannot be read": (["UPDATE audit_log SET detail = '{' WHERE id = 2"], 2),
}  # fmt: skip


@pytest.mark.parametrize("how", TAMPERED)
async def test_the_first_bad_row_is_named(trail: Store, ledger: Ledger, how: str) -> None:
    statements, first_bad = TAMPERED[how]
    tamper(trail, *statements)
    found = await check(trail, ledger)
    assert found.first_bad == first_bad
    assert found.reason
    assert found.rows == max(first_bad, 1) - 1


async def test_rows_cut_off_with_their_counter_are_found_by_the_file(
    trail: Store, ledger: Ledger, tmp_path: Path
) -> None:
    file = AuditFile(tmp_path / "audit.jsonl", trail, Hub())
    await file.start()
    await file.stop()
    anchor = last_line(tmp_path / "audit.jsonl")
    tamper(
        trail,
        "DELETE FROM audit_log WHERE id > 4",
        "UPDATE sqlite_sequence SET seq = 4 WHERE name = 'audit_log'",
    )
    assert (await check(trail, ledger)).first_bad is None
    assert (await check(trail, ledger, anchor)).first_bad == 5


async def test_a_trail_written_anew_with_the_key_differs_from_the_file(trail: Store, ledger: Ledger) -> None:
    assert (await check(trail, ledger, (ROWS, "0" * 64))).first_bad == ROWS


async def test_a_row_undone_with_its_write_leaves_no_hole(trail: Store, ledger: Ledger) -> None:
    def fail(tx: Tx) -> None:
        ledger.audit(tx, Actor("a"), "undone")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await trail.write(fail)
    await trail.write(lambda tx: ledger.audit(tx, Actor("a"), "done"))
    assert await check(trail, ledger) == ChainCheck(ROWS + 1, None, None)


async def test_pages_by_time_neither_repeat_nor_skip_a_row(trail: Store) -> None:
    seen: list[int] = []
    before = None
    while page := await trail.read(lambda r, before=before: sql.audit_page(r, "a", 4, before, None)):  # type: ignore[misc]
        seen += [entry.id for entry in page]
        before = page[-1].created_at
    assert seen == [6, 5, 4, 3, 2, 1]


async def test_a_page_shows_one_account_and_one_action(trail: Store, ledger: Ledger) -> None:
    await trail.write(lambda tx: ledger.audit(tx, Actor("b"), "do.1"))
    page = await trail.read(lambda r: sql.audit_page(r, "a", 10, None, "do.1"))
    assert [(entry.account_id, entry.action, entry.actor) for entry in page] == [("a", "do.1", "account:a")]


async def test_events_are_read_by_account_and_wake_it_after_the_commit(trail: Store, ledger: Ledger) -> None:
    hub = Hub()
    trail.on_commit(hub.wake)
    with hub.listen("account:a") as mine, hub.listen("account:b") as theirs:
        await trail.write(lambda tx: ledger.event(tx, "a", "made", "thing", "1", {"n": 1}))
        assert (mine.is_set(), theirs.is_set()) == (True, False)
    await trail.write(lambda tx: ledger.event(tx, "b", "made", "thing", "2"))
    events = await trail.read(lambda r: sql.events_after(r, "a", 0, 10))
    assert [(event.type, event.subject_id, event.payload) for event in events] == [("made", "1", {"n": 1})]
    assert await trail.read(lambda r: sql.events_after(r, "a", events[0].seq, 10)) == []
    assert await trail.read(lambda r: sql.last_event(r, "a")) == events[0].seq


def test_a_hub_forgets_who_has_gone() -> None:
    hub = Hub()
    with hub.listen("a", "b") as signal:
        hub.wake({"b"})
        assert signal.is_set()
    assert hub._waiters == {}


# the file


@pytest.fixture
async def file(trail: Store, tmp_path: Path) -> AsyncIterator[AuditFile]:
    hub = Hub()
    trail.on_commit(hub.wake)
    made = AuditFile(tmp_path / "audit.jsonl", trail, hub)
    await made.start()
    yield made
    await made.stop()


def ids(path: Path) -> list[int]:
    return [msgspec.json.decode(line)["id"] for line in path.read_bytes().splitlines()]


async def test_the_file_follows_the_table(
    trail: Store, ledger: Ledger, file: AuditFile, tmp_path: Path
) -> None:
    path = tmp_path / "audit.jsonl"
    assert ids(path) == list(range(1, ROWS + 1))
    assert path.stat().st_mode & 0o777 == 0o600
    for n in range(20):
        await trail.write(lambda tx, n=n: ledger.audit(tx, Actor("a"), f"more.{n}"))  # type: ignore[misc]
    await eventually(lambda: len(ids(path)) == ROWS + 20)
    assert ids(path) == list(range(1, ROWS + 21))


async def test_stopping_in_the_middle_of_a_write_repeats_no_row(
    trail: Store, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "slow.jsonl"
    hub = Hub()
    trail.on_commit(hub.wake)
    file = AuditFile(path, trail, hub)
    await file.start()
    append, writing = wire._append, asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(to: Path, page: list[AuditEntry]) -> None:
        loop.call_soon_threadsafe(writing.set)
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0.05), loop).result()
        append(to, page)

    monkeypatch.setattr(wire, "_append", slow)
    await trail.write(lambda tx: ledger.audit(tx, Actor("a"), "last"))
    await asyncio.wait_for(writing.wait(), 5)
    await file.stop()
    assert ids(path) == list(range(1, ROWS + 2))


@pytest.mark.parametrize("torn", [b'{"id":', b"\0" * 300, b"x" * 200_000])
async def test_a_torn_last_line_is_cut_off_and_its_row_written_again(
    trail: Store, tmp_path: Path, torn: bytes
) -> None:
    path = tmp_path / "audit.jsonl"
    for _ in range(2):
        file = AuditFile(path, trail, Hub())
        await file.start()
        await file.stop()
        assert ids(path) == list(range(1, ROWS + 1))
        with path.open("ab") as crashed:
            crashed.write(torn)
    assert last_line(path) is not None
    assert path.read_bytes().endswith(torn), "looking at the file must not change it"


async def test_a_last_line_of_any_length_is_read(trail: Store, ledger: Ledger, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    await trail.write(lambda tx: ledger.audit(tx, Actor("a"), "long", detail={"text": "x" * 300_000}))
    for _ in range(2):
        file = AuditFile(path, trail, Hub())
        await file.start()
        await file.stop()
    assert ids(path) == list(range(1, ROWS + 2))


async def test_a_file_that_was_tampered_with_refuses_the_start_and_says_so(
    trail: Store, tmp_path: Path
) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_bytes(b"not an audit row\n")
    with pytest.raises(StartRefused) as refused:
        await AuditFile(path, trail, Hub()).start()
    assert refused.value.code == "audit_file_unreadable"
    assert path.read_bytes() == b"not an audit row\n"


async def test_a_full_disk_stops_the_file_for_as_long_as_it_is_full(
    trail: Store, ledger: Ledger, file: AuditFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "audit.jsonl"
    real, failed = os.write, list[bool]()

    def half(handle: int, data: bytes) -> int:
        if failed:
            raise OSError(28, "No space left on device")
        failed.append(True)
        return real(handle, data[:10])

    monkeypatch.setattr(os, "write", half)
    await trail.write(lambda tx: ledger.audit(tx, Actor("a"), "while it is full"))
    await eventually(lambda: failed)
    await asyncio.sleep(0)
    monkeypatch.setattr(os, "write", real)
    await trail.write(lambda tx: ledger.audit(tx, Actor("a"), "afterwards"))
    await eventually(lambda: len(path.read_bytes().splitlines()) == ROWS + 2)
    assert ids(path) == list(range(1, ROWS + 3))


def test_there_is_no_last_line_in_no_file(tmp_path: Path) -> None:
    cut_torn_line(tmp_path / "none")
    assert last_line(tmp_path / "none") is None
    (tmp_path / "empty").touch()
    cut_torn_line(tmp_path / "empty")
    assert last_line(tmp_path / "empty") is None


async def test_rows_of_one_transaction_have_times_of_their_own(trail: Store, clock: HandClock) -> None:
    page = await trail.read(lambda r: sql.audit_page(r, "a", 10, None, None))
    times = [entry.created_at for entry in page]
    assert len(set(times)) == ROWS
    assert max(times) - min(times) < timedelta(milliseconds=1)
    assert abs(times[0] - datetime.now(UTC)) < timedelta(seconds=10)


async def test_the_newest_row_is_anchored_in_the_log_once_an_hour_and_at_the_end(
    trail: Store, ledger: Ledger, tmp_path: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    anchors: list[tuple[int, str]] = []

    def hear(event: str, **values: Any) -> None:
        assert event == "audit.anchor"
        anchors.append((values["id"], values["mac"]))

    monkeypatch.setattr(wire.log, "info", hear)
    file = AuditFile(tmp_path / "audit.jsonl", trail, Hub())

    async def more() -> None:
        await trail.write(lambda tx: ledger.audit(tx, Actor("a"), "do.more"))
        await file._try()

    await file.start()
    await more()
    clock.turn(3601)
    await more()
    await more()
    await file.stop()
    rows = await trail.read(lambda r: sql.audit_after(r, 0, 100))
    assert anchors == [(rows[number - 1].id, rows[number - 1].mac) for number in (6, 8, 9)]
