"""`clawdbox stop-agents`: the kill switch."""

from pathlib import Path

import click

from clawdbox.cli import admin, paths, tables
from clawdbox.cli.options import examples, folder_options, json_option


@click.command(
    epilog=examples(
        ("clawdbox stop-agents", "everything that agents do on this box ends now"),
        ("clawdbox stop-agents --account Anna", "those of one account"),
        ("clawdbox stop-agents --session 019b9d3c-4a10-7c3e-9d56-0d2f6a1b2c3d", "those of one session"),
    )
)
@click.option("--session", metavar="ID", help="Only the agents of this session.")
@click.option("--account", metavar="NAME|ID", help="Only those of this account.  [default: everybody's]")
@folder_options
@json_option
def stop_agents(
    session: str | None, account: str | None, data_dir: Path | None, demo: bool, as_json: bool
) -> None:
    """Stop what agents do: their answers, what runs for them on servers, and what they asked.

    Sessions and terminals stay open. What was allowed until the end of a session is allowed no more. A running box is
    needed: exit code 69 says that there is none, and then no agent runs either.
    """
    answer = admin.ask(paths.folder(data_dir, demo), "stop-agents", account=account, session=session)
    if as_json:
        tables.show_json(answer)
        return
    stopped = answer["stopped"]
    click.echo(
        f"Stopped: {stopped['turns']} running answers, {stopped['approvals']} open questions,"
        f" {stopped['grants']} standing grants."
    )
