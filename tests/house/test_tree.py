"""What the tree as a whole promises."""

import re
import stat

from tests.house import tree

# Written so that these lines don't match themselves.
REGISTRY = re.compile(r"pypi[.]org|pythonhosted[.]org|registry[.]npmjs|registry[.]yarnpkg|deb[.]debian[.]org")
MACHINE = re.compile(r"(?<![\w.$}/-])/(?:work|root|home/[a-z]+)/(?=[\w.])|/tmp/(?:probe|bash_)")
MOST_LINES = 400


def offences(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{tree.name(file)}:{number}: {line.strip()[:120]}"
        for file, text in tree.texts()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_file_names_the_host_of_a_package_registry() -> None:
    """Which registry serves a package is the business of the machine that installs it."""
    assert offences(REGISTRY) == []


def test_no_file_names_a_path_of_the_machine_it_was_made_on() -> None:
    assert offences(MACHINE) == []


def test_the_patterns_find_what_they_are_for() -> None:
    assert REGISTRY.search("https://pypi" + ".org/simple")
    assert MACHINE.search("cd /wo" + "rk/main")
    assert MACHINE.search("'/ro" + "ot/.cache'")
    assert not MACHINE.search("ui/work/item and ~/work/ and /var/lib/root/x")


def test_no_source_file_outgrows_a_reader() -> None:
    sources = tree.matching("clawdbox/**/*.py", "ui/src/**/*.ts", "ui/src/**/*.svelte", "packaging/*")
    lengths = {tree.name(file): len(file.read_text().splitlines()) for file in sources}
    assert {name: lines for name, lines in lengths.items() if lines >= MOST_LINES} == {}


def test_every_python_file_of_a_room_says_what_it_is_for() -> None:
    """Its docstring is the first thing a reader, or a search, sees."""
    files = [file for file in tree.matching("clawdbox/**/*.py") if file.read_text().strip()]
    assert [tree.name(file) for file in files if not file.read_text().startswith(('"""', "#!", 'r"""'))] == []


def test_text_ends_with_one_line_feed_and_has_no_carriage_returns() -> None:
    wrong = [
        tree.name(file)
        for file, text in tree.texts()
        if text and ("\r" in text or not text.endswith("\n") or text.endswith("\n\n"))
    ]
    assert wrong == []


def test_every_script_can_be_executed() -> None:
    scripts = [file for file, text in tree.texts() if text.startswith("#!")]
    assert scripts
    assert [tree.name(file) for file in scripts if not file.stat().st_mode & stat.S_IXUSR] == []
