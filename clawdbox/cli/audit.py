"""`clawdbox audit`: the chained trail of who did what."""

from pathlib import Path

import click

from clawdbox.cli import admin, exits, paths, tables
from clawdbox.cli.options import examples, folder_options, json_option

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


@audit.command(epilog=examples(('tail -n 5 "$(clawdbox audit path)"', "the last five rows")))
@folder_options
def path(data_dir: Path | None, demo: bool) -> None:
    """Print where the append-only copy is: one JSON object a line."""
    click.echo(paths.folder(data_dir, demo) / paths.AUDIT)
