"""One writer that commits in groups and loses nothing; readers that cannot write."""

import asyncio
import sqlite3
import threading
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clawdbox.errors import Conflict, Unavailable
from clawdbox.store import Store, Tx
from clawdbox.store.migrate import migrate
from tests.clocks import HandClock


def put(key: str, value: str = "x") -> Any:
    return lambda tx: tx.run("INSERT INTO box_meta VALUES (?, ?)", (key, value))


async def keys(store: Store) -> list[str]:
    rows = await store.read(lambda r: r.all("SELECT key FROM box_meta ORDER BY key"))
    return [row["key"] for row in rows]


async def test_a_write_is_on_the_disk_when_it_answers(store: Store) -> None:
    assert await store.write(put("a")) == 1
    other = sqlite3.connect(store.path)
    assert other.execute("SELECT key FROM box_meta").fetchall() == [("a",)]
    assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    other.close()
    settings = await store.write(lambda tx: (tx.value("PRAGMA synchronous"), tx.value("PRAGMA foreign_keys")))
    assert settings == (2, 1)


async def test_writes_that_wait_together_share_one_commit(store: Store) -> None:
    commits: list[str] = []
    store._writer.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
    gate = threading.Event()
    first = asyncio.ensure_future(store.write(lambda _tx: gate.wait(10)))
    await asyncio.sleep(0)
    rest = [asyncio.ensure_future(store.write(put(f"k{n:02}"))) for n in range(20)]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(first, *rest)
    assert len(commits) == 2
    assert len(await keys(store)) == 20


async def test_a_write_that_fails_is_undone_alone(store: Store) -> None:
    def half(tx: Tx) -> None:
        put("half")(tx)
        tx.wake("half")
        raise Conflict("no", "No.")

    heard: set[str] = set()
    store.on_commit(heard.update)

    def whole(tx: Tx) -> None:
        put("c")(tx)
        tx.wake("whole")

    outcomes = await asyncio.gather(
        store.write(put("a")), store.write(half), store.write(put("a")), store.write(whole),
        return_exceptions=True,
    )  # fmt: skip
    assert [type(outcome) for outcome in outcomes] == [int, Conflict, sqlite3.IntegrityError, type(None)]
    assert await keys(store) == ["a", "c"]
    assert heard == {"whole"}


async def test_an_exception_that_asyncio_cannot_carry_is_answered_too(store: Store) -> None:
    with pytest.raises(RuntimeError, match="StopIteration"):
        await asyncio.wait_for(store.write(lambda _tx: next(iter(()))), 5)
    await store.write(put("a"))


async def test_a_group_that_is_given_up_answers_every_writer(store: Store) -> None:
    def give_up(tx: Tx) -> None:
        tx.run("ROLLBACK")
        raise ValueError("the whole group is gone")

    outcomes = await asyncio.wait_for(
        asyncio.gather(store.write(put("a")), store.write(give_up), return_exceptions=True), 5
    )
    assert [type(outcome) for outcome in outcomes] == [ValueError, ValueError]
    assert await keys(store) == []
    await asyncio.wait_for(store.write(put("b")), 5)
    assert await keys(store) == ["b"]


async def test_a_caller_who_leaves_does_not_undo_a_write(store: Store) -> None:
    task = asyncio.ensure_future(store.write(put("a")))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    await store.write(put("b"))
    assert await keys(store) == ["a", "b"]


async def test_a_write_after_the_end_is_refused_and_does_not_wait(tmp_path: Path, clock: HandClock) -> None:
    migrate(tmp_path / "a.db", clock.now())
    store = Store.open(tmp_path / "a.db", clock)
    await store.close()
    with pytest.raises(RuntimeError):
        await asyncio.wait_for(store.write(put("a")), 5)
    assert not (tmp_path / "a.db-wal").exists()


async def test_closing_waits_for_what_was_asked_before(tmp_path: Path, clock: HandClock) -> None:
    migrate(tmp_path / "a.db", clock.now())
    store = Store.open(tmp_path / "a.db", clock)
    writes = [asyncio.ensure_future(store.write(put(f"{n}"))) for n in range(5)]
    await asyncio.sleep(0)
    await store.close()
    assert await asyncio.gather(*writes) == [1] * 5


async def test_a_reader_cannot_write(store: Store) -> None:
    for sql in ("INSERT INTO box_meta VALUES ('a', 'b')", "DELETE FROM box_meta", "DROP TABLE box_meta"):
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await store.read(lambda r, sql=sql: r.all(sql))  # type: ignore[misc]
    with pytest.raises(sqlite3.OperationalError):
        await store.read(lambda r: r.all("PRAGMA query_only=OFF") or r.all("DELETE FROM box_meta"))
    assert await keys(store) == []


async def test_a_reader_sees_one_moment(store: Store) -> None:
    await store.write(put("a"))
    looked, written = threading.Event(), threading.Event()

    def look_twice(r: Any) -> tuple[int, int]:
        first = r.value("SELECT count(*) FROM box_meta")
        looked.set()
        written.wait(10)
        return first, r.value("SELECT count(*) FROM box_meta")

    reading = asyncio.ensure_future(store.read(look_twice))
    await asyncio.to_thread(looked.wait, 10)
    await store.write(put("b"))
    written.set()
    assert await reading == (1, 1)


async def test_readers_do_not_wait_for_a_writer(store: Store) -> None:
    gate = threading.Event()
    writing = asyncio.ensure_future(store.write(lambda _tx: gate.wait(10)))
    await asyncio.sleep(0)
    assert await asyncio.wait_for(keys(store), 5) == []
    gate.set()
    await writing


async def test_a_full_disk_is_named_and_loses_nothing(store: Store) -> None:
    """`max_page_count` gives SQLITE_FULL, as a full disk does."""
    await store.write(put("before"))
    pages = await store.write(lambda tx: tx.value("PRAGMA page_count"))
    await store.write(lambda tx: tx.all(f"PRAGMA max_page_count={pages}"))
    with pytest.raises(Unavailable) as full:
        await store.write(put("large", "x" * 1_000_000))
    assert full.value.code == "storage_full"
    assert await keys(store) == ["before"]
    await store.write(lambda tx: tx.all("PRAGMA max_page_count=1000000"))
    await store.write(put("large", "x" * 1_000_000))
    assert await keys(store) == ["before", "large"]


async def test_the_time_of_a_write_is_the_clock_s_and_one(store: Store, clock: HandClock) -> None:
    clock.turn(3600)
    now = await store.write(lambda tx: tx.now)
    assert abs((now - datetime.now(UTC)).total_seconds() - 3600) < 5


class Colour(StrEnum):
    RED = "red"


class Row(msgspec.Struct, frozen=True):
    key: str
    at: datetime
    flag: bool
    list: list[str]
    colour: Colour
    empty: str | None


async def test_values_come_back_as_they_went_in(store: Store) -> None:
    row = Row("k", datetime(2026, 1, 2, 3, 4, 5, 6, UTC), True, ["é", '"'], Colour.RED, None)

    def change(tx: Tx) -> Row | None:
        tx.run("CREATE TEMP TABLE t (key, at, flag, list, colour, empty)")
        tx.insert("t", msgspec.structs.asdict(row))
        assert tx.value("SELECT at FROM t") == "2026-01-02T03:04:05.000006Z"
        return tx.struct(Row, "SELECT * FROM t")

    assert await store.write(change) == row
