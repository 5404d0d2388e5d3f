"""The schema, as SQLite itself tells it once every migration has been applied."""

import re
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from clawdbox.store.migrate import available, migrate
from tools.database_docs import sql_text

_VALUES = re.compile(r"(\w+) IN \(('[^']*'(?:, '[^']*')*)\)")


class Column(msgspec.Struct, frozen=True):
    """`key` is the column's place in the primary key, from 1; 0 when it is not part of it."""

    name: str
    type: str
    nullable: bool
    default: str | None
    key: int


class Check(msgspec.Struct, frozen=True):
    """`column` is None for a check of the whole row."""

    expression: str
    column: str | None

    @property
    def values(self) -> tuple[str, tuple[str, ...]] | None:
        """(column, the texts it may have), when that is what the check says."""
        found = _VALUES.fullmatch(self.expression)
        return (found[1], tuple(re.findall(r"'([^']*)'", found[2]))) if found else None


class ForeignKey(msgspec.Struct, frozen=True):
    column: str
    table: str
    to: str
    on_delete: str


class Index(msgspec.Struct, frozen=True):
    """`origin` is SQLite's: `c` by CREATE INDEX, `u` by UNIQUE, `pk` by PRIMARY KEY."""

    name: str
    columns: tuple[str, ...]
    order: str
    unique: bool
    origin: str
    where: str | None

    @property
    def title(self) -> str:
        """What the notes call it: its own name, or the constraint that made it."""
        if self.origin == "c":
            return self.name
        return f"{'UNIQUE' if self.origin == 'u' else 'PRIMARY KEY'} ({self.order})"


class Trigger(msgspec.Struct, frozen=True):
    name: str
    when: str
    body: str


class Table(msgspec.Struct, frozen=True):
    """`migrations` are those that made or changed it."""

    name: str
    sql: str
    columns: tuple[Column, ...]
    checks: tuple[Check, ...]
    foreign_keys: tuple[ForeignKey, ...]
    indexes: tuple[Index, ...]
    triggers: tuple[Trigger, ...]
    strict: bool
    without_rowid: bool
    migrations: tuple[str, ...]

    @property
    def primary_key(self) -> tuple[str, ...]:
        ordered = sorted((column.key, column.name) for column in self.columns if column.key)
        return tuple(name for _, name in ordered)


class Schema(msgspec.Struct, frozen=True):
    tables: dict[str, Table]
    migrations: tuple[str, ...]

    def referring_to(self, table: str) -> list[tuple[Table, ForeignKey]]:
        return [
            (child, key) for child in self.tables.values() for key in child.foreign_keys if key.table == table
        ]


def read_schema() -> Schema:
    """Apply the migrations to a database of its own, and ask it."""
    history = _history()
    with tempfile.TemporaryDirectory(prefix="clawdbox-docs-") as folder:
        path = Path(folder, "schema.db")
        migrate(path, datetime.now(UTC))
        with closing(sqlite3.connect(path)) as db:
            db.row_factory = sqlite3.Row
            tables = {str(row["name"]): _table(db, row, history.get(row["name"], ())) for row in _tables(db)}
    return Schema(tables, tuple(version for version, _ in available()))


def _tables(db: sqlite3.Connection) -> list[sqlite3.Row]:
    return db.execute(
        "SELECT l.name, l.wr, l.strict, m.sql FROM pragma_table_list l JOIN sqlite_master m ON m.name = l.name"
        " WHERE l.schema = 'main' AND l.type = 'table' AND l.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY m.rowid"
    ).fetchall()


def _history() -> dict[str, tuple[str, ...]]:
    """table → the migrations after which it, an index or a trigger of it was no longer what it had been"""
    found: dict[str, tuple[str, ...]] = {}
    before: set[tuple[str, str]] = set()
    with closing(sqlite3.connect(":memory:")) as db:
        for version, sql in available():
            db.executescript(sql)
            after = set(db.execute("SELECT tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
            for table in sorted({table for table, _ in before ^ after}):
                found[table] = (*found.get(table, ()), version)
            before = after
    return found


def _table(db: sqlite3.Connection, row: sqlite3.Row, migrations: tuple[str, ...]) -> Table:
    name, sql = str(row["name"]), str(row["sql"])
    return Table(
        name=name,
        sql=sql,
        columns=tuple(_columns(db, name, bool(row["strict"] or row["wr"]))),
        checks=tuple(Check(expression, column) for column, expression in sql_text.checks(sql)),
        foreign_keys=tuple(_foreign_keys(db, name)),
        indexes=tuple(_indexes(db, name)),
        triggers=tuple(_triggers(db, name)),
        strict=bool(row["strict"]),
        without_rowid=bool(row["wr"]),
        migrations=migrations,
    )


def _columns(db: sqlite3.Connection, table: str, key_is_not_null: bool) -> Iterator[Column]:
    for row in db.execute("SELECT * FROM pragma_table_xinfo(?) ORDER BY cid", (table,)):
        nullable = not row["notnull"] and not (row["pk"] and key_is_not_null)
        yield Column(row["name"], row["type"], nullable, row["dflt_value"], row["pk"])


def _foreign_keys(db: sqlite3.Connection, table: str) -> Iterator[ForeignKey]:
    rows = db.execute("SELECT * FROM pragma_foreign_key_list(?) ORDER BY id DESC, seq", (table,)).fetchall()
    if len({row["id"] for row in rows}) < len(rows):
        raise NotImplementedError(f"{table} has a foreign key of several columns, which no page can show yet")
    for row in rows:
        yield ForeignKey(row["from"], row["table"], row["to"], row["on_delete"])


def _indexes(db: sqlite3.Connection, table: str) -> Iterator[Index]:
    rows = db.execute(
        'SELECT l.name, l."unique", l.origin, m.sql FROM pragma_index_list(?) l'
        " LEFT JOIN sqlite_master m ON m.name = l.name ORDER BY l.seq DESC",
        (table,),
    ).fetchall()
    for row in rows:
        keys = db.execute(
            "SELECT * FROM pragma_index_xinfo(?) WHERE key = 1 ORDER BY seqno", (row["name"],)
        ).fetchall()
        columns = tuple(key["name"] or "(an expression)" for key in keys)
        order = ", ".join(
            f"{column} DESC" if key["desc"] else column for column, key in zip(columns, keys, strict=True)
        )
        where = sql_text.condition(row["sql"]) if row["sql"] else None
        yield Index(row["name"], columns, order, bool(row["unique"]), row["origin"], where)


def _triggers(db: sqlite3.Connection, table: str) -> Iterator[Trigger]:
    for name, sql in db.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ? ORDER BY rowid", (table,)
    ):
        yield Trigger(name, *sql_text.trigger(sql))
