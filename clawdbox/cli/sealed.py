"""What `clawdbox db` never shows: columns that hold secrets, sealed or hashed.

Each table with such columns gets a temporary copy of its name in front of it, where they read `[sealed]`. Whoever
reaches behind the copy is refused twice: by SQLite's authorizer, which asks about the columns that a statement names,
and by a look at the compiled statement, since the authorizer is not asked about the columns of `USING` and `NATURAL`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite3 import Connection

SHOWN = "[sealed]"
_COLUMNS = {"token_hash", "code_hash", "state_hash", "endpoint_hash", "access_token", "refresh_token"}
_IN_TABLE = {("idempotency_keys", "body"), ("box_meta", "value")}

# sqlite.org/c3ref/c_alter_table.html
_OK, _DENY = 0, 1
_PRAGMA, _READ, _SELECT, _FUNCTION, _RECURSIVE = 19, 20, 21, 31, 33
_HARMLESS_PRAGMAS = {
    "table_info",
    "table_xinfo",
    "table_list",
    "foreign_key_list",
    "index_list",
    "index_info",
    "index_xinfo",
}
_OPENS, _MAIN = (
    {"OpenRead", "OpenWrite", "ReopenIdx"},
    0,
)  # sqlite.org/opcode.html: P2 is the page, P3 the schema
_FUNCTIONS_REFUSED = {"load_extension", "fts3_tokenizer"}


def is_sealed(table: str, column: str) -> bool:
    return column in _COLUMNS or column.endswith("_enc") or (table, column) in _IN_TABLE


def cover(db: "Connection") -> None:
    """Put the copies in front, then allow nothing but reading."""
    db.execute("PRAGMA temp_store = MEMORY")
    db.execute("BEGIN")  # one snapshot for all that is asked
    for table in _tables(db):
        columns = [str(row[1]) for row in db.execute(f"PRAGMA main.table_info({quoted(table)})")]
        if any(is_sealed(table, column) for column in columns):
            db.execute(_cover(table, columns))
    db.execute("PRAGMA query_only = ON")
    db.set_authorizer(_authorize)


def reaches_behind(db: "Connection", sql: str) -> bool:
    """Whether a statement, as SQLite compiles it, would open a table behind its copy, or an index of one."""
    if sql.lstrip().lower().startswith("explain"):
        return False  # it opens nothing, and cannot be explained
    behind = db.execute(
        "SELECT rootpage FROM main.sqlite_schema WHERE tbl_name IN (SELECT name FROM temp.sqlite_schema)"
    )
    pages = {page for (page,) in behind.fetchall() if page}
    steps = db.execute(f"EXPLAIN {sql}").fetchall()
    return any(code in _OPENS and schema == _MAIN and page in pages for _, code, _, page, schema, *_ in steps)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def whole(table: str) -> str:
    return f"SELECT * FROM {quoted(table)}"  # noqa: S608 - a name that the database itself gave


def _tables(db: "Connection") -> list[str]:
    rows = db.execute(
        "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    )
    return [str(row[0]) for row in rows.fetchall()]


def _cover(table: str, columns: Sequence[str]) -> str:
    shown = ", ".join(
        f"'{SHOWN}' AS {quoted(column)}" if is_sealed(table, column) else quoted(column) for column in columns
    )
    if table == "box_meta":  # mixed
        shown = "key, CASE WHEN key IN ('keyring_check', 'vapid_key') THEN '[sealed]' ELSE value END AS value"
    return f"CREATE TEMP TABLE {quoted(table)} AS SELECT {shown} FROM main.{quoted(table)}"  # noqa: S608 - names that the database itself gave


def _authorize(
    action: int, first: str | None, second: str | None, schema: str | None, _source: str | None
) -> int:
    if action == _READ:
        return _DENY if schema == "main" and is_sealed(first or "", second or "") else _OK
    if action == _FUNCTION:
        return _DENY if second in _FUNCTIONS_REFUSED else _OK
    if action == _PRAGMA:
        return _OK if first in _HARMLESS_PRAGMAS else _DENY
    return _OK if action in (_SELECT, _RECURSIVE) else _DENY
