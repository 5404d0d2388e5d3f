"""Case 24: what is exported is shown by a spreadsheet as it stands, and no text makes a line of its own."""

import csv
import io
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawdbox.events import AuditEntry
from clawdbox.events.export import COLUMNS, cell, csv_head, csv_lines, json_lines

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def entry(text: str, number: int = 1) -> AuditEntry:
    return AuditEntry(number, "a", text, "do", text, text, text, "ok", {text: text}, NOW, "00")


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", " =1", "=cmd|' /C calc'!A0", "\uff1d1+1", "\u200b=1"],
)  # fmt: skip
def test_case_24_no_cell_begins_a_formula(text: str) -> None:
    shown = cell(text)
    assert shown.lstrip()[0] in "'\\", shown
    assert not shown.lstrip().startswith(("=", "+", "-", "@"))


@given(st.text())
def test_case_24_whatever_stands_in_a_row_it_is_one_line_of_all_columns(text: str) -> None:
    written = csv_head() + csv_lines([entry(text), entry("plain", 2)])
    assert len(written.splitlines()) == 3
    rows = list(csv.reader(io.StringIO(written, newline="")))
    assert [len(row) for row in rows] == [len(COLUMNS)] * 3
    assert rows[2][2] == "plain"
    lines = json_lines([entry(text), entry("plain", 2)])
    assert lines.count("\n") == 2
    assert msgspec.json.decode(lines.splitlines()[0])["actor"] == text if text.isprintable() else True


def test_a_row_that_somebody_wrote_by_hand_is_exported_too() -> None:
    row = dict.fromkeys(COLUMNS) | {"id": 1, "detail": "no JSON", "created_at": "no time"}
    assert '"no time"' in csv_lines([row])
