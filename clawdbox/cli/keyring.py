"""`clawdbox keyring`: what locks the private keys of a box."""

from pathlib import Path
from typing import Any

import click
import msgspec

from clawdbox.cli import admin, paths, tables
from clawdbox.cli.options import examples, folder_options, json_option


@click.group(epilog=examples(("clawdbox keyring status", "which keys there are, and what opens them")))
def keyring() -> None:
    """Look at the master keyring, which seals every private key that the box holds."""


@keyring.command(
    epilog=examples(
        ("clawdbox keyring status", "also for a box that does not start"),
        ("clawdbox keyring status --json", "for scripts"),
    )
)
@folder_options
@json_option
def status(data_dir: Path | None, demo: bool, as_json: bool) -> None:
    """Say which keys the keyring holds and what opens each: the host's key, and the 24 recovery words.

    It also answers for a box that does not start, since the file can be read without any key. No key is shown.
    """
    folder = paths.folder(data_dir, demo)
    found = _read(folder)
    if as_json:
        tables.show_json(found)
        return
    click.echo(f"Box {found['instance_id']}, {folder / paths.KEYRING}")
    rows = [{**key, "slots": ", ".join(key["slots"])} for key in found["keys"]]
    tables.show(rows, {"id": "KEY", "state": "STATE", "slots": "OPENED BY"})


def _read(folder: Path) -> dict[str, Any]:
    """From the running box, which root may ask about another user's; else from the file."""
    from clawdbox.vault import Keyring, read_status

    answer = admin.ask_running(folder, "keyring.status", {})
    if answer is not None:
        return answer
    if not Keyring.exists(folder):
        raise admin.no_box(folder)
    found: dict[str, Any] = msgspec.to_builtins(read_status(folder))
    return found
