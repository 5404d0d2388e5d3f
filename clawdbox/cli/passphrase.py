"""Asking for the passphrase that opens a keyring."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clawdbox.cli import exits, paths
from clawdbox.errors import Problem, StartRefused

if TYPE_CHECKING:
    from clawdbox.vault import Keyring

_TRIES = 3
_given: dict[Path, str] = {}


def unlocked(data_dir: Path) -> "Keyring | None":
    """The keyring, opened by its passphrase; None when it needs none, or is none yet. Raises StartRefused `keyring_locked`.

    A command that works offline in several steps asks once.
    """
    from clawdbox.vault import Keyring

    if not is_locked(data_dir):
        return None
    if data_dir not in _given:
        _given[data_dir] = ask_until_it_opens(data_dir)
    return Keyring.open_with_passphrase(data_dir, _given[data_dir])


def is_locked(data_dir: Path) -> bool:
    """Whether the passphrase alone opens this box. Every other reason not to start is the start's to tell."""
    from clawdbox.vault import Keyring

    if not Keyring.exists(data_dir):
        return False
    try:
        Keyring.open(data_dir, database=data_dir / paths.DATABASE)
    except StartRefused as refused:
        return refused.code == "keyring_locked"
    return False


def ask_until_it_opens(data_dir: Path) -> str:
    """On a terminal, three times. Raises Problem `passphrase_wrong`, StartRefused `keyring_locked`."""
    from clawdbox.vault import Keyring

    if not sys.stdin.isatty():
        raise StartRefused(
            "keyring_locked",
            "This box opens with its passphrase, and there is no terminal to ask for it. Run this on one.",
        )
    for tries_left in reversed(range(_TRIES)):
        text: str = click.prompt("Passphrase", hide_input=True, err=True)
        try:
            Keyring.open_with_passphrase(data_dir, text)
        except Problem as problem:
            if problem.code != "passphrase_wrong" or not tries_left:
                raise
            exits.complain(problem.message)
        else:
            return text
    raise AssertionError  # the last try raised or returned


def existing(data_dir: Path) -> str:
    """The passphrase in force: hidden on a terminal, else the first line of standard input. It is not asked for again."""
    _given[data_dir] = text = _read("Passphrase", confirm=False)
    return text


def new() -> str:
    """A new one, twice on a terminal."""
    return _read("New passphrase", confirm=True)


def _read(what: str, *, confirm: bool) -> str:
    if sys.stdin.isatty():
        text: str = click.prompt(what, hide_input=True, confirmation_prompt=confirm, err=True)
        return text
    return sys.stdin.readline().rstrip("\n")
