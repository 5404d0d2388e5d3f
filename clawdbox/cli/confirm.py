"""`clawdbox confirm`: vouch for a login that has to prove that its person is there."""

from pathlib import Path

import click

from clawdbox.cli import admin, paths, tables
from clawdbox.cli.options import examples, folder_options, json_option


@click.command(epilog=examples(("clawdbox confirm 123456", "the code that your phone shows")))
@click.argument("code")
@folder_options
@json_option
def confirm(code: str, data_dir: Path | None, demo: bool, as_json: bool) -> None:
    """Confirm what a phone asks for, by the six digits it shows.

    For five minutes that login may show recovery words, change how you sign in, or let agents ask less. Type no code that
    you do not see on a device of your own. A running box is needed: exit code 69 says that there is none.
    """
    answer = admin.ask(paths.folder(data_dir, demo), "confirm", code=code)
    if as_json:
        tables.show_json(answer)
        return
    where = f" at {answer['ip_address']}" if answer["ip_address"] else ""
    click.echo(f"Confirmed for {answer['account']}: {answer['device']}{where}, for five minutes.")
