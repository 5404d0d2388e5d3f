"""Lines of an asciicast, version 2 (docs.asciinema.org/manual/asciicast/v2). What was typed is in none of them."""

from datetime import datetime
from typing import Any

import msgspec

MEDIA_TYPE = "application/x-asciicast"


def header(cols: int, rows: int, started_at: datetime) -> bytes:
    return _line(
        {
            "version": 2,
            "width": cols,
            "height": rows,
            "timestamp": int(started_at.timestamp()),
            "env": {"TERM": "xterm-256color"},
        }
    )


def titled(line: bytes, title: str) -> bytes:
    """The header with the title it has today: a file is not written anew to rename a recording."""
    values: dict[str, Any] = msgspec.json.decode(line)
    return _line({**values, "title": title})


def output(seconds: float, text: str) -> bytes:
    return _event(seconds, "o", text)


def resize(seconds: float, cols: int, rows: int) -> bytes:
    return _event(seconds, "r", f"{cols}x{rows}")


def marker(seconds: float, words: str) -> bytes:
    return _event(seconds, "m", words)


def seconds_of(line: bytes) -> float | None:
    """The time of an event; None for the header and for half a line."""
    try:
        event = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return None
    return float(event[0]) if isinstance(event, list) and event else None


def _event(seconds: float, code: str, data: str) -> bytes:
    return _line([round(seconds, 6), code, data])


def _line(value: object) -> bytes:
    return msgspec.json.encode(value) + b"\n"
