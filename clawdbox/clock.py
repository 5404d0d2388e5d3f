"""The only source of time. Tests turn it by hand, so nothing sleeps to wait for a deadline."""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path


class Clock:
    """Wall time and monotonic time, both moved forward by the seconds in `offset_file` while it exists.

    The file is a test setting (`CLAWDBOX_TEST_CLOCK`): writing `3600` into it makes the box an hour older.
    """

    def __init__(self, offset_file: Path | None = None) -> None:
        self._offset_file = offset_file

    @classmethod
    def from_environment(cls) -> "Clock":
        name = os.environ.get("CLAWDBOX_TEST_CLOCK")
        return cls(Path(name) if name else None)

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self._offset())

    def monotonic(self) -> float:
        return time.monotonic() + self._offset()

    def _offset(self) -> float:
        if self._offset_file is None:
            return 0.0
        try:
            return float(self._offset_file.read_text() or 0)
        except (OSError, ValueError):
            return 0.0


def iso(moment: datetime) -> str:
    """Fixed-width UTC text, so that text order is time order: `2026-11-21T03:08:00.000000Z`."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def parse(text: str) -> datetime:
    """The moment behind RFC 3339 text. A text without an offset is taken as UTC; raises ValueError."""
    moment = datetime.fromisoformat(text)
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError:  # 9999-12-31T23:59-01:00 is in no year that there is
        raise ValueError(f"{text!r} is out of range") from None
