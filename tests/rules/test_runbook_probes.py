"""A probe is one line that every login shell hands to sh unchanged, and that only reads."""

import re
import shutil
import subprocess

import pytest

from clawdbox.agents.model import CommandState
from clawdbox.agents.runtimes.port import Answer, Card, Row, Status
from clawdbox.agents.runtimes.runbook import (
    backups,
    certificates,
    containers,
    diagnose,
    disk,
    health,
    logs,
)
from clawdbox.agents.runtimes.runbook import help as guide
from clawdbox.agents.runtimes.runbook.recipe import (
    THRESHOLDS,
    Recipe,
    card_of,
    count,
    level,
    script,
    sections,
    size,
    some,
    worst,
)
from clawdbox.agents.runtimes.runbook.registry import RECIPES, choose, offered

IDS = [recipe.name for recipe in RECIPES]
_LOGIN_SHELLS = ("sh", "dash", "bash", "zsh", "busybox sh", "fish", "tcsh", "ksh", "mksh", "yash")
SHELLS = [shell for shell in _LOGIN_SHELLS if shutil.which(shell.split()[0])]
WRITING = re.compile(
    r"\b(sudo|doas|su|rm|mv|cp|tee|touch|kill|install|remove|upgrade -y|restart|start|stop)\b"
)


# Those that take no network and no lists of packages
RUN = [
    disk.RECIPE, health.RECIPE, containers.RECIPE, certificates.RECIPE, logs.RECIPE, backups.RECIPE, diagnose.RECIPE,
]  # fmt: skip


def _answer(stdout: str = "", stderr: str = "", exit_status: int | None = 0, state: str = "done") -> Answer:
    return Answer(CommandState(state), exit_status, stdout, stderr)


@pytest.mark.parametrize("recipe", RECIPES, ids=IDS)
def test_a_probe_holds_nothing_that_a_login_shell_would_change(recipe: Recipe) -> None:
    assert not set("'\\!\n\r") & set(script(recipe.probe))
    assert recipe.command.startswith("sh -c 'LC_ALL=C;")
    assert len(recipe.command) < 4000


@pytest.mark.parametrize("recipe", RECIPES, ids=IDS)
def test_a_probe_only_reads(recipe: Recipe) -> None:
    text = script(recipe.probe)
    assert not WRITING.search(text)
    assert set(re.findall(r">\s*(\S+?)[;\s]", text)) <= {"/dev/null"}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("recipe", RUN, ids=lambda recipe: recipe.name)
def test_the_shells_of_this_machine_run_it(recipe: Recipe, shell: str) -> None:
    done = subprocess.run(
        [*shell.split(), "-c", recipe.command], capture_output=True, text=True, timeout=60, check=False
    )
    found = sections(done.stdout)
    assert found.complete
    assert list(found.lines) == list(recipe.probe)
    assert done.stderr == ""


def test_a_quoted_end_of_line_or_a_foreign_line_does_not_confuse_the_sections() -> None:
    found = sections("a banner\r\n@@one\r\n1\r\n\r\n2\n@@two\n@@end\nlater\n")
    assert found.lines == {"one": ["1", "2"], "two": []}
    assert found.complete
    assert found.of("three") == []


@pytest.mark.parametrize("recipe", RECIPES, ids=IDS)
@pytest.mark.parametrize(
    "answer, status, part",
    [
        (_answer(exit_status=None, state="lost"), Status.BAD, "link to the server was lost"),
        (_answer(exit_status=None, state="timed_out"), Status.BAD, "did not answer within"),
        (_answer(stderr="'sh' is not recognized", exit_status=1), Status.WARN, "POSIX shell"),
        (
            _answer(stdout="This account is currently not available.\n", exit_status=1),
            Status.WARN,
            "POSIX shell",
        ),
    ],
)
def test_no_answer_makes_a_card_that_says_so(
    recipe: Recipe, answer: Answer, status: Status, part: str
) -> None:
    card = card_of(recipe, answer)
    assert card.status is status
    assert part in card.summary


