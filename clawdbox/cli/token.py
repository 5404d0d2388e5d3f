"""`clawdbox token`: bearer tokens for scripts."""

from datetime import timedelta
from pathlib import Path

import click

from clawdbox.cli import admin, durations, paths, tables
from clawdbox.cli.options import account_option, examples, folder_options, json_option

_COLUMNS = {
    "id": "ID",
    "name": "NAME",
    "account": "ACCOUNT",
    "scope": "SCOPE",
    "expires": "EXPIRES",
    "used": "LAST USED",
}


@click.group(
    epilog=examples(
        ("clawdbox token create --name backup", "a token that lasts 90 days"),
        ("clawdbox token list", "which there are"),
        ("clawdbox token revoke 0199…", "end one at once"),
    )
)
def token() -> None:
    """Make, list and revoke bearer tokens for scripts."""


@token.command(
    epilog=examples(
        ("TOKEN=$(clawdbox token create --name backup)", "keep it in a variable"),
        ('curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:8022/api/v1/connections', "and use it"),
        ("clawdbox token create --name prometheus --scope metrics --expires 365d", "for /metrics alone"),
    )
)
@click.option("--name", required=True, help="What it is for, as the list of logins will show it.")
@account_option
@click.option(
    "--expires",
    callback=durations.option,
    default="90d",
    metavar="DURATION",
    show_default=True,
    help="How long it lasts: 30m, 12h, 90d, 52w.",
)
@click.option(
    "--scope",
    type=click.Choice(["full", "metrics"]),
    default="full",
    show_default=True,
    help="All that the account may do, or /metrics alone.",
)
@folder_options
def create(
    name: str, account: str | None, expires: timedelta, scope: str, data_dir: Path | None, demo: bool
) -> None:
    """Print a new token, and nothing else, on standard output.

    It is shown this once; the box keeps only its hash. A folder without a box gets one, as the first start would
    make it: owner, key and keyring.
    """
    answer = admin.ask(
        paths.folder(data_dir, demo),
        "token.create",
        name=name,
        account=account,
        expires_s=int(expires.total_seconds()),
        scope=scope,
    )
    click.echo(answer["token"])
    login = answer["login"]
    click.echo(
        f"Token {login['id']} of {login['account']}, until {tables.when(login['expires_at'])}. It is not shown again.",
        err=True,
    )


@token.command(
    "list",
    epilog=examples(("clawdbox token list", "everybody's"), ("clawdbox token list --json", "for scripts")),
)
@click.option("--account", metavar="NAME|ID", help="Whose.  [default: everybody's]")
@folder_options
@json_option
def list_(account: str | None, data_dir: Path | None, demo: bool, as_json: bool) -> None:
    """List the tokens that are neither revoked nor expired."""
    tokens = admin.ask(paths.folder(data_dir, demo), "token.list", account=account)["tokens"]
    if as_json:
        tables.show_json(tokens)
        return
    rows = [
        {**row, "expires": tables.when(row["expires_at"]), "used": tables.when(row["last_used_at"])}
        for row in tokens
    ]
    tables.show(rows, _COLUMNS)


@token.command(
    epilog=examples(("clawdbox token revoke 0199a1b2-…", "the id as `clawdbox token list` shows it"))
)
@click.argument("token_id", metavar="ID")
@folder_options
def revoke(token_id: str, data_dir: Path | None, demo: bool) -> None:
    """End a token at once; sockets that it opened close."""
    login = admin.ask(paths.folder(data_dir, demo), "token.revoke", id=token_id)["login"]
    click.echo(f"Token {login['id']} ({login['name']}) is revoked.")
