"""How answers are laid out: columns for a person, JSON for a script."""

from collections.abc import Sequence
from typing import Any

import click
import msgspec

from clawdbox.names import printable

_WIDEST = 500


def show_json(value: Any) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def show(rows: Sequence[dict[str, Any]], columns: dict[str, str]) -> None:
    """`columns` maps each field to its heading, in order."""
    cells = [[_cell(row.get(name)) for name in columns] for row in rows]
    lines = [list(columns.values()), *cells]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    for line in lines:
        click.echo("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def _cell(value: Any) -> str:
    """One line without control characters: a device's name must not move the cursor."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict | list):
        value = msgspec.json.encode(value).decode()
    return printable(str(value), _WIDEST)


def when(text: str | None) -> str | None:
    """A stored time to the second: `2026-11-21 03:08:00Z`."""
    return f"{text[:10]} {text[11:19]}Z" if text else None
