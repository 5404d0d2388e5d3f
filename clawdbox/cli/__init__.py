"""The `clawdbox` command: one file per command, imported when it is asked for."""

import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, NoReturn

import click

from clawdbox import __version__
from clawdbox.cli import exits
from clawdbox.cli.options import examples
from clawdbox.errors import Problem

COMMANDS = (
    "serve",
    "pair",
    "confirm",
    "token",
    "account",
    "keyring",
    "backup",
    "restore",
    "db",
    "audit",
    "ssh-config",
    "stop-agents",
    "version",
)


class Commands(click.Group):
    """Each command lives in the module of its name, so that `clawdbox version` does not pay for `serve`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        command = getattr(import_module(f"clawdbox.cli.{name}"), name)
        assert isinstance(command, click.Command)
        return command

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        """Run and exit. Whatever is made on the way is this user's alone."""
        os.umask(0o077)
        extra = {"prog_name": "clawdbox", **extra, "standalone_mode": False}
        sys.exit(_exit_code(lambda: super(Commands, self).main(*args, **extra)))


def _exit_code(run: Callable[[], Any]) -> int:
    """What a shell is told, and stderr what went wrong."""
    try:
        return run() or exits.OK
    except click.UsageError as error:
        return _usage(error)
    except Problem as problem:
        exits.complain(problem.message)
        return exits.of(problem)
    except (click.Abort, KeyboardInterrupt):
        return exits.INTERRUPTED
    except OSError as error:
        return _failed_by_system(error)


def _failed_by_system(error: OSError) -> int:
    if isinstance(error, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # `… | head` has seen enough
        return exits.OK
    exits.complain(f"{error.filename or 'The system'}: {error.strerror or error}.")
    return exits.FAILED


def _usage(error: click.UsageError) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message())  # a group without its command: what there is to choose from
        return exits.USAGE
    exits.complain(error.format_message())
    if error.ctx is not None:
        click.echo(f"Try: {error.ctx.command_path} --help", err=True)
    return exits.USAGE


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=examples(
        ("clawdbox serve --demo", "try it, with nothing but this machine"),
        ("clawdbox serve --host 0.0.0.0", "serve the phones of your network"),
        ("clawdbox pair", "sign in one more browser or phone"),
        ("clawdbox token create --name backup", "a token for a script"),
        ("clawdbox stop-agents", "the kill switch: whatever agents do ends now"),
        ("clawdbox ssh-config > ~/.ssh/clawdbox", "let ssh, rsync and git use the open sessions"),
    ),
)
@click.version_option(__version__, prog_name="clawdbox", message="%(prog)s %(version)s")
def main() -> None:
    """Your servers from your phone: a box that keeps SSH sessions, terminals and runbooks alive.

    Exit codes: 0 done, 1 failed (or the answer is no), 2 wrong usage, 69 no box is running, 73 a file cannot be
    made, 75 another box holds the data folder, 78 refused for its configuration or keys.
    """
