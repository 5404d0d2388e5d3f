"""SECURITY.md promises nothing that no test keeps."""

import re

from tests.attack.test_cases import missing
from tests.docs import markdown
from tests.house.tree import ROOT

TEXT = (ROOT / "SECURITY.md").read_text()
PROMISES = markdown.table(TEXT, "promise", "kept by")


def test_each_promise_names_tests_that_are_there() -> None:
    assert len(PROMISES) > 15
    for promise, kept_by in PROMISES:
        names = markdown.codes(kept_by)
        assert names, promise
        assert missing(tuple(name for name in names if "::" in name)) == [], promise
        assert [name for name in names if not (ROOT / name.partition("::")[0]).is_file()] == [], promise


def test_it_says_what_is_not_promised_and_how_to_report() -> None:
    assert re.findall(r"^## (.+)$", TEXT, re.MULTILINE) == [
        "How to report",
        "What is promised",
        "What is not promised",
    ]
    assert "stolen running host" in TEXT
