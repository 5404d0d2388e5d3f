"""Tool calls of an agent: what is shown of them, and what a person, or the policy, is asked. Pure."""

import shlex
from typing import Any

from clawdbox.agents.runtimes.acp.memory import Asking, Call, Choice
from clawdbox.agents.runtimes.acp.messages import at, dicts, text_of
from clawdbox.agents.runtimes.port import Option, Question, ToolCall

_KINDS = frozenset({"read", "edit", "delete", "move", "search", "execute", "think", "fetch", "other"})
_STATUSES = frozenset({"pending", "in_progress", "completed", "failed"})
_PATHS = ("file_path", "path", "filePath", "notebook_path", "abs_path", "absolute_path")
_DIRECTORIES = ("cwd", "workdir", "working_directory", "directory")
_FILES = {"read": "read", "edit": "write", "delete": "write"}
_SHELLS = frozenset({"sh", "bash", "zsh", "dash"})
_MOST_DETAIL = 8 * 1024
_MOST_COMMAND = 64 * 1024


def merged(before: Call | None, told: dict[str, Any]) -> Call:
    """The call with what an update says of it."""
    call = before or Call()
    raw = at(told, "rawInput")
    kind, status = text_of(told, "kind"), text_of(told, "status")
    return Call(
        title=text_of(told, "title")[:500] or call.title,
        kind=kind if kind in _KINDS else call.kind,
        status=status if status in _STATUSES else call.status,
        detail=_detail(told) or call.detail,
        command=_command(raw) or call.command,
        directory=_first(raw, _DIRECTORIES) or call.directory,
        path=_path(raw, told) or call.path,
        reason=text_of(raw, "description")[:1000] or call.reason,
    )


def shown(call_id: str, call: Call) -> ToolCall:
    return ToolCall(call_id, call.title or call.command or "A tool", call.kind, call.status, call.detail)


def asking(to: Any, call: Call, options: Any) -> Asking:
    choices = [
        Choice(text_of(one, "optionId"), text_of(one, "name")[:200], text_of(one, "kind"))
        for one in dicts(options)
        if text_of(one, "optionId")
    ]
    return Asking(to, call, choices[:20])


def question(asked: Asking, call_id: str, cwd: str) -> Question:
    """What the inbox shows. A command is judged as it stands, a file by its name; anything else is always asked."""
    call = asked.call
    file = _FILES.get(call.kind) if call.path else None
    # A choice for ever would take the next question away from the box, so it is not there.
    options = tuple(
        Option(one.id, one.label, one.kind) for one in asked.choices if one.kind != "allow_always"
    )
    return Question(
        call_id=call_id,
        title=call.title or "Use a tool",
        options=options,
        command=None if file else call.command,
        directory=call.directory or cwd,
        reason=call.reason,
        detail=call.detail,
        path=call.path if file else None,
        file="read" if file == "read" else "write" if file else "",
    )


def answer(asked: Asking, allowed: bool, option: str | None) -> str | None:
    """The agent's own choice that says so; None where it offered none."""
    fitting = [
        one.id
        for one in asked.choices
        if one.kind.startswith("allow") == allowed and one.kind != "allow_always"
    ]
    return option if option in fitting else next(iter(fitting), None)


def _command(raw: Any) -> str | None:
    found = at(raw, "command") or at(raw, "cmd")
    if isinstance(found, str):
        return found[:_MOST_COMMAND] if found.strip() else None
    if not isinstance(found, list) or not found or not all(isinstance(word, str) for word in found):
        return None
    if len(found) == 3 and found[0].rpartition("/")[2] in _SHELLS and found[1] in ("-c", "-lc"):
        return str(found[2])[:_MOST_COMMAND]
    return shlex.join(found)[:_MOST_COMMAND]


def _path(raw: Any, told: dict[str, Any]) -> str | None:
    """Only where it is one file: of several, none would stand for the others."""
    if named := _first(raw, _PATHS):
        return named
    places = {text_of(one, "path") for one in dicts(at(told, "locations"))} - {""}
    return places.pop() if len(places) == 1 else None


def _first(raw: Any, names: tuple[str, ...]) -> str | None:
    return next((found for name in names if (found := text_of(raw, name))), None)


def _detail(told: dict[str, Any]) -> str:
    parts = [_part(one) for one in dicts(at(told, "content"))]
    text = "\n".join(part for part in parts if part) or text_of(told, "rawOutput")
    return text if len(text) <= _MOST_DETAIL else f"{text[:_MOST_DETAIL]}\n…"


def _part(one: dict[str, Any]) -> str:
    if one.get("type") == "diff":
        return f"{text_of(one, 'path')}\n" + "\n".join(
            [f"- {line}" for line in text_of(one, "oldText").splitlines()]
            + [f"+ {line}" for line in text_of(one, "newText").splitlines()]
        )
    return text_of(one, "content", "text")
