"""The store: one writing connection that commits in groups, and read-only connections beside it.

Both run on threads of their own. `fn` is a synchronous function of a transaction, so that nothing else can come
between its statements (aiosqlite hands out single statements, among which another coroutine's could fall).
"""

import asyncio
import queue
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from clawdbox.clock import Clock
from clawdbox.errors import Unavailable
from clawdbox.store.rows import parameters, to_struct

T = TypeVar("T")
S = TypeVar("S")
Values = Iterable[Any] | Mapping[str, Any]
_READERS = 2
_NO_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


class Reader:
    """SELECTs within one snapshot of the database."""

    def __init__(self, db: sqlite3.Connection, now: datetime) -> None:
        self._db = db
        self.now = now

    def all(self, sql: str, values: Values = ()) -> list[dict[str, Any]]:
        return self._db.execute(sql, parameters(values)).fetchall()

    def one(self, sql: str, values: Values = ()) -> dict[str, Any] | None:
        row: dict[str, Any] | None = self._db.execute(sql, parameters(values)).fetchone()
        return row

    def value(self, sql: str, values: Values = ()) -> Any:
        """The first column of the first row, or None."""
        row = self.one(sql, values)
        return None if row is None else next(iter(row.values()))

    def structs(self, kind: type[S], sql: str, values: Values = ()) -> list[S]:
        return [to_struct(kind, row) for row in self.all(sql, values)]

    def struct(self, kind: type[S], sql: str, values: Values = ()) -> S | None:
        row = self.one(sql, values)
        return None if row is None else to_struct(kind, row)


class Tx(Reader):
    """One write. `now` is its only time; `wake` names who should hear of it after the commit."""

    def __init__(self, db: sqlite3.Connection, now: datetime) -> None:
        super().__init__(db, now)
        self.wakes: set[str] = set()

    def run(self, sql: str, values: Values = ()) -> int:
        """Execute a statement; returns how many rows it changed."""
        return self._db.execute(sql, parameters(values)).rowcount

    def insert(self, table: str, values: Mapping[str, Any]) -> int:
        """Insert a row whose column names come from the code, never from input; returns its rowid."""
        names = ", ".join(values)
        marks = ", ".join(f":{name}" for name in values)
        cursor = self._db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", parameters(values))  # noqa: S608
        return cursor.lastrowid or 0

    def wake(self, key: str) -> None:
        self.wakes.add(key)


class _Write:
    __slots__ = ("fn", "future")

    def __init__(self, fn: Callable[[Tx], Any], future: "asyncio.Future[Any]") -> None:
        self.fn = fn
        self.future = future


