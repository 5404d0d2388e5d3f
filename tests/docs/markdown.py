"""Markdown taken apart, as far as tests ask for it: headings, tables, fenced blocks."""

import re
from textwrap import dedent

import msgspec

from tests.house.tree import ROOT

_FENCE = re.compile(
    r"^(?P<indent> *)(?P<mark>`{3,}|~{3,})(?P<info>[^`\n]*)\n(?P<text>.*?)^(?P=indent)(?P=mark) *$",
    re.MULTILINE | re.DOTALL,
)


class Fence(msgspec.Struct, frozen=True):
    """A fenced block: its language, the words behind it (`json response 201`), its text and its first line's number."""

    language: str
    words: tuple[str, ...]
    text: str
    line: int


def read(name: str) -> str:
    return (ROOT / name).read_text()


def planning(name: str) -> str:
    return read(f"docs/planning/{name}")


def fences(text: str, language: str | None = None) -> list[Fence]:
    found = []
    for match in _FENCE.finditer(text):
        words = match["info"].split()
        line = text.count("\n", 0, match.start()) + 2
        found.append(Fence(words[0] if words else "", tuple(words[1:]), dedent(match["text"]), line))
    return [fence for fence in found if language in (None, fence.language)]


def without_fences(text: str) -> str:
    """The text with its blocks emptied, so that a `#` comment in one is no heading."""
    return _FENCE.sub(lambda match: "\n" * match[0].count("\n"), text)


def sections(text: str, level: int) -> dict[str, str]:
    """Heading → what stands under it, up to the next heading of that level or above."""
    bare = without_fences(text).splitlines()
    lines = text.splitlines()
    found: dict[str, str] = {}
    title, begun = None, 0
    for number, line in enumerate([*bare, "# end"]):
        heading = re.match(r"(#{1,6}) +(.+)", line)
        if heading and len(heading[1]) <= level:
            if title is not None:
                found[title] = "\n".join(lines[begun:number])
            title, begun = (heading[2], number + 1) if len(heading[1]) == level else (None, 0)
    return found


def rows(text: str) -> list[list[str]]:
    """The rows of every table in the text, without headings and rules."""
    found: list[list[str]] = []
    lines = without_fences(text).splitlines()
    for number, line in enumerate(lines):
        if (
            not line.startswith("|")
            or _is_rule(line)
            or (number + 1 < len(lines) and _is_rule(lines[number + 1]))
        ):
            continue
        found.append(_cells(line))
    return found


def table(text: str, *heading: str) -> list[list[str]]:
    """The rows of the one table whose heading cells begin with these words; an empty one stands for an empty cell."""
    lines = without_fences(text).splitlines()
    starts = [n for n, line in enumerate(lines[:-1]) if _is_rule(lines[n + 1]) and _begins(line, heading)]
    assert len(starts) == 1, f"{len(starts)} tables begin with {heading}"
    end = next((n for n in range(starts[0], len(lines)) if not lines[n].startswith("|")), len(lines))
    return rows("\n".join(lines[starts[0] : end]))


def _begins(line: str, heading: tuple[str, ...]) -> bool:
    cells = _cells(line)
    return len(cells) >= len(heading) and all(
        cell.startswith(words) if words else cell == "" for cell, words in zip(cells, heading, strict=False)
    )


def _cells(line: str) -> list[str]:
    """A `|` is a border wherever it stands, in backticks too, unless a backslash is before it."""
    inner = line.strip().removeprefix("|").removesuffix("|")
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", inner)]


def codes(cell: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)


def _is_rule(line: str) -> bool:
    return re.fullmatch(r"\|(?: *:?-+:? *\|)+", line) is not None
