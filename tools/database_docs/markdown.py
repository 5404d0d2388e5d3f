"""Pieces of Markdown."""

import re
from collections.abc import Iterable, Sequence

_LOCAL = re.compile(r"\]\((?=\w+\.md)")


def code(text: str) -> str:
    return f"`{text}`"


def codes(texts: Iterable[str]) -> str:
    return ", ".join(code(text) for text in texts)


def table_link(name: str, folder: str = "") -> str:
    return f"[`{name}`]({folder}{name}.md)"


def one_up(text: str) -> str:
    """A note written for a page in `tables/`, as it must stand in a page above it."""
    return _LOCAL.sub(r"](tables/", text.replace("](../", "]("))


def flat(text: str) -> str:
    """A paragraph of several lines on one."""
    return " ".join(text.split())


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        f"| {' | '.join(flat(cell).replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    )


def fenced(language: str, text: str) -> str:
    return f"```{language}\n{text.strip()}\n```"


def page(parts: Iterable[str]) -> str:
    """Paragraphs, headings and tables with a blank line between them; empty parts are left out."""
    return "\n\n".join(part.strip("\n") for part in parts if part.strip()) + "\n"
