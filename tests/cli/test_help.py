"""Help that teaches: every command has one, with an example that names the command."""

import click
import pytest

from clawdbox import __version__
from clawdbox.cli import main
from tests.cli.command import clawdbox


def every_command(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [path]
    with click.Context(group) as ctx:
        for name in group.list_commands(ctx):
            command = group.get_command(ctx, name)
            assert command is not None
            found += (
                every_command(command, (*path, name)) if isinstance(command, click.Group) else [(*path, name)]
            )
    return found


@pytest.mark.parametrize("path", every_command(main), ids=" ".join)
def test_every_command_explains_itself(path: tuple[str, ...]) -> None:
    done = clawdbox(*path, "-h")
    assert (done.returncode, done.stderr) == (0, "")
    examples = done.stdout.partition("Examples:")[2]
    assert " ".join(("clawdbox", *path)) in examples


@pytest.mark.parametrize("path", [path for path in every_command(main) if path], ids=" ".join)
def test_every_command_takes_a_data_folder(path: tuple[str, ...]) -> None:
    ctx = click.Context(main)
    command: click.Command = main
    for name in path:
        assert isinstance(command, click.Group)
        found = command.get_command(ctx, name)
        assert found is not None
        command = found
    if not isinstance(command, click.Group):
        assert "--data-dir" in clawdbox(*path, "--help").stdout


def test_the_version_is_told_in_three_ways() -> None:
    assert clawdbox("--version").stdout == f"clawdbox {__version__}\n"
    assert clawdbox("version").stdout.startswith(f"clawdbox {__version__}\npython 3.")
    assert f'"clawdbox": "{__version__}"' in clawdbox("version", "--json").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"],
        ["token"],
        ["token", "create"],
        ["token", "create", "--name", "x", "--expires", "soon"],
        ["serve", "--port", "65536"],
        ["serve", "--public-url", "box.example.org"],
        ["serve", "--public-url", "https://box.example.org/below"],
        ["pair", "--json", "left over"],
        ["db", "export", "--format", "csv"],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_2_without_a_traceback(arguments: list[str]) -> None:
    done = clawdbox(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "--help" in done.stderr + done.stdout


def test_asking_for_the_version_imports_no_room() -> None:
    """`python -X importtime` names every module that was loaded."""
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "clawdbox", "version"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "click" in loaded
    assert not loaded & {
        "asyncssh",
        "litestar",
        "clawdbox.app",
        "clawdbox.store",
        "cryptography",
        "sqlite_utils",
    }
