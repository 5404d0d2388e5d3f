"""Where a search looks, and the piece of text that it shows."""

from typing import Any

from clawdbox.errors import Invalid

MAX_QUERY = 200
# event → the field that is searched
FIELDS = {
    "turn.started": "text",
    "text": "text",
    "command.started": "command",
    "command.refused": "command",
    "command.output": "data",
    "card": "summary",
}
_AROUND = 80


def check_query(query: str) -> str:
    """The words as they are looked for. Raises Invalid."""
    wanted = query.strip()
    if not 2 <= len(wanted) <= MAX_QUERY:
        raise Invalid("q", f"Write 2 to {MAX_QUERY} characters to look for.")
    return wanted


def pattern(wanted: str) -> str:
    r"""For LIKE … ESCAPE '\'."""
    for char in "\\%_":
        wanted = wanted.replace(char, f"\\{char}")
    return f"%{wanted}%"


def excerpt(kind: str, payload: dict[str, Any], wanted: str) -> str:
    """The place where it stands, with some text around it."""
    text = " ".join(str(payload.get(FIELDS[kind], "")).split())
    at = text.lower().find(" ".join(wanted.lower().split()))
    if at < 0:
        return text[: 2 * _AROUND]
    start, end = max(0, at - _AROUND), at + len(wanted) + _AROUND
    return f"{'…' if start else ''}{text[start:end]}{'…' if end < len(text) else ''}"