class Store:
    """Open with `Store.open`; close with `await store.close()`."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self.clock = clock
        self._writer_thread = ThreadPoolExecutor(1, thread_name_prefix="store-writer")
        self._reader_threads = ThreadPoolExecutor(_READERS, thread_name_prefix="store-reader")
        self._readers: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        self._writer = _connect(path, read_only=False)
        for _ in range(_READERS):
            self._readers.put(_connect(path, read_only=True))
        self._pending: list[_Write] = []
        self._flushing: asyncio.Task[None] | None = None
        self._listeners: list[Callable[[set[str]], None]] = []

    @classmethod
    def open(cls, path: Path, clock: Clock) -> "Store":
        """The database must have been migrated (`store.migrate`). Raises Unavailable `storage_full`."""
        try:
            return cls(path, clock)
        except sqlite3.OperationalError as error:
            raise storage_problem(error) from None

    def on_commit(self, listener: Callable[[set[str]], None]) -> None:
        """Call `listener` on the event loop with the woken keys after each commit that woke any."""
        self._listeners.append(listener)

    async def write(self, fn: Callable[[Tx], T]) -> T:
        """Run `fn` in a transaction and return its result after the COMMIT has reached the disk.

        Writes that wait together share one commit, each within its own savepoint: one that raises is undone alone.
        A caller that is cancelled meanwhile does not undo its write.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._pending.append(_Write(fn, future))
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())
        return await future

    async def read(self, fn: Callable[[Reader], T]) -> T:
        """Run `fn` on a read-only connection, within one snapshot."""
        return await asyncio.get_running_loop().run_in_executor(self._reader_threads, self._read, fn)

    async def close(self) -> None:
        while self._flushing is not None and not self._flushing.done():
            await asyncio.wait([self._flushing])
        self._reader_threads.shutdown()
        for _ in range(
            _READERS
        ):  # before the writer: only a last connection that may write folds the log away
            self._readers.get().close()
        await asyncio.get_running_loop().run_in_executor(self._writer_thread, self._close_writer)
        self._writer_thread.shutdown()

    def _close_writer(self) -> None:
        try:
            self._writer.execute("PRAGMA optimize")
        except sqlite3.Error:  # a full disk is no reason to leave the database open
            pass
        finally:
            self._writer.close()

    def _read(self, fn: Callable[[Reader], T]) -> T:
        db = self._readers.get()
        try:
            db.execute("BEGIN")
            try:
                return fn(Reader(db, self.clock.now()))
            finally:
                db.execute("COMMIT")
        finally:
            self._readers.put(db)

    async def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        while self._pending:
            group, self._pending = self._pending, []
            try:
                outcomes, wakes = await loop.run_in_executor(self._writer_thread, self._commit, group)
            except RuntimeError as closed:  # no thread takes it any more: the store was closed
                outcomes, wakes = [(None, closed)] * len(group), set()
            for write, (result, error) in zip(group, outcomes, strict=True):
                _settle(write.future, result, error)
            if wakes:
                for listener in self._listeners:
                    listener(wakes)

    def _commit(self, group: list[_Write]) -> tuple[list[tuple[Any, BaseException | None]], set[str]]:
        wakes: set[str] = set()
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            outcomes = [self._savepoint(write.fn, wakes) for write in group]
            self._writer.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - whatever it was, every caller of the group is told
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            return [(None, storage_problem(error))] * len(group), set()
        return outcomes, wakes

    def _savepoint(self, fn: Callable[[Tx], Any], wakes: set[str]) -> tuple[Any, BaseException | None]:
        self._writer.execute("SAVEPOINT one")
        tx = Tx(self._writer, self.clock.now())
        try:
            result = fn(tx)
        except Exception as error:
            if (
                not self._writer.in_transaction
            ):  # SQLite itself gave the whole group up (disk full, I/O error)
                raise
            self._writer.execute("ROLLBACK TO one")
            self._writer.execute("RELEASE one")
            return None, storage_problem(error)
        self._writer.execute("RELEASE one")
        wakes |= tx.wakes
        return result, None


def _settle(future: "asyncio.Future[Any]", result: Any, error: BaseException | None) -> None:
    if future.cancelled():
        return
    if error is None:
        future.set_result(result)
    elif isinstance(error, StopIteration):  # asyncio refuses to carry one
        future.set_exception(RuntimeError("StopIteration within a write"))
    else:
        future.set_exception(error)


def storage_problem(error: Exception) -> Exception:
    """A full or failing disk as what a person is told; any other error as it is."""
    if (
        isinstance(error, sqlite3.OperationalError)
        and getattr(error, "sqlite_errorcode", 0) & 0xFF in _NO_ROOM
    ):
        return Unavailable(
            "storage_full", "The disk of the box is full or failing: nothing was saved. Free some space."
        )
    return error


def _connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    mode = "ro" if read_only else "rw"
    db = sqlite3.connect(
        f"file:{path.as_posix()}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=10,
    )
    db.row_factory = _as_dict
    db.execute("PRAGMA foreign_keys=ON")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("PRAGMA mmap_size=0")
    if read_only:
        db.execute("PRAGMA query_only=ON")
    return db


def _as_dict(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> dict[str, Any]:
    return {column[0]: value for column, value in zip(cursor.description, row, strict=True)}
