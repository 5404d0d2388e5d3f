"""Exit codes that scripts can use (sysexits.h), and how a problem is told."""

import click

from clawdbox.errors import Problem

OK = 0
FAILED = 1
USAGE = 2
UNREACHABLE = 69
CANNOT_CREATE = 73
BUSY = 75
REFUSED = 78
INTERRUPTED = 130


class Stop(Problem):
    """A problem that the command itself found, with the exit code that tells it."""

    def __init__(self, code: str, message: str, exit_code: int) -> None:
        super().__init__(code, message)
        self.exit_code = exit_code


def of(problem: Problem) -> int:
    """StartRefused and Stop bring their own; a field that cannot be taken is wrong usage."""
    if problem.code == "invalid_input":
        return USAGE
    return int(getattr(problem, "exit_code", FAILED))


def complain(message: str) -> None:
    click.echo(f"clawdbox: {message}", err=True)
