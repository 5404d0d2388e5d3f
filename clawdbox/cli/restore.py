"""`clawdbox restore`: a box of its backup."""

from pathlib import Path

import click

from clawdbox.cli import backup, paths
from clawdbox.cli.options import examples, folder_options


@click.command(
    epilog=examples(
        ("clawdbox restore box.clawdbox", "asks for the 24 words"),
        ("clawdbox restore box.clawdbox --passphrase", "for a box that had one"),
        ("clawdbox restore box.clawdbox --data-dir /srv/box", "to another empty folder"),
    )
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--passphrase", is_flag=True, help="Open it with the passphrase instead of the words.")
@folder_options
def restore(file: Path, passphrase: bool, data_dir: Path | None, demo: bool) -> None:
    """Make a box of the backup FILE, on a data folder that is empty or not there.

    It gets a new host key; the words and the passphrase stay as they were. All of the file is read and proved before
    anything is written, and a restore that is cut off leaves no box. Sessions that were open have ended. Do not run the
    old box beside it: both would hold the same keys.
    """
    from clawdbox.backups.restore import restore as restore_box
    from clawdbox.vault import Way

    folder = paths.folder(data_dir, demo)
    by: Way = "passphrase" if passphrase else "words"
    found = restore_box(file, folder, backup.secret(by), by=by)
    click.echo(
        f"The box of {found.header.created_at} is in {folder}. Start it: clawdbox serve{paths.flags(folder, demo)}"
    )
