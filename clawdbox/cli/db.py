"""`clawdbox db`: a look into the database, which cannot change it.

Three locks, since one may have a flaw: the file is opened with `mode=ro`, the connection is `query_only`, and SQLite's
authorizer allows nothing but reading. What must not be read either stands in `sealed.py`.
"""

import csv
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any

import click
import msgspec
from sqlite_utils import Database
from sqlite_utils.utils import sqlite3  # type: ignore[attr-defined]  # the one it uses itself

from clawdbox.cli import admin, exits, paths, sealed, tables
from clawdbox.cli.options import examples, folder_options, json_option

Rows = Iterator[dict[str, Any]]
_STEPS = 100_000


@click.group(
    epilog=examples(
        ("clawdbox db tables", "which tables there are, and how many rows"),
        ("clawdbox db schema ssh_connections", "how one was made"),
        ('clawdbox db query "SELECT label, host FROM ssh_connections"', "ask anything"),
        ("clawdbox db export > box.json", "all of it, but for what is sealed"),
    )
)
def db() -> None:
    """Look into the database, also while the box runs. Nothing can be changed, and sealed columns stay sealed."""


@db.command(
    "tables", epilog=examples(("clawdbox db tables", "a table"), ("clawdbox db tables --json", "for scripts"))
)
@folder_options
@json_option
def tables_(data_dir: Path | None, demo: bool, as_json: bool) -> None:
    """List the tables and how many rows each has."""
    with _opened(data_dir, demo) as database:
        rows = [{"table": name, "rows": database.table(name).count} for name in _names(database)]
    if as_json:
        tables.show_json(rows)
    else:
        tables.show(rows, {"table": "TABLE", "rows": "ROWS"})


@db.command(
    epilog=examples(
        ("clawdbox db schema", "every table"), ("clawdbox db schema events audit_log", "these two")
    )
)
@click.argument("names", nargs=-1, metavar="[TABLE]...")
@folder_options
def schema(names: tuple[str, ...], data_dir: Path | None, demo: bool) -> None:
    """Print the SQL that made the tables, with their indexes and triggers."""
    with _opened(data_dir, demo) as database:
        for name in _chosen(database, names):
            found = database.execute(
                "SELECT sql FROM sqlite_master WHERE tbl_name = ? AND sql IS NOT NULL", [name]
            )
            for row in found:
                click.echo(f"{row[0]};")


@db.command(
    epilog=examples(
        ('clawdbox db query "SELECT label, host, port FROM ssh_connections"', "a table"),
        ('clawdbox db query --format csv "SELECT * FROM session_leases" > leases.csv', "for a spreadsheet"),
        ('clawdbox db query --format json "SELECT count(*) AS n FROM events"', "for a script"),
    )
)
@click.argument("sql")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
    help="How rows are shown.",
)
@folder_options
def query(sql: str, form: str, data_dir: Path | None, demo: bool) -> None:
    """Run one SELECT statement and show its rows.

    Columns that hold secrets read `[sealed]`, whatever is asked.
    """
    with _opened(data_dir, demo) as database:
        rows = _select(database, sql)
        if form == "csv":
            _write_csv(sys.stdout, rows)
        elif form == "json":
            _write_array(sys.stdout, rows)
            click.echo()
        else:
            found = list(rows)
            tables.show(found, {name: name for name in found[0]} if found else {})


@db.command(
    epilog=examples(
        ("clawdbox db export > box.json", "an object of arrays, one for each table"),
        ("clawdbox db export events audit_log --output trail.json", "two tables, into a new file (0600)"),
        ("clawdbox db export ssh_connections --format csv", "one table for a spreadsheet"),
    )
)
@click.argument("names", nargs=-1, metavar="[TABLE]...")
@click.option(
    "--format",
    "form",
    type=click.Choice(["json", "csv"]),
    default="json",
    show_default=True,
    help="CSV takes one table.",
)
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="A new file instead of standard output."
)
@folder_options
def export(names: tuple[str, ...], form: str, output: Path | None, data_dir: Path | None, demo: bool) -> None:
    """Write tables out, all of them if none is named. It is no backup: what is sealed reads `[sealed]`."""
    if form == "csv" and len(names) != 1:
        raise click.UsageError("CSV holds one table: name it, or use --format json.")
    with _opened(data_dir, demo) as database:
        chosen = _chosen(database, names)
        with _destination(output) as out:
            if form == "csv":
                _write_csv(out, _select(database, sealed.whole(chosen[0])))
            else:
                _write_object(out, chosen, lambda name: _select(database, sealed.whole(name)))


@contextmanager
def _opened(data_dir: Path | None, demo: bool) -> Iterator[Database]:
    folder = paths.folder(data_dir, demo)
    path = folder / paths.DATABASE
    if not path.exists():
        raise admin.no_box(folder)
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=10)) as connection:
            sealed.cover(connection)
            connection.set_progress_handler(lambda: 0, _STEPS)  # lets Ctrl-C through
            yield Database(connection, recursive_triggers=False, execute_plugins=False)
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise _refused(error) from None


def _refused(error: Exception) -> exits.Stop:
    text = str(error)
    if "prohibited" in text or "not authorized" in text or "authorization denied" in text:
        text = f"{text}: this command only reads, and never what is sealed"
    return exits.Stop("query_failed", f"{text[:1].upper()}{text[1:]}.", exits.FAILED)


def _names(database: Database) -> list[str]:
    return sorted(name for name in database.table_names() if not name.startswith("sqlite_"))


def _chosen(database: Database, names: tuple[str, ...]) -> list[str]:
    known = _names(database)
    for name in names:
        if name not in known:
            raise click.UsageError(f"There is no table {name!r}. There are: {', '.join(known)}.")
    return list(names) or known


def _select(database: Database, sql: str) -> Rows:
    if sealed.reaches_behind(database.conn, sql):
        raise _refused(PermissionError("access to a sealed table is prohibited"))
    cursor = database.execute(sql)
    if cursor.description is None:
        return
    columns = [column[0] for column in cursor.description]
    for row in cursor:
        yield dict(zip(columns, row, strict=True))


@contextmanager
def _destination(output: Path | None) -> Iterator[IO[str]]:
    """Standard output, or a file that was not there before and nobody else can read."""
    if output is None:
        yield sys.stdout
        return
    try:
        handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise exits.Stop(
            "cannot_create",
            f"{output} cannot be made: {error.strerror}. Name a new file.",
            exits.CANNOT_CREATE,
        ) from None
    with os.fdopen(handle, "w", encoding="utf-8", newline="") as out:
        yield out


def _write_csv(out: IO[str], rows: Rows) -> None:
    writer = None
    for row in rows:
        if writer is None:
            writer = csv.DictWriter(out, fieldnames=list(row), lineterminator="\n")
            writer.writeheader()
        writer.writerow(row)


def _write_array(out: IO[str], rows: Rows) -> None:
    """Row by row, so that a large table need not fit into memory."""
    before = "[\n"
    for row in rows:
        out.write(before + "  " + msgspec.json.encode(row).decode())
        before = ",\n"
    out.write("[]" if before == "[\n" else "\n]")


def _write_object(out: IO[str], names: list[str], rows_of: Callable[[str], Rows]) -> None:
    before = "{\n"
    for name in names:
        out.write(f"{before}{msgspec.json.encode(name).decode()}: ")
        _write_array(out, rows_of(name))
        before = ",\n"
    out.write("\n}\n")
