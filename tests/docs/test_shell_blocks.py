"""What a document tells people to type works: programs, commands, options, make targets and test files are there."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import click
import pytest

from clawdbox.cli import main
from clawdbox.settings import load
from tests.cli.command import Served, environment
from tests.docs import markdown
from tests.docs.markdown import Fence
from tests.house import tree
from tests.house.tree import ROOT

SHELLS = ("sh", "console", "bash", "shell")
OPERATORS = {"&&", "||", "|", ";", "&", "(", ")", ">", ">>", "<"}
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z][a-z0-9-]*):(?!=)", MAKEFILE, re.MULTILINE))
VARIABLES = set(re.findall(r"^([A-Z]+) \?=", MAKEFILE, re.MULTILINE))
# Programs of others: that they are spelled right is all that can be said of them here.
FOREIGN = {
    "cd",
    "curl",
    "git",
    "openssl",
    "sqlite3",
    "ssh",
    "ssh-keygen",
    "sudo",
    "systemctl",
    "systemd-creds",
    "tailscale",
    "tail",
}
# Files and a command that the examples of CONTRIBUTING.md bring; its own test follows those.
EXAMPLES = {"tests/web/test_greeting.py"}
# Documents that speak of what there is; the planning ones also of what will be.
PRESENT = [
    file for file in tree.matching("*.md") if not tree.name(file).startswith(("docs/planning/", "docs/adr/"))
]
INLINE = re.compile(r"(?<!`)`((?:\.venv/bin/)?clawdbox [a-z][^`\n]*)`(?!`)")


def blocks() -> list[tuple[str, Fence]]:
    return [
        (tree.name(file), fence)
        for file in tree.matching("*.md")
        for fence in markdown.fences(file.read_text())
        if fence.language in SHELLS
    ]


def label(value: object) -> str:
    return str(value.line) if isinstance(value, Fence) else str(value)


def commands(text: str) -> Iterator[list[str]]:
    """The simple commands of a script, without comments, prompts, assignments and redirections."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars="&|;()<>")
        lexer.whitespace_split = True
        words: list[str] = []
        for token in [*lexer, ";"]:
            if token not in OPERATORS:
                words.append(token)
                continue
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words.pop(0)
            if words and token not in (">", ">>", "<"):
                yield words
                words = []


def script(fence: Fence) -> str:
    """A console shows what programs answer, too."""
    if fence.language != "console":
        return fence.text
    return "".join(line for line in fence.text.splitlines(keepends=True) if line.startswith("$ "))


def check(words: list[str]) -> None:
    match words[0].removeprefix(".venv/bin/"):
        case "clawdbox":
            parse(words[1:])
        case "make":
            check_make(words[1:])
        case "pytest":
            check_paths(words[1:])
        case "python" | "python3" if words[1:2] == ["-m"]:
            assert find_spec(words[2]), words
        case program:
            assert program in FOREIGN, f"no test knows the program {program}"


def parse(words: list[str], *, mentioned: bool = False) -> None:
    """As the command line itself would, up to where the command would begin. One that is only mentioned may lack words."""
    command: click.Command = main
    ctx = click.Context(main, info_name="clawdbox")
    while isinstance(command, click.Group):
        if mentioned and not words:
            return
        assert words, f"{ctx.command_path} needs a command"
        if words[0] in ("-h", "--help", "--version"):
            return
        assert command.get_command(ctx, words[0]), f"{ctx.command_path} has no command {words[0]}"
        _, found, words = command.resolve_command(ctx, list(words))
        assert found
        command = found
        ctx = click.Context(command, info_name=command.name, parent=ctx)
    if words in (["-h"], ["--help"]):
        return
    try:
        command.make_context(command.name, list(words), parent=ctx.parent)
    except click.MissingParameter:
        if not mentioned:
            raise


def check_make(words: list[str]) -> None:
    for word in words:
        variable, equals, value = word.partition("=")
        assert variable in (VARIABLES if equals else TARGETS), word
        if variable == "T":
            check_paths(value.split())
        if variable == "ARGS" and "run" in words:
            parse(["serve", *value.split()])
    answer = subprocess.run(["make", "-n", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr


def check_paths(words: list[str]) -> None:
    for word in words:
        assert word.startswith("-") or word in EXAMPLES or (ROOT / word.partition("::")[0]).exists(), word


@pytest.mark.parametrize("document, fence", blocks(), ids=label)
def test_a_shell_block_can_be_typed(document: str, fence: Fence) -> None:
    text = script(fence)
    subprocess.run(["sh", "-n"], input=text, text=True, check=True)
    for words in commands(text):
        check(words)


@pytest.mark.parametrize("document", PRESENT, ids=tree.name)
def test_a_command_within_a_sentence_can_be_typed(document: Path) -> None:
    for text in INLINE.findall(markdown.without_fences(document.read_text())):
        words = shlex.split(text)
        if words[1] != "hello" and "…" not in text:
            parse(words[1:], mentioned=True)


@pytest.mark.parametrize(
    "line",
    [
        "clawdbox nothing",
        "clawdbox serve --no-such-option",
        "clawdbox token create",
        "clawdbox token create --name x --expires soon",
        "make nothing",
        "make test NOTHING=1",
        "make test T=tests/nothing",
        'make run ARGS="--no-such-option"',
        ".venv/bin/pytest tests/nothing",
        ".venv/bin/python -m clawdbox.nothing",
        "frobnicate",
    ],
)
def test_what_cannot_be_typed_is_found(line: str) -> None:
    (words,) = commands(line)
    with pytest.raises((AssertionError, click.UsageError)):
        check(words)


def test_a_script_is_read_as_a_shell_would() -> None:
    text = "$ A=1 make x # y\ncd a && clawdbox db export > box.json | tail -f 'b c' \\\n  d\n"
    assert list(commands(text)) == [
        ["make", "x"],
        ["cd", "a"],
        ["clawdbox", "db", "export", "box.json"],
        ["tail", "-f", "b c", "d"],
    ]


@pytest.mark.parametrize(
    "document, fence",
    [(tree.name(file), fence) for file in PRESENT for fence in markdown.fences(file.read_text(), "toml")],
    ids=label,
)
def test_settings_that_are_shown_can_be_set(document: str, fence: Fence, tmp_path: Path) -> None:
    if fence.words:
        pytest.skip("not a config.toml")
    (tmp_path / "config.toml").write_text(fence.text)
    load(tmp_path, {}, {})


@pytest.mark.long
@pytest.mark.timeout(300)
def test_every_command_of_every_block_runs(tmp_path: Path) -> None:
    """Beside a box that serves, in a data folder of its own; `serve` itself on any free port."""
    env = environment(XDG_DATA_HOME=str(tmp_path))
    box = Served(tmp_path / "clawdbox", env=env)
    try:
        box.wait()
        for _document, fence in blocks():
            for words in commands(script(fence)):
                if words[0].endswith("clawdbox"):
                    run(words[1:], tmp_path, env)
    finally:
        box.end()


def run(words: list[str], folder: Path, env: dict[str, str]) -> None:
    if words[0] != "serve":
        done = subprocess.run(
            [sys.executable, "-m", "clawdbox", *words], env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return
    other = Served(folder / "other", *words[1:], env=env)
    try:
        assert other.wait().stop() == 0
    finally:
        other.end()
