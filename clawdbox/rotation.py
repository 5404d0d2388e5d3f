"""The rotation of the master key: sealed anew while the box goes on, and gone on with after any end.

What is left to do is read from the sealed values, each of which begins with the id of its key; nothing else remembers
a rotation. So it may be killed anywhere, and two of these may even run at once: a value is replaced only as it was read.
"""

import asyncio
import time

import msgspec

from clawdbox import logs
from clawdbox.errors import Problem
from clawdbox.events import Actor, Ledger
from clawdbox.events.audit_keys import AuditKeys
from clawdbox.events.model import SYSTEM
from clawdbox.recovery import Recovery
from clawdbox.sealed_columns import SEALED_COLUMNS, SealedColumn
from clawdbox.store import Reader, Store, Tx
from clawdbox.vault import BOX, Keyring, key_mark

log = logs.get("rotation")
_BATCH = 200


class Progress(msgspec.Struct, frozen=True):
    """`left` values are still sealed with an old key. Those in `broken` open with no key, and so keep theirs in the ring."""

    left: int
    old_keys: tuple[str, ...]
    broken: tuple[str, ...] = ()

    @property
    def is_done(self) -> bool:
        """Nothing more can be done, though broken values may be left."""
        return not self.old_keys or self.left == len(self.broken)


class Row(msgspec.Struct, frozen=True):
    row: str
    account: str
    value: str


class Rotation:
    def __init__(
        self, store: Store, ledger: Ledger, keyring: Keyring, keys: AuditKeys, recovery: Recovery
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._keyring = keyring
        self._keys = keys
        self._recovery = recovery
        self._changing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self.batch = _BATCH

    def start(self) -> None:
        """Go on with a rotation that an earlier run of this box left."""
        if self._keyring.old_keys:
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def begin(self, actor: Actor, passphrase: str | None) -> bool:
        """Add a key; False when a rotation is under way already, which only has to go on. Raises Problem."""
        async with self._changing:
            if self._keyring.old_keys:
                return False
            await asyncio.to_thread(self._keyring.check_rotation, passphrase)
            await self._recovery.renew(lambda: self._keyring.rotate(passphrase))
            await self._store.write(lambda tx: self._tell_begun(tx, actor))
        log.info("rotation.begun", key_id=self._keyring.status().active)
        return True

    def continue_in_background(self) -> None:
        if self._task is None or self._task.done():
            self.start()

    async def progress(self) -> Progress:
        old = self._keyring.old_keys
        if not old:
            return Progress(0, ())
        return await self._store.read(lambda r: Progress(_count(r, self._mark), old, self._broken(r)))

    async def run(self, seconds: float | None = None) -> Progress:
        """Seal anew until nothing is left, or for about as long as is said."""
        deadline = None if seconds is None else time.monotonic() + seconds
        for column in SEALED_COLUMNS if self._keyring.old_keys else ():
            if not await self._reseal(column, deadline):
                return await self.progress()
        await self._drop()
        return await self.progress()

    # one column after the other, a batch of rows each time

    @property
    def _mark(self) -> str:
        return key_mark(self._keyring.status().active)

    async def _reseal(self, column: SealedColumn, deadline: float | None) -> bool:
        """Whether it came to the column's end in time."""
        after = ""
        while True:
            rows = await self._store.read(
                lambda r, after=after: _stale(r, column, self._mark, after, self.batch)  # type: ignore[misc]
            )
            if not rows:
                return True
            fresh = [(row, value) for row in rows if (value := self._anew(column, row)) is not None]
            if fresh:
                await self._store.write(lambda tx, fresh=fresh: _replace(tx, column, fresh))  # type: ignore[misc]
            after = rows[-1].row
            if deadline is not None and time.monotonic() > deadline:
                return False

    def _anew(self, column: SealedColumn, row: Row) -> str | None:
        """None for a value that no key opens: it stays as it is, for a person to see to."""
        sealer, place = self._keyring.sealer(), (column.table, row.row, column.column, row.account)
        try:
            plain = sealer.open(*place, row.value)
        except Problem:
            return None
        fresh = sealer.seal(*place, plain)
        plain[:] = bytes(len(plain))
        return fresh

    def _broken(self, r: Reader) -> tuple[str, ...]:
        return tuple(
            f"{column.table}.{column.column} of {row.row}"
            for column in SEALED_COLUMNS
            for row in _stale(r, column, self._mark, "", self.batch)
            if self._anew(column, row) is None
        )

    async def _drop(self) -> None:
        """The old keys that no value names; asked within the one writer, where no earlier write is still on its way."""
        async with self._changing:
            unused = await self._store.write(self._unused)
            for key_id in unused:
                await asyncio.to_thread(self._keyring.drop_key, key_id)
                log.info("rotation.key_dropped", key_id=key_id)

    def _unused(self, tx: Tx) -> list[str]:
        self._keys.keep(tx)
        unused = [key_id for key_id in self._keyring.old_keys if not _names(tx, key_mark(key_id))]
        for key_id in unused:
            self._ledger.audit(tx, SYSTEM, "keyring.drop_key", "master_key", key_id)
        return unused

    def _tell_begun(self, tx: Tx, actor: Actor) -> None:
        self._keys.keep(tx)
        self._ledger.audit(tx, actor, "keyring.rotate", "master_key", self._keyring.status().active)

    async def _run(self) -> None:
        try:
            progress = await self.run()
        except Problem as problem:
            log.warning("rotation.stopped", problem=problem.code)  # the next start goes on
            return
        if progress.broken:
            log.warning("rotation.broken_values", values=len(progress.broken))


# the statements; tables and columns come from the registry


def _stale(r: Reader, column: SealedColumn, mark: str, after: str, limit: int) -> list[Row]:
    account = f"'{BOX}'" if column.account == BOX else column.account
    return r.structs(
        Row,
        f"SELECT {column.row} AS row, {account} AS account, {column.column} AS value FROM {column.table}"  # noqa: S608
        f" WHERE {_is_sealed(column)} AND substr({column.column}, 1, {len(mark)}) <> :mark AND {column.row} > :after"
        f" ORDER BY {column.row} LIMIT :limit",
        {"mark": mark, "after": after, "limit": limit},
    )


def _replace(tx: Tx, column: SealedColumn, fresh: list[tuple[Row, str]]) -> None:
    for row, value in fresh:
        tx.run(
            f"UPDATE {column.table} SET {column.column} = ? WHERE {column.row} = ? AND {column.column} = ?",  # noqa: S608
            (value, row.row, row.value),
        )


def _count(r: Reader, mark: str) -> int:
    return sum(_how_many(r, column, "<>", mark) for column in SEALED_COLUMNS)


def _names(r: Reader, mark: str) -> bool:
    return any(_how_many(r, column, "=", mark) for column in SEALED_COLUMNS)


def _how_many(r: Reader, column: SealedColumn, how: str, mark: str) -> int:
    return int(
        r.value(
            f"SELECT count(*) FROM {column.table} WHERE {_is_sealed(column)}"  # noqa: S608
            f" AND substr({column.column}, 1, {len(mark)}) {how} ?",
            (mark,),
        )
    )


def _is_sealed(column: SealedColumn) -> str:
    if not column.only:
        return f"{column.column} IS NOT NULL"
    names = ", ".join(f"'{name}'" for name in column.only)
    return f"{column.row} IN ({names})"
