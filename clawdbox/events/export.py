"""The audit trail as a file for other programs: nothing in it is a formula, and nothing in it makes a line of its own."""

import csv
import io
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from clawdbox.clock import iso
from clawdbox.events.model import AuditEntry

COLUMNS = tuple(AuditEntry.__struct_fields__)
# What a spreadsheet takes for the beginning of a formula, also in the wide forms of East Asian keyboards.
_FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
# Ends of lines of every kind, and what turns or hides the text around it.
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def csv_head() -> str:
    return _csv([list(COLUMNS)])


def csv_lines(entries: Iterable[AuditEntry | Mapping[str, Any]]) -> str:
    """One line a row, every cell in quotes."""
    return _csv([[cell(_value(entry, name)) for name in COLUMNS] for entry in entries])


def json_lines(entries: Iterable[AuditEntry | Mapping[str, Any]]) -> str:
    """One object a line: JSON itself escapes what would begin another."""
    rows = ({name: _value(entry, name) for name in COLUMNS} for entry in entries)
    return "".join(msgspec.json.encode(row).decode() + "\n" for row in rows)


def cell(value: object) -> str:
    """As text that is shown as it stands: a formula gets a quote before it, and what cannot be seen its number."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    text = _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text


def _value(entry: AuditEntry | Mapping[str, Any], name: str) -> Any:
    value = entry[name] if isinstance(entry, Mapping) else getattr(entry, name)
    return iso(value) if name == "created_at" and not isinstance(value, str) else value


def _csv(rows: list[list[str]]) -> str:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows(rows)
    return out.getvalue()
