"""How long people say things last: `90d`, `12h`, `30m`."""

import re
from datetime import timedelta

import click

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_TEXT = re.compile(r"([0-9]{1,9})([smhdw])")
LONGEST = timedelta(days=3650)


def parse(text: str) -> timedelta:
    """Raises ValueError with a sentence."""
    match = _TEXT.fullmatch(text.strip().lower())
    if match is None:
        raise ValueError(
            f"{text!r} is no duration: write a whole number and s, m, h, d or w, such as 90d, 12h or 30m."
        )
    seconds = int(match[1]) * _SECONDS[match[2]]
    if not 1 <= seconds <= LONGEST.total_seconds():
        raise ValueError(f"{text!r} is out of range: from 1s to {LONGEST.days}d.")
    return timedelta(seconds=seconds)


def option(_ctx: click.Context, _param: click.Parameter, value: str) -> timedelta:
    """A click callback."""
    try:
        return parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
