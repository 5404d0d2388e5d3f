"""`clawdbox backup`: the whole box as one file."""

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clawdbox.cli import admin, exits, paths, tables
from clawdbox.cli.options import examples, folder_options, json_option

if TYPE_CHECKING:
    from clawdbox.backups.restore import Contents
    from clawdbox.vault import Way

_VERIFY = "clawdbox backup verify box.clawdbox"


class FileOrCommand(click.Group):
    """`clawdbox backup FILE` is short for `clawdbox backup make FILE`."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, cmd_name) or self.commands["make"]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands:
            args = ["make", *args]
        return super().resolve_command(ctx, args)


@click.group(
    cls=FileOrCommand,
    epilog=examples(
        ("clawdbox backup box.clawdbox", "of the running box, while it goes on"),
        (_VERIFY, "look through all of it, write nothing"),
        ("clawdbox restore box.clawdbox", "a box of it, on an empty folder"),
    ),
    subcommand_metavar="FILE | COMMAND [ARGS]...",
)
def backup() -> None:
    """Write the whole box to one encrypted file: database, keyring, audit trail and recordings.

    The file opens with the 24 recovery words that were in force when it was made, or with the passphrase, on any
    machine; without one of them nobody opens it. The setting backup_every_h has the box make them by itself.
    """


@backup.command(
    epilog=examples(
        ("clawdbox backup box.clawdbox", "never overwrites a file"),
        ("clawdbox backup make verify", "for a file that has the name of a command"),
    )
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@folder_options
def make(file: Path, data_dir: Path | None, demo: bool) -> None:
    """Write a backup to FILE, which must not be there yet. `backup FILE` does the same."""
    folder = paths.folder(data_dir, demo)
    _refuse_existing(file)
    made = admin.ask(folder, "backup.make")
    try:
        size = _copy(Path(made["path"]), file)
    finally:
        Path(made["path"]).unlink(missing_ok=True)
    click.echo(f"{file}: {size / 1e6:,.1f} MB. It opens with the recovery words of this box.")


@backup.command(
    epilog=examples(
        (_VERIFY, "opens with this box's own keyring, or asks for the words"),
        (f"{_VERIFY} --words", "prove that the paper opens it"),
    )
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--words", "by", flag_value="words", help="Open it with the 24 recovery words.")
@click.option("--passphrase", "by", flag_value="passphrase", help="Open it with the passphrase.")
@folder_options
@json_option
def verify(file: Path, by: str | None, data_dir: Path | None, demo: bool, as_json: bool) -> None:
    """Read FILE from its first byte to its last, and say whether it is whole. Nothing is written.

    Where a box of this machine made it, its keyring opens it; otherwise the words are asked for, or read from standard input.
    """
    from clawdbox.backups.restore import look_through

    own = None if by else _own_sealer(paths.folder(data_dir, demo), file)
    way: Way = "passphrase" if by == "passphrase" else "words"
    found = look_through(file, own) if own else look_through(file, text=secret(way), by=way)
    _show(file, found, as_json)


def secret(by: "Way") -> str:
    """Words or passphrase: from the terminal, else from standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.read() if by == "words" else sys.stdin.readline().rstrip("\n")
    hidden = by == "passphrase"
    text: str = click.prompt("Passphrase" if hidden else "The 24 words", hide_input=hidden, err=True)
    return text


def _own_sealer(folder: Path, file: Path) -> Any:
    """Of this machine's box, when the backup is its own and it opens by itself; else None."""
    from clawdbox.backups.archive import Reader
    from clawdbox.errors import Problem
    from clawdbox.vault import Keyring

    if not Keyring.exists(folder):
        return None
    try:
        keyring = Keyring.open(folder, database=folder / paths.DATABASE)
    except Problem:
        return None
    with Reader(file) as reader:
        return keyring.sealer() if reader.header.instance_id == keyring.instance_id else None


def _refuse_existing(file: Path) -> None:
    if os.path.lexists(file):
        raise exits.Stop("backup_exists", f"{file} exists already. Choose another name.", exits.CANNOT_CREATE)


def _copy(source: Path, target: Path) -> int:
    """All of it on the disk, or nothing."""
    try:
        fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise exits.Stop(
            "cannot_create", f"{target} cannot be made: {error.strerror}.", exits.CANNOT_CREATE
        ) from None
    try:
        with os.fdopen(fd, "wb") as writing, source.open("rb") as reading:
            shutil.copyfileobj(reading, writing, 1 << 20)
            writing.flush()
            os.fsync(writing.fileno())
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return target.stat().st_size


def _show(file: Path, found: "Contents", as_json: bool) -> None:
    header = found.header
    told = {
        "id": header.id,
        "instance_id": header.instance_id,
        "created_at": header.created_at,
        "version": header.version,
        "recordings": found.recordings,
        "size_bytes": found.size,
    }
    if as_json:
        tables.show_json(told)
        return
    click.echo(
        f"{file} is whole: box {header.instance_id}, made {header.created_at} by clawdbox {header.version},"
    )
    click.echo(f"{found.recordings} recordings, {found.size / 1e6:,.1f} MB.")
