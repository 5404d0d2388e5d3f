"""The registry of sealed columns and the schema name the same ones."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from clawdbox.cli.sealed import is_sealed
from clawdbox.sealed_columns import SEALED_COLUMNS, SealedColumn
from clawdbox.store.migrate import migrate
from clawdbox.vault import BOX


@pytest.fixture
def schema(tmp_path: Path) -> Iterator[dict[str, dict[str, bool]]]:
    """Of each table its columns, and whether one of them alone names a row."""
    migrate(tmp_path / "x.db", datetime(2026, 11, 28, tzinfo=UTC))
    db = sqlite3.connect(tmp_path / "x.db")
    tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    yield {table: _columns(db, table) for table in tables}
    db.close()


def _columns(db: sqlite3.Connection, table: str) -> dict[str, bool]:
    unique = {
        tuple(row[2] for row in db.execute(f"PRAGMA index_info({index[1]})"))
        for index in db.execute(f"PRAGMA index_list({table})")
        if index[2]
    }
    return {row[1]: (row[1],) in unique for row in db.execute(f"PRAGMA table_info({table})")}


def test_every_sealed_column_of_the_schema_is_registered(schema: dict[str, dict[str, bool]]) -> None:
    made = {(table, name) for table, columns in schema.items() for name in columns if name.endswith("_enc")}
    registered = {(column.table, column.column) for column in SEALED_COLUMNS}
    assert made == registered - {("box_meta", "value")}, "add it to clawdbox/sealed_columns.py"
    assert ("box_meta", "value") in registered


@pytest.mark.parametrize("column", SEALED_COLUMNS, ids=lambda it: f"{it.table}.{it.column}")
def test_what_binds_its_values_is_there(schema: dict[str, dict[str, bool]], column: SealedColumn) -> None:
    columns = schema[column.table]
    assert columns[column.row], f"{column.row} does not name one row of {column.table}"
    assert column.account == BOX or column.account in columns


@pytest.mark.parametrize("column", SEALED_COLUMNS, ids=lambda it: f"{it.table}.{it.column}")
def test_no_look_at_the_database_shows_it(column: SealedColumn) -> None:
    assert is_sealed(column.table, column.column)
