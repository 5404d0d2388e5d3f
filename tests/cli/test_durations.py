"""`90d` and its kin."""

from datetime import timedelta

import pytest

from clawdbox.cli.durations import parse


@pytest.mark.parametrize(
    "text, expected",
    [
        ("30m", timedelta(minutes=30)),
        ("12h", timedelta(hours=12)),
        ("90d", timedelta(days=90)),
        ("52w", timedelta(weeks=52)),
        ("1s", timedelta(seconds=1)),
        (" 7D ", timedelta(days=7)),
        ("3650d", timedelta(days=3650)),
    ],
)
def test_a_number_and_a_unit(text: str, expected: timedelta) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    "text", ["", "90", "d", "-1d", "1.5h", "90 d", "1y", "٣d", "1d2h", "99999999999999d"]
)
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="such as 90d, 12h or 30m"):
        parse(text)


@pytest.mark.parametrize("text", ["0d", "3651d", "999999999w"])
def test_what_is_out_of_range_is_refused_with_the_range(text: str) -> None:
    with pytest.raises(ValueError, match="from 1s to 3650d"):
        parse(text)
