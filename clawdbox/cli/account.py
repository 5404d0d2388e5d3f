"""`clawdbox account`: the people of a box."""

from pathlib import Path

import click

from clawdbox.cli import admin, paths, tables
from clawdbox.cli.options import examples, folder_options, json_option

_COLUMNS = {"id": "ID", "display_name": "NAME", "role": "ROLE", "is_active": "ENABLED", "seen": "LAST SEEN"}


@click.group(
    epilog=examples(
        ("clawdbox account create Anna", "and `clawdbox pair --account Anna` signs her in"),
        ("clawdbox account list", "who there is"),
        ("clawdbox account disable Anna", "end her logins and sessions now"),
    )
)
def account() -> None:
    """Make, list, disable and enable accounts. Each is a person with keys, connections and sessions of their own."""


@account.command(
    "list",
    epilog=examples(("clawdbox account list", "a table"), ("clawdbox account list --json", "for scripts")),
)
@folder_options
@json_option
def list_(data_dir: Path | None, demo: bool, as_json: bool) -> None:
    """List the accounts."""
    accounts = admin.ask(paths.folder(data_dir, demo), "account.list")["accounts"]
    if as_json:
        tables.show_json(accounts)
        return
    tables.show([{**row, "seen": tables.when(row["last_seen_at"])} for row in accounts], _COLUMNS)


@account.command(
    epilog=examples(
        ("clawdbox account create Anna", "someone who works with servers"),
        ("clawdbox account create 'Night watch' --role viewer", "someone who only looks"),
    )
)
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(["owner", "operator", "viewer"]),
    default="operator",
    show_default=True,
    help="What they may do.",
)
@folder_options
@json_option
def create(name: str, role: str, data_dir: Path | None, demo: bool, as_json: bool) -> None:
    """Make an account with an SSH key of its own."""
    made = admin.ask(paths.folder(data_dir, demo), "account.create", name=name, role=role)["account"]
    if as_json:
        tables.show_json(made)
        return
    click.echo(f"Account {made['id']} ({made['display_name']}, {made['role']}) is made.")


@account.command(epilog=examples(("clawdbox account disable Anna", "by name or by id")))
@click.argument("account_name", metavar="NAME|ID")
@folder_options
def disable(account_name: str, data_dir: Path | None, demo: bool) -> None:
    """End an account's logins and sessions at once, and let nobody sign in as it. Nothing is deleted."""
    changed = admin.ask(paths.folder(data_dir, demo), "account.disable", id=account_name)["account"]
    click.echo(f"Account {changed['id']} ({changed['display_name']}) is disabled.")


@account.command(epilog=examples(("clawdbox account enable Anna", "then `clawdbox pair --account Anna`")))
@click.argument("account_name", metavar="NAME|ID")
@folder_options
def enable(account_name: str, data_dir: Path | None, demo: bool) -> None:
    """Let a disabled account sign in again. The logins it had stay ended."""
    changed = admin.ask(paths.folder(data_dir, demo), "account.enable", id=account_name)["account"]
    click.echo(f"Account {changed['id']} ({changed['display_name']}) is enabled.")
