"""Whether the example queries of the notes run, and take the indexes that they say they take."""

import re
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from clawdbox.store.migrate import migrate
from tools.database_docs.facts import Index, Schema, Table
from tools.database_docs.notes import Notes, Query

_PARAMETER = re.compile(r":([a-z_]+)")


def query_flaws(schema: Schema, notes: Mapping[str, Notes]) -> list[str]:
    """One sentence for each query that SQLite refuses, or answers by other means than the notes say."""
    with tempfile.TemporaryDirectory(prefix="clawdbox-docs-") as folder:
        path = Path(folder, "schema.db")
        migrate(path, datetime.now(UTC))
        with closing(sqlite3.connect(path)) as db:
            return [
                f"{name}, query {query.title!r}: {flaw}"
                for name, known in notes.items()
                for query in known.queries
                for flaw in _flaws(db, schema, query)
            ]


def _flaws(db: sqlite3.Connection, schema: Schema, query: Query) -> Iterator[str]:
    values = dict.fromkeys(_PARAMETER.findall(query.sql))
    try:
        db.execute(f"EXPLAIN {query.sql}", values)
        plan = " ".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {query.sql}", values))
    except sqlite3.Error as error:
        yield str(error)
        return
    for title in query.uses:
        candidates = [
            (table, index)
            for table in schema.tables.values()
            for index in table.indexes
            if index.title == title
        ]
        if not candidates:
            yield f"there is no index {title}"
        elif not _is_taken(plan, candidates):
            yield f"it does not take {title} but: {plan}"


def _is_taken(plan: str, candidates: list[tuple[Table, Index]]) -> bool:
    return any(f" {_in_a_plan(table, index)} " in f"{plan} " for table, index in candidates)


def _in_a_plan(table: Table, index: Index) -> str:
    if index.origin == "pk" and table.without_rowid:
        return f"{table.name} USING PRIMARY KEY"
    return f"INDEX {index.name}"