@pytest.mark.parametrize("recipe", RECIPES, ids=IDS)
@pytest.mark.parametrize(
    "noise", ["", "?\n", "\ufffd \ufffd\n", "Error: no\n", "0\n", "-\n", "a b c d e f g\n" * 3]
)
def test_any_answer_makes_a_card(recipe: Recipe, noise: str) -> None:
    text = "".join(f"@@{name}\n{noise}" for name in recipe.probe)
    for stdout in (text, text + "@@end\n"):
        card = card_of(recipe, _answer(stdout))
        assert card.title
        assert card.summary
        recipe.further(card)


@pytest.mark.parametrize("recipe", RECIPES, ids=IDS)
def test_a_cut_answer_says_that_it_is_incomplete(recipe: Recipe) -> None:
    card = card_of(recipe, _answer(f"@@{next(iter(recipe.probe))}\n", exit_status=None, state="timed_out"))
    assert card.rows[-1].label == "Incomplete"
    assert "no more came within" in card.rows[-1].value


@pytest.mark.parametrize(
    "text, name",
    [
        ("health", "health"),
        ("How is it?", "health"),
        ("how is the server doing", "health"),
        ("check the disk", "disk"),
        ("is there any SPACE left", "disk"),
        ("df", "disk"),
        ("ram", "memory"),
        ("what's in memory", "memory"),
        ("which services failed?", "services"),
        ("anything not running?", "services"),
        ("pending upgrades", "updates"),
        ("does it need a reboot", "updates"),
        ("which containers are unhealthy", "containers"),
        ("docker", "containers"),
        ("when does the certificate expire", "certificates"),
        ("any errors in the logs?", "logs"),
        ("failed logins", "logs"),
        ("is there a backup", "backups"),
        ("What is wrong here?", "diagnose"),
        ("diagnose", "diagnose"),
        ("who is logged in", "who"),
        ("users", "who"),
        ("cpu load", "health"),
        ("bonjour", None),
        ("diskette", None),
        ("…", None),
    ],
)
def test_words_choose_a_recipe(text: str, name: str | None) -> None:
    recipe = choose(text)
    assert (recipe.name if recipe else None) == name


@pytest.mark.parametrize("recipe", RECIPES, ids=IDS)
def test_what_is_offered_is_understood(recipe: Recipe) -> None:
    assert choose(recipe.name) is recipe
    assert choose(recipe.label) is recipe
    assert all(choose(word) is not None for word in recipe.words)
    assert recipe.name not in {item.text for item in offered(recipe)}


@pytest.mark.parametrize("text, asks", [("help", True), ("Help!", True), ("?", True), ("helpless", False)])
def test_help(text: str, asks: bool) -> None:
    assert guide.asks_for_help(text) is asks


@pytest.mark.parametrize("asked", [True, False])
def test_the_help_card_names_every_recipe_and_the_prompt(asked: bool) -> None:
    labels = [row.label for row in guide.card(asked=asked).rows]
    assert labels == [*IDS, "$ …"]


@pytest.mark.parametrize(
    "what, percent, status",
    [
        ("disk", 84.9, Status.OK),
        ("disk", 85, Status.WARN),
        ("disk", 95, Status.BAD),
        ("memory", 90, Status.WARN),
        ("load", 99, Status.OK),
        ("load", 250, Status.BAD),
    ],
)
def test_levels(what: str, percent: float, status: Status) -> None:
    assert level(what, percent) is status


def test_a_warning_always_comes_before_what_is_bad() -> None:
    assert all(warn < bad for warn, bad in THRESHOLDS.values())


def test_small_words() -> None:
    assert [size(512), size(1536), size(3 * 1024**2), size(5 * 1024**3)] == [
        "512 KiB",
        "1.5 MiB",
        "3.0 GiB",
        "5.0 TiB",
    ]
    assert [count(1, "login"), count(2, "login"), count(0, "entry", "entries")] == [
        "1 login",
        "2 logins",
        "0 entries",
    ]
    assert worst((Status.OK, Status.BAD, Status.INFO)) is Status.BAD
    rows = [Row(str(number), "") for number in range(5)]
    assert some(rows, 5, "rows") == tuple(rows)
    assert some(rows, 3, "rows")[-1] == Row("…", "and 2 more rows")
    assert isinstance(guide.card(asked=True), Card)
