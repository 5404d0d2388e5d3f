"""Each case of the list has its tests, and they are there: a test that is renamed or removed is missed here."""

import ast
from functools import cache

import pytest

from tests.attack.cases import CASES, Case
from tests.house.tree import ROOT


@cache
def named_in(file: str) -> frozenset[str]:
    path = ROOT / file
    if not path.is_file():
        return frozenset()
    nodes = ast.walk(ast.parse(path.read_text()))
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return frozenset(node.name for node in nodes if isinstance(node, kinds) and node.name.startswith("test_"))


def missing(names: tuple[str, ...]) -> list[str]:
    return [name for name in names if name.partition("::")[2] not in named_in(name.partition("::")[0])]


@pytest.mark.parametrize("case", CASES.values(), ids=[f"case_{number:02}" for number in CASES])
def test_each_case_is_tried(case: Case) -> None:
    assert case.tests
    assert missing(case.tests) == []


def test_no_case_is_left_out_and_a_test_that_is_not_there_is_missed() -> None:
    assert list(CASES) == list(range(1, 25))
    here = "tests/attack/test_cases.py"
    assert missing((f"{here}::test_each_case_is_tried", f"{here}::test_gone", "tests/gone.py::test_x")) == [
        f"{here}::test_gone",
        "tests/gone.py::test_x",
    ]
