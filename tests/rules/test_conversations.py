"""What a conversation may be called and given, and how much one message in it may use."""

from datetime import UTC, datetime

import pytest

from clawdbox.agents.model import TurnUsage
from clawdbox.agents.rules import conversations, limits, search
from clawdbox.errors import Conflict, Invalid

NOW = datetime(2026, 11, 28, tzinfo=UTC)


def test_a_new_one_has_the_id_of_its_runtime() -> None:
    made = conversations.made("c", "a", "s", "model", {"provider_id": "p"}, "The full disk", NOW)
    assert (made.agent_session_id, made.created_at, made.last_used_at, made.archived_at) == (
        "model:c",
        NOW,
        NOW,
        None,
    )


@pytest.mark.parametrize("title", [None, "a", "x" * 120, "Die volle Platte", "ディスク", "🐘 on nas"])
def test_a_title_that_can_be_taken(title: str | None) -> None:
    conversations.check_title(title)


@pytest.mark.parametrize(
    "title",
    ["", "   ", "x" * 121, "a\nb", "a\x1b[31mb", "a\u202eb", "a\u200bb", "\ud800"],
    ids=["empty", "spaces", "long", "line", "escape", "turned", "invisible", "half a character"],
)
def test_a_title_that_cannot_be_taken(title: str) -> None:
    with pytest.raises(Invalid) as refused:
        conversations.check_title(title)
    assert refused.value.field == "title"


def test_options_have_an_end() -> None:
    conversations.check_options({"model": "m" * 8000})
    with pytest.raises(Invalid):
        conversations.check_options({"model": "m" * 8193})


# limits

LIMITS = limits.TurnLimits(commands=2, tokens=1000, cost_usd=0.5, seconds=60)


@pytest.mark.parametrize("ran, may", [(0, True), (1, True), (2, False), (3, False)])
def test_how_many_commands_a_turn_may_run(ran: int, may: bool) -> None:
    if may:
        limits.check_commands(LIMITS, ran)
        return
    with pytest.raises(Conflict, match="2 commands") as refused:
        limits.check_commands(LIMITS, ran)
    assert refused.value.code == "turn_limit"


@pytest.mark.parametrize(
    "usage, said",
    [
        (TurnUsage(None, None, None), None),
        (TurnUsage(1000, None, None), None),
        (TurnUsage(600, 400, 0.5), None),
        (TurnUsage(600, 401, None), "1,000 tokens"),
        (TurnUsage(None, 1001, 0.0), "1,000 tokens"),
        (TurnUsage(None, None, 0.51), r"\$0\.50"),
        (TurnUsage(1, 1, 0.51), r"\$0\.50"),
    ],
)
def test_what_a_turn_may_use(usage: TurnUsage, said: str | None) -> None:
    if said is None:
        limits.check_usage(LIMITS, usage)
        return
    with pytest.raises(Conflict, match=said) as refused:
        limits.check_usage(LIMITS, usage)
    assert refused.value.code == "turn_limit"


# search


@pytest.mark.parametrize("query, wanted", [(" nginx ", "nginx"), ("ab", "ab"), ("x" * 200, "x" * 200)])
def test_words_that_are_looked_for(query: str, wanted: str) -> None:
    assert search.check_query(query) == wanted


@pytest.mark.parametrize("query", ["", " ", "a", " a ", "x" * 201])
def test_words_that_are_not(query: str) -> None:
    with pytest.raises(Invalid) as refused:
        search.check_query(query)
    assert refused.value.field == "q"


@pytest.mark.parametrize(
    "wanted, pattern", [("100%", r"%100\%%"), ("a_b", r"%a\_b%"), ("C:\\x", r"%C:\\x%"), ("*?", "%*?%")]
)
def test_words_are_looked_for_as_they_stand(wanted: str, pattern: str) -> None:
    assert search.pattern(wanted) == pattern


@pytest.mark.parametrize(
    "text, wanted, shown",
    [
        ("the disk is full", "DISK", "the disk is full"),
        ("a\n  b", "a b", "a b"),
        ("x" * 100 + "here" + "y" * 100, "here", "…" + "x" * 80 + "here" + "y" * 80 + "…"),
        ("nothing of it", "else", "nothing of it"),
    ],
)
def test_the_place_is_shown_with_what_is_around_it(text: str, wanted: str, shown: str) -> None:
    assert search.excerpt("text", {"text": text}, wanted) == shown
