"""What documents point to is there."""

import re
import unicodedata
from pathlib import Path

import pytest

from tests.house import tree
from tests.house.tree import ROOT

DOCUMENTS = tree.matching("*.md")
# [text](target), [name]: target, and the attributes of HTML in between.
LINK = re.compile(
    r"\]\(<?([^)>\s]+)>?(?: \"[^\"]*\")?\)|^\[[^\]]+\]: +(\S+)|\b(?:src|href)=\"([^\"]+)\"", re.MULTILINE
)
CODE = re.compile(r"^( *)(`{3,}|~{3,})[^`\n]*\n.*?^\1\2 *$", re.MULTILINE | re.DOTALL)
# Paths in backticks, as `clawdbox/web/guards.py`; a pattern or a placeholder is none.
PATH = re.compile(r"`((?:clawdbox|ui|docs|packaging|requirements|tests|bench|\.ci|\.github)/[\w./-]+)`")
MADE = {"clawdbox/web/static", "ui/node_modules"}


def prose(document: Path) -> str:
    return CODE.sub("", document.read_text())


def anchors(document: Path) -> set[str]:
    """The names that a renderer gives the headings."""
    found: dict[str, int] = {}
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", prose(document), re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        kept = (c for c in text if c in " -_" or unicodedata.category(c)[0] in "LN")
        name = "".join(kept).replace(" ", "-")
        found[name] = times = found.get(name, -1) + 1
        if times:
            found[f"{name}-{times}"] = 0
    return set(found)


def broken(document: Path) -> list[str]:
    wrong = []
    for link in ("".join(found) for found in LINK.findall(prose(document))):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (document.parent / file).resolve() if file else document
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            wrong.append(link)
    return wrong


@pytest.mark.parametrize("document", DOCUMENTS, ids=tree.name)
def test_links_lead_somewhere(document: Path) -> None:
    assert broken(document) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=tree.name)
def test_files_that_a_document_speaks_of_exist(document: Path) -> None:
    named = {path.rstrip("/.") for path in PATH.findall(prose(document))} - MADE
    assert sorted(path for path in named if not (ROOT / path).exists()) == []


def test_a_broken_link_and_a_broken_anchor_are_found(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text(
        "# What is here\n\n## It's `code`\n\n### Twice\n### Twice\n### Twice\n"
    )
    document = tmp_path / "one.md"
    document.write_text(
        "# One\n[a](there.md) [b](there.md#what-is-here) [c](there.md#its-code) [d](#one) [i](there.md#twice-2)\n"
        '[e](gone.md) [f](there.md#gone) ![g](gone.png)\n<img src="gone.svg">\n\n[ref]: gone.txt\n````md\n```\n[h](in-code.md)\n```\n````\n'
    )
    assert broken(document) == ["gone.md", "there.md#gone", "gone.png", "gone.svg", "gone.txt"]
