"""`clawdbox ssh-config`: ssh, scp, rsync, git and Ansible over the sessions that the box holds."""

from pathlib import Path

import click

from clawdbox.cli import admin, paths
from clawdbox.cli.options import account_option, examples, folder_options, json_option
from clawdbox.cli.tables import show_json


@click.command(
    "ssh-config",
    epilog=examples(
        ("clawdbox ssh-config > ~/.ssh/clawdbox", "keep it in a file of its own"),
        ("ssh -F ~/.ssh/clawdbox nas uptime", "run a command over the open session of “nas”"),
        ("rsync -e 'ssh -F ~/.ssh/clawdbox' -a www/ nas:/srv/www/", "and whatever else calls ssh"),
    ),
)
@account_option
@folder_options
@json_option
def ssh_config(account: str | None, data_dir: Path | None, demo: bool, as_json: bool) -> None:
    """Print an ssh_config with which `ssh LABEL` rides the open session of that connection.

    The key stays in the box, and ssh dials nothing by itself: while no session of the connection is open, it ends with
    255. The paths stay the same from session to session, so this has to be printed anew only when connections are
    added or renamed. `Include ~/.ssh/clawdbox` as the first line of ~/.ssh/config makes the names known everywhere.

    What may be done through a socket (commands, terminals, forwards) is chosen on the page of the connection.
    """
    answer = admin.ask(paths.folder(data_dir, demo), "ssh-config", account=account)
    if as_json:
        show_json(answer["hosts"])
        return
    click.echo(answer["text"], nl=False)
    if not answer["hosts"]:
        click.echo("There is no saved connection yet.", err=True)
