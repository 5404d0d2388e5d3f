"""`clawdbox version`: what a bug report should say."""

import platform
from importlib import import_module, metadata

import click

from clawdbox import __version__
from clawdbox.cli import tables
from clawdbox.cli.options import data_dir_option, examples, json_option


@click.command(
    epilog=examples(
        ("clawdbox version", "of clawdbox and what it stands on"), ("clawdbox version --json", "for scripts")
    )
)
@data_dir_option
@json_option
def version(data_dir: object, as_json: bool) -> None:  # noqa: ARG001 - every command takes a data folder
    """Print the versions of clawdbox, Python, SQLite and the SSH library."""
    found = {
        "clawdbox": __version__,
        "python": platform.python_version(),
        "sqlite": str(import_module("sqlite3").sqlite_version),
        "asyncssh": _library("asyncssh"),
        "platform": platform.platform(),
    }
    if as_json:
        tables.show_json(found)
        return
    for name, text in found.items():
        click.echo(f"{name} {text}")


def _library(name: str) -> str:
    """A frozen box carries no metadata, but the library itself."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return str(import_module(name).__version__)
