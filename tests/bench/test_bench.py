"""The bench runs: each section as a smoke run, in a process of its own as `make bench` starts it."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench.figures import Figures, faster_row, verdict
from bench.sections import SECTIONS

ROOT = Path(__file__).parents[2]
_SHORT = {"http", "agents"}  # a sample for each run; `make test-long` runs them all


def bench(*args: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "bench", *args],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
    )


@pytest.mark.sshd
@pytest.mark.xdist_group("bench")  # one after the other: each starts several servers
@pytest.mark.parametrize(
    "section",
    [pytest.param(name, marks=[pytest.mark.long] * (name not in _SHORT)) for name in SECTIONS],
)
def test_each_section_prints_its_table_and_ends_well(section: str) -> None:
    done = bench(section, "--quick")
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert f"## {section}" in done.stdout
    assert len(rows) > 2


def test_an_unknown_section_is_refused_with_the_ones_there_are() -> None:
    done = bench("nonsense")
    assert done.returncode == 2
    assert all(name in done.stderr for name in SECTIONS)


def test_a_row_says_by_how_much_a_target_is_missed() -> None:
    assert verdict(2.0, 2.0) == "met"
    assert verdict(1.5, 2.0) == "missed by 25 %"
    row = faster_row("a", Figures(3, 2.0, 4.0), "b", Figures(3, 3.0, 9.0), 2.0)
    assert row.endswith("| 1.50 | 2 | missed by 25 % |")
