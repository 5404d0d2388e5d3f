"""`clawdbox keyring`: what locks the private keys of a box."""

import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from clawdbox.cli import admin, exits, lock, passphrase, paths, tables, welcome
from clawdbox.cli.options import examples, folder_options, json_option

_RECOVER = "clawdbox keyring recover"


@click.group(
    epilog=examples(
        ("clawdbox keyring status", "which keys there are, and what opens them"),
        ("clawdbox keyring add-slot passphrase", "also open with a passphrase"),
        ("clawdbox keyring rotate", "a new master key; everything is sealed anew"),
        (_RECOVER, "a new host key, with the 24 words"),
    )
)
def keyring() -> None:
    """Look after the master keyring, which seals every private key that the box holds.

    The keyring opens by the host's key (a file, a systemd credential, or the keyring of the operating system), by a
    passphrase, or by the 24 recovery words: one slot for each.
    """


@keyring.command(
    epilog=examples(
        ("clawdbox keyring status", "also for a box that does not start"),
        ("clawdbox keyring status --json", "for scripts"),
    )
)
@folder_options
@json_option
def status(data_dir: Path | None, demo: bool, as_json: bool) -> None:
    """Say which keys the keyring holds and what opens each: the host's key, a passphrase, the 24 recovery words.

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
    if found.get("locked"):
        click.echo("The box waits for its passphrase: clawdbox keyring unlock")
    if len(rows) > 1:
        click.echo(_under_way(found.get("resealing")))


@keyring.command(
    "add-slot",
    epilog=examples(
        ("clawdbox keyring add-slot passphrase", "asks for a new one, twice"),
        ("clawdbox keyring add-slot host", "a new host.key, or the systemd credential of the running box"),
        ("clawdbox keyring add-slot os", "the host key in the keyring of the operating system"),
    ),
)
@click.argument("kind", type=click.Choice(["passphrase", "host", "os"]))
@folder_options
def add_slot(kind: str, data_dir: Path | None, demo: bool) -> None:
    """Let the keyring open in one more way, or change one: a slot of the same kind is replaced.

    With both a host key and a passphrase, the box starts by itself, and the passphrase helps when the host key is lost.
    For a box that starts only when somebody gives the passphrase, remove the host slot afterwards. Without a terminal
    the passphrase is the first line of standard input.
    """
    folder = paths.folder(data_dir, demo)
    extra = {"passphrase": passphrase.new()} if kind == "passphrase" else {}
    where = admin.ask(folder, "keyring.add-slot", kind=kind, **extra)["where"]
    click.echo(f"The keyring now opens with {where}.")


@keyring.command(
    "remove-slot",
    epilog=examples(
        ("clawdbox keyring remove-slot host", "from now on somebody gives the passphrase at each start"),
        ("clawdbox keyring remove-slot passphrase", "the host key alone"),
    ),
)
@click.argument("kind", type=click.Choice(["passphrase", "host", "recovery"]))
@click.option(
    "--even-the-last", is_flag=True, help="Also the one without which only the 24 words open the box."
)
@folder_options
def remove_slot(kind: str, even_the_last: bool, data_dir: Path | None, demo: bool) -> None:
    """Take away a way in. The host's key is deleted with its slot; the recovery words always stay."""
    folder = paths.folder(data_dir, demo)
    admin.ask(folder, "keyring.remove-slot", kind=kind, even_the_last=even_the_last)
    click.echo(f"The slot {kind} is removed.")


@keyring.command(
    epilog=examples(
        ("clawdbox keyring rotate", "also goes on with a rotation that was interrupted"),
    )
)
@folder_options
def rotate(data_dir: Path | None, demo: bool) -> int:
    """Make a new master key, and seal everything anew with it. The box goes on working meanwhile.

    It may be interrupted at any point: the next start, or this command, goes on. It also makes new recovery words, shown
    on a terminal and otherwise in the web app; the old ones open nothing any more. Where a passphrase opens the keyring it
    is asked for, or is the first line of standard input.
    """
    folder = paths.folder(data_dir, demo)
    extra = {"passphrase": passphrase.existing(folder)} if _needs_passphrase(folder) else {}
    begun = admin.ask(folder, "keyring.rotate", reveal=sys.stdout.isatty(), **extra)
    if begun["begun"]:
        _show_words(folder, begun, demo=demo)
    else:
        click.echo("A rotation was under way: it goes on.", err=True)
    return _follow(folder)


