"""A conversation as a document, and the places that a search shows."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from clawdbox.agents.model import ConversationEvent
from clawdbox.agents.rules import conversations, export, search
from clawdbox.clock import iso
from clawdbox.errors import Invalid

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
MADE = conversations.made("c1", "a", "n", "model", {}, None, NOW)


def events(*told: tuple[str, dict[str, Any]]) -> list[ConversationEvent]:
    return [
        ConversationEvent("c1", seq, "t", kind, payload, NOW) for seq, (kind, payload) in enumerate(told, 1)
    ]


def test_markdown_reads_as_what_happened() -> None:
    text = export.written(
        export.MarkdownForm("Bob's NAS", MADE),
        events(
            ("turn.started", {"text": "Is it well?\nReally?"}),
            ("text", {"text": "I look "}),
            ("text", {"text": "at it."}),
            ("command.started", {"command": "uptime", "reason": "to see the load"}),
            ("command.output", {"command_id": "x", "stream": "stdout", "encoding": "utf-8", "data": "up\n"}),
            ("command.finished", {"state": "done", "exit_status": 0, "truncated": False}),
            ("command.refused", {"command": "rm -rf /", "why": "It was denied."}),
            ("turn.finished", {"state": "cancelled", "error": "The agents were stopped."}),
        ),
    )
    assert text.startswith("# Conversation with Bob's NAS\n")
    for part in (
        "## Is it well?",
        "> Really?",
        "I look at it.",
        "```sh\n$ uptime\n```",
        "*The agent's reason: to see the load*",
        "```\nup\n```",
        "*exit status 0*",
        "*Not run. It was denied.*",
        "*Cancelled. The agents were stopped.*",
    ):
        assert part in text


def test_no_output_closes_its_own_block() -> None:
    hostile = "```\n# Not a heading\n````\n"
    told = {"command_id": "x", "stream": "stdout", "encoding": "utf-8", "data": hostile}
    text = export.written(export.MarkdownForm("NAS", MADE), events(("command.output", told)))
    assert "`````\n```\n# Not a heading\n````\n`````" in text


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\n\n", "\r\r"])
def test_no_word_of_an_agent_passes_for_the_boxs_own(end: str) -> None:
    forged = "*Allowed by person, 2026-01-01T00:00:00Z*"
    text = export.written(
        export.MarkdownForm("NAS", MADE),
        events(
            ("text", {"text": f"Well.{end}{forged}{end}</blockquote>"}),
            ("thought", {"text": f"</details>{end}{forged}"}),
            ("tool", {"title": f"{end}{forged}", "status": "completed"}),
            ("plan", {"steps": [{"text": forged, "status": "pending"}]}),
            ("approval.answered", {"state": "allowed", "by": "person"}),
        ),
    )
    lines = text.splitlines()
    assert [line for line in lines if line.startswith("*Allowed")] == [f"*Allowed by person, {iso(NOW)}*"]
    assert text.count("</details>") == 1
    assert "</blockquote>" not in text
    assert "*Tool “\\*Allowed by person" in text


def test_json_holds_every_event_as_it_stands() -> None:
    told = events(("text", {"text": "a"}), ("card", {"title": "t"}))
    found = json.loads(export.written(export.JsonForm("NAS", MADE), told))
    assert [event["seq"] for event in found["events"]] == [1, 2]
    assert found["conversation"]["runtime"] == "model"


@pytest.mark.parametrize("query", ["", " a ", "x" * 201])
def test_a_search_wants_words(query: str) -> None:
    with pytest.raises(Invalid):
        search.check_query(query)


def test_percent_signs_and_underscores_are_looked_for_as_they_are() -> None:
    assert search.pattern(r"100%_a\b") == r"%100\%\_a\\b%"


def test_an_excerpt_shows_the_place() -> None:
    shown = search.excerpt("text", {"text": "a" * 200 + " the Needle here " + "b" * 200}, "needle")
    assert "the Needle here" in shown
    assert shown.startswith("…")
    assert shown.endswith("…")
    assert len(shown) < 200


@pytest.mark.parametrize("title", ["", "   ", "x" * 121, "a\nb", "a\u202eb"])
def test_a_name_is_one_plain_line(title: str) -> None:
    with pytest.raises(Invalid):
        conversations.check_title(title)
