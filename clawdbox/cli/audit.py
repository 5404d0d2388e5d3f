"""`clawdbox audit`: the chained trail of who did what."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import click

from clawdbox.cli import admin, exits, paths, tables
from clawdbox.cli.options import examples, folder_options, json_option

_PAGE = 1000
_COLUMNS = {
    "id": "ROW",
    "time": "TIME",
    "actor": "ACTOR",
    "action": "ACTION",
    "target_id": "TARGET",
    "ip_address": "FROM",
    "result": "RESULT",
    "detail": "DETAIL",
}


@click.group(
    epilog=examples(
        ("clawdbox audit list --limit 20", "what was done last"),
        ("clawdbox audit verify", "whether any row was changed, removed or cut off"),
        ('tail -f "$(clawdbox audit path)"', "follow the append-only copy"),
    )
)
def audit() -> None:
    """Read and verify the audit trail. Each row carries a code over itself and the row before it."""


@audit.command(
    "list",
    epilog=examples(("clawdbox audit list", "the newest 50 rows"), ("clawdbox audit list --json", "in full")),
)
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many rows.")
@folder_options
@json_option
def list_(limit: int, data_dir: Path | None, demo: bool, as_json: bool) -> None:
    """Show the newest rows of all accounts, oldest first."""
    entries = admin.ask(paths.folder(data_dir, demo), "audit.list", limit=limit)["entries"]
    if as_json:
        tables.show_json(entries)
        return
    tables.show([{**row, "time": tables.when(row["created_at"])} for row in entries], _COLUMNS)


@audit.command(
    epilog=examples(
        ("clawdbox audit verify", "exit code 1 and the first bad row, if there is one"),
        ("clawdbox audit verify --json", "for monitoring"),
    )
)
@folder_options
@json_option
def verify(data_dir: Path | None, demo: bool, as_json: bool) -> int:
    """Check every row against the one before it, and the newest against the append-only file.

    Exit code 0: whole. Exit code 1: the first bad row is named.
    """
    check = admin.ask(paths.folder(data_dir, demo), "audit.verify")
    bad = check["first_bad"] is not None
    if as_json:
        tables.show_json(check)
    elif bad:
        exits.complain(f"The audit trail is broken at row {check['first_bad']}: {check['reason']}.")
    else:
        click.echo(f"The audit trail is whole: {check['rows']} rows.")
    return exits.FAILED if bad else exits.OK


@audit.command(
    epilog=examples(
        ("clawdbox audit export --output audit.csv", "for a spreadsheet: no cell is a formula"),
        ("clawdbox audit export --format json >audit.jsonl", "one object a line"),
    )
)
@click.option(
    "--format", "file_format", type=click.Choice(["csv", "json"]), default="csv", show_default=True,
    help="What to write.",
)  # fmt: skip
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="A file to write; else standard output."
)
@folder_options
def export(file_format: str, output: Path | None, data_dir: Path | None, demo: bool) -> None:
    """Write the rows of all accounts, oldest first."""
    folder = paths.folder(data_dir, demo)
    with _opened(output) as out:
        for text in _pages(folder, file_format):
            out.write(text)


def _pages(folder: Path, file_format: str) -> Iterator[str]:
    from clawdbox.events.export import csv_head, csv_lines, json_lines

    lines, after = (csv_lines if file_format == "csv" else json_lines), 0
    if file_format == "csv":
        yield csv_head()
    while entries := admin.ask(folder, "audit.page", after=after, limit=_PAGE)["entries"]:
        yield lines(entries)
        after = entries[-1]["id"]


@contextmanager
def _opened(output: Path | None) -> Iterator[TextIO]:
    """For its owner alone: an audit trail says where everything is."""
    if output is None:
        yield sys.stdout
        return
    try:
        handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise exits.Stop(
            "output_unwritable",
            f"{output} cannot be written: {error.strerror}. Choose another file.",
            exits.FAILED,
        ) from None
    with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
        yield file


@audit.command(epilog=examples(('tail -n 5 "$(clawdbox audit path)"', "the last five rows")))
@folder_options
def path(data_dir: Path | None, demo: bool) -> None:
    """Print where the append-only copy is: one JSON object a line."""
    click.echo(paths.folder(data_dir, demo) / paths.AUDIT)