@keyring.command("renew-words", epilog=examples(("clawdbox keyring renew-words", "when the paper is lost")))
@folder_options
def renew_words(data_dir: Path | None, demo: bool) -> None:
    """Make new recovery words. The old ones open nothing any more.

    They are shown on a terminal; without one, in the web app and on the terminal of the next start.
    """
    folder = paths.folder(data_dir, demo)
    _show_words(folder, admin.ask(folder, "keyring.renew-words", reveal=sys.stdout.isatty()), demo=demo)


@keyring.command(epilog=examples((_RECOVER, "asks for the 24 words; the box must be stopped")))
@folder_options
def recover(data_dir: Path | None, demo: bool) -> None:
    """Make a new host key with the 24 recovery words, for a box whose host key or passphrase is lost.

    Any case, and the first four letters of each word, will do. Without a terminal they are read from standard input.
    Nothing is changed unless the words open the keyring and the keyring opens the database.
    """
    from clawdbox import vault

    folder = paths.folder(data_dir, demo)
    if not vault.Keyring.exists(folder):
        raise admin.no_box(folder)
    with lock.held(folder):
        text = click.prompt("The 24 words", err=True) if sys.stdin.isatty() else sys.stdin.read()
        vault.recover(folder, text, database=folder / paths.DATABASE)
    click.echo(
        f"There is a new {folder / 'host.key'}. Start the box: clawdbox serve{paths.flags(folder, demo)}"
    )


@keyring.command(epilog=examples(("clawdbox keyring unlock", "for a box that waits for its passphrase")))
@folder_options
def unlock(data_dir: Path | None, demo: bool) -> None:
    """Give a running box its passphrase. Without a terminal it is the first line of standard input."""
    folder = paths.folder(data_dir, demo)
    if admin.ask_running(folder, "keyring.status", {}) is None:
        raise admin.not_running(folder)
    if admin.ask_running(folder, "keyring.unlock", {"passphrase": passphrase.existing(folder)}) is None:
        raise admin.not_running(folder)
    click.echo("The box is unlocked, and starts.")


def _show_words(folder: Path, answer: dict[str, Any], *, demo: bool) -> None:
    if "words" not in answer:
        click.echo(
            "New recovery words are waiting: the web app shows them, and so does the next start on a terminal."
        )
        return
    click.echo(welcome.words(answer["words"], demo=demo))
    click.pause("Press a key when you have written them down.", err=True)
    admin.ask(folder, "keyring.words-written", words_id=answer["words_id"])


def _follow(folder: Path) -> int:
    """Until all is done; a box that runs goes on whether or not somebody watches."""
    while True:
        progress = admin.ask(folder, "keyring.reseal")
        if progress["done"]:
            break
        click.echo(f"{progress['left']} values are left to be sealed anew.", err=True)
    if not progress["broken"]:
        click.echo("The new master key is in force, and the old one is gone.")
        return exits.OK
    for where in progress["broken"]:
        exits.complain(f"This value opens with no key: {where}.")
    exits.complain("The old key stays for them. Remove what they belong to, then run this again.")
    return exits.FAILED


def _needs_passphrase(folder: Path) -> bool:
    """Only to begin: a rotation that goes on has its key already."""
    keys = _read(folder)["keys"]
    return len(keys) == 1 and "passphrase" in keys[0]["slots"]


def _under_way(resealing: dict[str, Any] | None) -> str:
    if resealing is None:
        return "A rotation is under way: the next start, or `clawdbox keyring rotate`, goes on with it."
    return f"A rotation is under way: {resealing['left']} values are left to be sealed anew."


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
