"""Labels as people write them, user names as servers know them, foreign text made harmless; times and ids."""

import unicodedata
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawdbox import ids, names
from clawdbox.clock import iso, parse
from clawdbox.errors import Invalid

LABELS = {
    "Bob's NAS": "Bob's NAS",
    "  Bob's NAS ": "Bob's NAS",
    "Büro": "Büro",
    "Bu\u0308ro": "Büro",
    "日本語": "日本語",
    "🦞": "🦞",
    "a-b": "a-b",
    "<script>": "<script>",
    "x" * 64: "x" * 64,
}


@pytest.mark.parametrize("text", LABELS)
def test_a_label_is_taken(text: str) -> None:
    assert names.label(text) == LABELS[text]


@pytest.mark.parametrize(
    "text",
    ["", "   ", "-x", " -x", "x" * 65, "a\nb", "a\n", "\tb", "a\0", "a\x1b[2J", "a\x7f", "a\x85b", "a\u2028b", "a\u200bb",
     "\ufeffa", "a\u202eb", "\u3164", "\u2800", "\ud800", "\ue000", "\n", "a\r"],
)  # fmt: skip
def test_a_label_is_refused_and_its_field_named(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        names.label(text, "device_name")
    assert refused.value.field == "device_name"


@given(st.text(max_size=80))
def test_a_label_once_taken_stays_itself(text: str) -> None:
    try:
        label = names.label(text)
    except Invalid:
        return
    assert names.label(label) == label
    assert 1 <= len(label) <= 64
    assert all(unicodedata.category(char) not in {"Cc", "Cf"} for char in label)


@pytest.mark.parametrize(
    "text", ["root", "_apt", "0day", "a.b-c_d", "bob@corp.example", "CORP\\bob", "a" * 64]
)
def test_a_user_name_is_taken_as_it_stands(text: str) -> None:
    assert names.username(text) == text


@pytest.mark.parametrize(
    "text",
    ["", "-oProxyCommand=id", ".bob", "@bob", "\\bob", "a b", "a\n", "root\n", "a;b", "a'b", "bób", "a\0", "a/b", "a" * 65, "$(id)"],
)  # fmt: skip
def test_a_user_name_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        names.username(text)
    assert refused.value.field == "username"


@given(st.text(), st.integers(min_value=0, max_value=50))
def test_foreign_text_is_made_harmless(text: str, limit: int) -> None:
    shown = names.printable(text, limit)
    assert len(shown) <= limit
    assert all(unicodedata.category(char) not in {"Cc", "Cf", "Cs"} for char in shown)


# times and ids

YEAR_1000 = datetime(1000, 1, 1)  # noqa: DTZ001 - the strategy adds the zone
TIMES = st.datetimes(min_value=YEAR_1000, timezones=st.just(UTC))


@given(TIMES)
def test_a_time_comes_back_from_its_text(moment: datetime) -> None:
    assert parse(iso(moment)) == moment
    assert len(iso(moment)) == 27


@given(TIMES, TIMES)
def test_the_order_of_texts_is_the_order_of_times(a: datetime, b: datetime) -> None:
    assert (iso(a) < iso(b)) == (a < b)


def test_a_time_without_an_offset_is_utc() -> None:
    assert parse("2026-11-21T03:08:00") == datetime(2026, 11, 21, 3, 8, tzinfo=UTC)
    assert parse("2026-11-21T03:08:00+01:00") == datetime(2026, 11, 21, 2, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01", "9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00+01:00"]
)
def test_what_is_no_time_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(text)


def test_a_time_of_another_zone_is_written_in_utc() -> None:
    assert iso(datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))) == "2026-01-01T00:00:00.000000Z"


def test_ids_sort_by_their_time_and_are_all_different() -> None:
    start = datetime(2026, 11, 21, tzinfo=UTC)
    made = [ids.new_id(start + timedelta(milliseconds=n)) for n in range(1000)]
    assert made == sorted(made)
    assert len({ids.new_id(start) for _ in range(1000)}) == 1000
    assert all(ids.is_id(text) for text in made)


@pytest.mark.parametrize("text", ["", "x", "01a1fc3f-b66f-4698-9720-5afe05a9bbd0", "01A1FC3F-B66F-7698-9720-5AFE05A9BBD0",
                                  "01a1fc3f-b66f-7698-9720-5afe05a9bbd0\n"])  # fmt: skip
def test_what_is_no_id(text: str) -> None:
    assert not ids.is_id(text)


def test_a_token_is_256_bits_and_only_its_hash_tells_it() -> None:
    tokens = {ids.new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert {len(token) for token in tokens} == {43}
    assert len(ids.token_hash(next(iter(tokens)))) == 64
