"""Options that several commands share, and how their help is laid out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def examples(*lines: tuple[str, str]) -> str:
    """An epilog of commands to copy, each with what it is for."""
    width = max(len(command) for command, _ in lines)
    return "\b\nExamples:\n" + "\n".join(f"  {command:<{width}}  # {purpose}" for command, purpose in lines)


def folder_options(command: F) -> F:
    """`--data-dir` and `--demo`; `paths.folder` turns them into the data folder."""
    demo = click.option(
        "--demo",
        is_flag=True,
        envvar="CLAWDBOX_DEMO",
        help="The demo's data folder instead of the box's own.",
    )
    return data_dir_option(demo(command))


def data_dir_option(command: F) -> F:
    return click.option(
        "--data-dir",
        type=click.Path(path_type=Path, file_okay=False),
        help="The box's data folder.  [default: the XDG data folder, ~/.local/share/clawdbox]",
    )(command)


def json_option(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for scripts.")(command)


def account_option(command: F) -> F:
    return click.option("--account", metavar="NAME|ID", help="Whose.  [default: the owner's]")(command)
