"""What a run does with tools of its own, as the conversation shows it."""

from collections.abc import Mapping
from typing import Any

from clawdbox.agents.runtimes.port import Step, ToolCall

MOST_DETAIL = 4000
_MOST_TITLE = 200
_KINDS = {
    "exec": "execute",
    "process": "execute",
    "read": "read",
    "ls": "read",
    "write": "edit",
    "edit": "edit",
    "apply_patch": "edit",
    "grep": "search",
    "find": "search",
    "web_search": "search",
    "web_fetch": "fetch",
    "browser": "fetch",
}
_ARGUMENTS = ("command", "path", "file_path", "url", "query", "pattern")
_STEPS = {"pending", "in_progress", "completed"}


def call(data: Mapping[str, Any], titles: Mapping[str, str], before: str | None) -> ToolCall | None:
    """Of the stream `tool`: its start and its result; None for anything else.

    `titles` are those of calls that have started. `before` is what stands in front of a command for the server.
    """
    phase, call_id = data.get("phase"), data.get("toolCallId")
    if phase not in ("start", "result") or not isinstance(call_id, str) or not call_id:
        return None
    name = _word(data.get("name")) or "tool"
    kind = _KINDS.get(name, "other")
    if phase == "start":
        return ToolCall(call_id[:200], _title(name, data.get("args"), before), kind, "in_progress")
    status = "failed" if data.get("isError") else "completed"
    title = titles.get(call_id[:200], name)
    return ToolCall(call_id[:200], title, kind, status, _detail(data.get("result")))


def aside(data: Mapping[str, Any]) -> str:
    """Of the stream `item`: what the run says before it uses a tool, where that is no part of its answer."""
    if data.get("kind") != "preamble" or data.get("phase") != "end":
        return ""
    text = data.get("progressText")
    return text[:MOST_DETAIL] if isinstance(text, str) else ""


def steps(data: Mapping[str, Any]) -> list[Step]:
    """Of the stream `plan`."""
    rows = data.get("steps")
    found = []
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, str):
            found.append(Step(row))
        elif isinstance(row, dict):
            text = _word(row.get("text") or row.get("step") or row.get("title") or row.get("content"))
            status = row.get("status")
            if text:
                found.append(Step(text, status if status in _STEPS else "pending"))
    return found[:100]


def _title(name: str, arguments: Any, before: str | None) -> str:
    known = arguments if isinstance(arguments, dict) else {}
    what: str = next((known[key] for key in _ARGUMENTS if isinstance(known.get(key), str)), "")
    if before and what.startswith(f"{before} "):
        return f"on the server: {what[len(before) + 1 :]}"[:_MOST_TITLE]
    return (f"{name}: {what}" if what else name)[:_MOST_TITLE]


def _detail(result: Any) -> str:
    content = result.get("content") if isinstance(result, dict) else None
    if not isinstance(content, list):
        return ""
    texts = [part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)]
    text = "\n".join(texts)
    if len(text) <= MOST_DETAIL:
        return text
    half = MOST_DETAIL // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters are left out …\n{text[-half:]}"


def _word(value: Any) -> str:
    return value[:_MOST_TITLE] if isinstance(value, str) else ""
