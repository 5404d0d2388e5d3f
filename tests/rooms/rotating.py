"""A box with something in every sealed column, a process that rotates its key, and the proof that nothing was lost."""

import asyncio
import re
import sqlite3
from pathlib import Path
from typing import Any

from clawdbox.app import Box
from clawdbox.events.model import SYSTEM
from clawdbox.events.rules import ChainCheck
from clawdbox.sealed_columns import SEALED_COLUMNS
from clawdbox.settings import Settings
from clawdbox.vault import BOX, Keyring, verify_database

Told = dict[tuple[str, str, str, str], str]
# What checks over several columns ask for, where the first value of each is no answer.
FITTING: dict[str, dict[str, Any]] = {
    "openclaw_gateways": {"auth": "token"},
    "notify_channels": {"kind": "ntfy", "kinds": "[]"},
    "login_providers": {"kind": "oidc", "scopes": "[]"},
}


async def make(folder: Path, rows: int) -> Told:
    """A box that was started once, and so many rows in each table with a sealed column. What was sealed, by place."""
    async with Box.offline(folder, Settings()) as box:
        await box.recovery.load()
        await box.recovery.confirm(SYSTEM)
    return fill(folder, rows)


def fill(folder: Path, rows: int) -> Told:
    sealer = open_as_a_start_does(folder).sealer()
    db = sqlite3.connect(folder / "clawdbox.db")
    (account,) = db.execute("SELECT id FROM accounts").fetchone()
    told: Told = {}
    with db:
        for table in {column.table for column in SEALED_COLUMNS} - {"box_meta", "audit_keys"}:
            columns = [column for column in SEALED_COLUMNS if column.table == table]
            for row in (f"row-{n:03}" for n in range(rows)):
                values = _plain(db, table, row)
                for column in columns:
                    owner = BOX if column.account == BOX else account
                    values |= {column.row: row} | ({} if column.account == BOX else {column.account: owner})
                    place = (table, row, column.column, owner)
                    told[place] = " ".join(place)
                    values[column.column] = sealer.seal(*place, told[place].encode())
                marks = ", ".join("?" * len(values))
                db.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", [*values.values()])
        place = ("box_meta", "vapid_key", "value", BOX)
        told[place] = "the key of pushes"
        db.execute(
            "INSERT INTO box_meta VALUES (?, ?)", (place[1], sealer.seal(*place, told[place].encode()))
        )
    db.close()
    return told


def _plain(db: sqlite3.Connection, table: str, row: str) -> dict[str, Any]:
    """Something in every column that must have something, as its check wants it."""
    (sql,) = db.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    first = dict(re.findall(r"(\w+) IN \('(\w+)'", sql))
    values = {
        name: first.get(name, f"{name} of {row}" if kind == "TEXT" else 1)
        for _, name, kind, notnull, default, _ in db.execute(f"PRAGMA table_info({table})")
        if (notnull and default is None) or name == "label"
    }
    return values | FITTING.get(table, {})


def open_as_a_start_does(folder: Path) -> Keyring:
    keyring = Keyring.open(folder, database=folder / "clawdbox.db", environ={})
    assert verify_database(keyring, folder / "clawdbox.db") == "matches"
    return keyring


def lost(folder: Path, told: Told) -> list[tuple[str, ...]]:
    """The places whose value does not say any more what was sealed there."""
    sealer, db = open_as_a_start_does(folder).sealer(), sqlite3.connect(folder / "clawdbox.db")
    rows = {(it.table, it.column): it.row for it in SEALED_COLUMNS}
    bad: list[tuple[str, ...]] = []
    for place, secret in told.items():
        table, row, column, _ = place
        name = rows[table, column]
        (value,) = db.execute(f"SELECT {column} FROM {table} WHERE {name} = ?", (row,)).fetchone()
        if bytes(sealer.open(*place, value)).decode() != secret:
            bad.append(place)
    db.close()
    return bad


def rotate(folder: Path, batch: int) -> None:
    """Begin a rotation, or go on with one, to its end: what a process does that may be killed at any moment."""

    async def run() -> None:
        async with Box.offline(folder, Settings()) as box:
            box.rotation.batch = batch
            await box.rotation.begin(SYSTEM, None)
            await box.rotation.run()

    asyncio.run(run())


async def audited(folder: Path) -> ChainCheck:
    async with Box.offline(folder, Settings()) as box:
        return await box.store.read(lambda r: box.ledger.verify(r, None))
