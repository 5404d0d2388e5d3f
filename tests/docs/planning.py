"""The planning documents as tests read them: tables with their headings and marks, and what the code says itself."""

import ast
import re
from datetime import timedelta
from functools import cache
from importlib import import_module
from typing import Any

import msgspec

from clawdbox.settings import Settings
from tests.docs import markdown
from tests.house.tree import ROOT

OURS = (
    "01-product-ux-flow.md",
    "04-security-model.md",
    "06-phased-implementation.md",
    "07-engineering-breakdown.md",
)
_MARK = re.compile(r"<!-- (\w+): ([\w.]+) -->")
_UNITS = {
    "": 1,
    "s": 1,
    "min": 60,
    "h": 3600,
    "days": 86_400,
    "KiB": 1024,
    "MiB": 1_048_576,
}


class Table(msgspec.Struct, frozen=True):
    """`compared_with` is the constant that an invisible comment above the table names."""

    heading: tuple[str, ...]
    rows: list[list[str]]
    compared_with: str | None

    def column(self, name: str) -> list[str] | None:
        found = [number for number, cell in enumerate(self.heading) if cell.lower() == name.lower()]
        return [row[found[0]] for row in self.rows] if found else None

    def records(self) -> list[dict[str, str]]:
        return [dict(zip([cell.lower() for cell in self.heading], row, strict=True)) for row in self.rows]


def tables(text: str) -> list[Table]:
    lines = [*markdown.without_fences(text).splitlines(), ""]
    found, begun = [], None
    for number, line in enumerate(lines):
        if line.startswith("|") and begun is None:
            begun = number
        elif not line.startswith("|") and begun is not None:
            mark = _MARK.fullmatch(lines[begun - 1]) if begun else None
            heading = markdown.rows(lines[begun])[0]
            body = markdown.rows("\n".join(lines[begun:number]))
            found.append(Table(tuple(heading), body, mark[2] if mark and mark[1] == "transitions" else None))
            begun = None
    return found


def diagrams(text: str) -> list[tuple[str, str]]:
    """(the constant it is compared with, Mermaid source) of each diagram that bears such a mark."""
    lines = text.splitlines()
    marks = {fence.line: _MARK.fullmatch(lines[fence.line - 3]) for fence in markdown.fences(text, "mermaid")}
    return [
        (mark[2], fence.text)
        for fence in markdown.fences(text, "mermaid")
        if (mark := marks[fence.line]) and mark[1] == "diagram"
    ]


def constant(name: str) -> Any:
    """`package.module.NAME`, or a field of the settings."""
    if "." not in name:
        return getattr(Settings(), name)
    module, _, attribute = name.rpartition(".")
    return getattr(import_module(module), attribute)


def plain(value: object) -> float:
    """Seconds, bytes or a count."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    assert isinstance(value, int | float), value
    return float(value)


def number(text: str) -> tuple[float, str]:
    """`30 days` → (2592000, ""), `5/minute` → (5, "minute")."""
    rate = re.fullmatch(r"(\d+)/(minute|hour)", text)
    if rate:
        return float(rate[1]), rate[2]
    plain_text = re.fullmatch(r"(\d+(?:\.\d+)?) ?(\w*)", text)
    assert plain_text, f"{text!r} is no number"
    return float(plain_text[1]) * _UNITS[plain_text[2]], ""


def quoted(cell: str) -> list[str]:
    """What stands in “these quotes”; inner ones belong to it."""
    found, depth, begun = [], 0, 0
    for at, char in enumerate(cell):
        if char == "“":
            depth += 1
            begun = at + 1 if depth == 1 else begun
        elif char == "”":
            depth -= 1
            if depth == 0:
                found.append(cell[begun:at])
    assert depth == 0, f"quotes do not match: {cell}"
    return found


def blank(text: str) -> str:
    """A sentence with its places to fill in emptied."""
    return " ".join(re.sub(r"‹[^›]*›", "‹›", text).split())


@cache
def said() -> str:
    """Every text of the box and of the app, places to fill in emptied, one below the other."""
    texts = [text for file in (ROOT / "clawdbox").rglob("*.py") for text in _python(file.read_text())]
    for file in sorted((ROOT / "ui" / "src").rglob("*")):
        if file.suffix in (".ts", ".svelte"):
            source = re.sub(r"\$\{[^{}]*\}", "‹›", file.read_text())
            texts += [source, re.sub(r"\{[^{}]*\}", "‹›", source)]
    return "\n".join(" ".join(text.split()) for text in texts)


def _python(source: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            found.append("".join(_part(value) for value in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
    return found


def _part(value: ast.expr) -> str:
    return str(value.value) if isinstance(value, ast.Constant) else "‹›"


def audited() -> set[str]:
    """Every action that can stand in the audit trail, read from the calls that write it and from the routes."""
    found: set[str] = set()
    for file in (ROOT / "clawdbox").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            found |= _actions(node)
    return found


_ACTION = re.compile(r"[a-z_]+\.[a-z_]+")


def _actions(node: ast.AST) -> set[str]:
    if isinstance(node, ast.FunctionDef):
        defaults = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
        return _texts([value for name, value in defaults if name.arg == "action" and value])
    if not isinstance(node, ast.Call):
        return set()
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name in ("audit", "_audit", "note_key"):
        return _texts([*node.args, *(keyword.value for keyword in node.keywords if keyword.arg == "action")])
    if name.endswith("tell") and len(_texts(node.args)) == 2:  # the event, then the action
        return _texts([arg for arg in node.args if _texts([arg])][-1:])
    if name in ("post", "patch", "delete"):
        options = [keyword.value for keyword in node.keywords if keyword.arg == "opt"]
        return {
            text
            for option in options
            if isinstance(option, ast.Dict)
            for key, value in zip(option.keys, option.values, strict=True)
            if isinstance(key, ast.Constant) and key.value == "action"
            for text in _texts([value])
        }
    return set()


def _texts(nodes: list[ast.expr]) -> set[str]:
    return {
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _ACTION.fullmatch(node.value)
    }
