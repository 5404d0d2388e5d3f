"""CONTRIBUTING.md works as it is written: its steps are taken on a copy of the tree, and the tests they name are run."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs import markdown
from tests.house import tree
from tests.house.tree import ROOT

TEXT = markdown.read("CONTRIBUTING.md")
PARTS = markdown.sections(TEXT, 2)


def examples(part: str) -> dict[str, str]:
    """Words behind a block's language → the block, as they stand in a step."""
    found = {" ".join(fence.words): fence.text for fence in markdown.fences(PARTS[part]) if fence.words}
    assert found
    return found


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The tree as it would be cloned, with what lies uncommitted in it."""
    for file in tree.files():
        target = tmp_path / "clone" / file.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, target)
    clone = tmp_path / "clone"
    subprocess.run(["git", "init", "-q"], cwd=clone, check=True)
    return clone


def new_file(clone: Path, part: str, name: str) -> None:
    assert not (clone / name).exists()
    (clone / name).write_text(examples(part)[name])


def edit(file: Path, before: str, after: str) -> None:
    text = file.read_text()
    assert text.count(before) == 1, f"{file.name}: {before!r}"
    file.write_text(text.replace(before, after))


def run(clone: Path, *arguments: str) -> str:
    """A module of the copy, which stands before the installed one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=clone,
        env=kept | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    return done.stdout


def named_tests(part: str) -> list[str]:
    """What the last `make test T=…` of a part runs, without what other parts look after."""
    found = re.findall(r"make test T=\"?([^\"\n]+)", PARTS[part])
    return str(found[-1]).split()


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_migration(copy: Path) -> None:
    part = "A migration"
    migration, note = examples(part)
    new_file(copy, part, migration)
    (copy / "clawdbox/store/schema.sql").write_text(run(copy, "clawdbox.store.schema"))
    edit(copy / note.rpartition(" ")[2], "\n[columns]\n", f"\n[columns]\n{examples(part)[note]}")
    run(copy, "tools.database_docs")
    model = copy / "docs/planning/02-data-model.md"
    text = model.read_text()
    begun = text.index("-- SQLite, as it runs\nCREATE TABLE ssh_connections (")
    end = text.index("\n) STRICT;", begun)
    text = f"{text[:end]},\n  note TEXT{text[end:]}"
    model.write_text(text.replace("| `host_key_type`, ", "| `note` | to remember |\n| `host_key_type`, "))
    run(copy, "pytest", "-q", "-p", "no:cacheprovider", *named_tests(part), "-m", "not long")


@pytest.mark.long
@pytest.mark.timeout(600)
def test_an_endpoint(copy: Path) -> None:
    part = "An endpoint"
    source, test, section = examples(part)
    new_file(copy, part, source)
    new_file(copy, part, test)
    site = copy / "clawdbox/web/site.py"
    edit(
        site,
        "from clawdbox.web.guards import Door\n",
        "from clawdbox.web.greeting import greet\nfrom clawdbox.web.guards import Door\n",
    )
    edit(site, '    "Settings": [', '    "Settings": [greet, ')
    edit(copy / "tests/web/test_every_route.py", 'CONTRACT = """\n', 'CONTRACT = """\nGET /api/v1/greeting\n')
    edit(
        copy / "docs/planning/03-api-surface.md",
        "\n## Settings\n",
        f"\n{examples(part)[section]}\n## Settings\n",
    )
    run(copy, "pytest", "-q", "-p", "no:cacheprovider", *named_tests(part), "-m", "not long")


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_command(copy: Path) -> None:
    part = "A command"
    (source,) = examples(part)
    new_file(copy, part, source)
    edit(copy / "clawdbox/cli/__init__.py", "COMMANDS = (", 'COMMANDS = ("hello", ')
    assert run(copy, "clawdbox", "hello", "Anna") == "Hello, Anna.\n"
    run(copy, "pytest", "-q", "-p", "no:cacheprovider", *named_tests(part))


def test_a_page_names_what_is_there() -> None:
    """What its steps hold on to. Building it takes npm's packages, which a copy has not."""
    for file, text in {
        "ui/src/logic/routes.ts": "export type PageName =",
        "ui/src/App.svelte": "{:else}<Lost />",
        "ui/src/api.ts": "export const get",
        "ui/src/state/resource.svelte.ts": "export class Resource",
        "ui/src/parts/Loaded.svelte": "children: Snippet",
        "ui/tests/logic.test.ts": "place(path)",
    }.items():
        assert text in markdown.read(file), file


def test_each_of_the_five_things_has_its_steps() -> None:
    assert [part for part in PARTS if part.startswith(("A ", "An "))] == [
        "A migration",
        "An endpoint",
        "A page",
        "A command",
        "A document",
    ]
