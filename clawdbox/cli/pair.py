"""`clawdbox pair`: sign in one more browser."""

from pathlib import Path

import click

from clawdbox.cli import admin, paths, qr, tables
from clawdbox.cli.options import account_option, examples, folder_options, json_option


@click.command(
    epilog=examples(
        ("clawdbox pair", "a link and its QR code for your phone"),
        ("clawdbox pair --account Anna", "sign in a browser as Anna"),
        ("clawdbox pair --demo", "for the box that `make run` started"),
        ("clawdbox pair --data-dir /var/lib/clawdbox", "for the box that systemd runs"),
    )
)
@account_option
@folder_options
@json_option
def pair(account: str | None, data_dir: Path | None, demo: bool, as_json: bool) -> None:
    """Print a link that signs in one browser, and its QR code.

    The link works once and for ten minutes. A running box is needed: exit code 69 says that there is none.
    """
    answer = admin.ask(paths.folder(data_dir, demo), "pair", account=account)
    if as_json:
        tables.show_json(answer)
        return
    for line in qr.lines(answer["phone_url"] or answer["url"]):
        click.echo(line)
    click.echo(answer["url"])
    click.echo(
        f"Signs in one browser as {answer['account']}, until {tables.when(answer['expires_at'])}.", err=True
    )
    if answer["phone_url"] is None:
        click.echo(
            "A phone cannot reach this address: start the box with --host 0.0.0.0 or --public-url for that.",
            err=True,
        )
