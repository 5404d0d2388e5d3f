"""What can be asked here."""

from clawdbox.agents.runtimes.port import Card, Row, Status
from clawdbox.agents.runtimes.runbook.registry import RECIPES

_WORDS = {"help", "?", "/help", "commands", "man"}
_LINE = Row("$ …", "A command of your own, run exactly as you write it, such as `$ uptime`")


def asks_for_help(text: str) -> bool:
    return text.strip().lower().rstrip("!. ") in _WORDS


def card(*, asked: bool) -> Card:
    """`asked` is False when this is the answer to what was not understood."""
    rows = (*(Row(recipe.name, recipe.title) for recipe in RECIPES), _LINE)
    summary = (
        "Ask for one of these; each only reads."
        if asked
        else "This was not understood. The runbook knows a few questions, and lines that begin with `$ `."
    )
    return Card("Help", Status.INFO, summary, rows)
