"""Tool calls of an agent: what is shown of them, and what a person, or the policy, is asked. Pure."""

import posixpath
import shlex
from typing import Any, Literal

import msgspec

from clawdbox.agents.runtimes.acp.memory import Asking, Call, Choice
from clawdbox.agents.runtimes.acp.messages import at, dicts, text_of
from clawdbox.agents.runtimes.port import Option, Question, ToolCall

_KINDS = frozenset({"read", "edit", "delete", "move", "search", "execute", "think", "fetch", "other"})
_STATUSES = frozenset({"pending", "in_progress", "completed", "failed"})
_PATHS = ("file_path", "path", "filePath", "notebook_path", "abs_path", "absolute_path")
_DIRECTORIES = ("cwd", "workdir", "working_directory", "directory")
_COMMANDS = ("command", "cmd")
_BESIDE = ("args", "arguments", "env")  # what else a command may get, which is not read here
_FILES: dict[str, Literal["read", "write", "delete"]] = {"read": "read", "edit": "write", "delete": "delete"}
# Anything else that is called `bash` is some program, and is judged as one.
_SHELLS = frozenset(
    f"{place}{name}" for place in ("", "/bin/", "/usr/bin/") for name in ("sh", "bash", "zsh", "dash")
)
_ANSWERS = frozenset({"allow_once", "reject_once", "reject_always"})
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
        unclear=_unclear(raw) or call.unclear,
    )


def shown(call_id: str, call: Call) -> ToolCall:
    return ToolCall(call_id, call.title or call.command or "A tool", call.kind, call.status, call.detail)


def asking(to: Any, call: Call, options: Any) -> Asking:
    choices = [
        Choice(text_of(one, "optionId"), text_of(one, "name")[:200], text_of(one, "kind"))
        for one in dicts(options)
        if text_of(one, "optionId")
    ]
    return Asking(to, call, list({one.id: one for one in reversed(choices[:20])}.values())[::-1])


def question(asked: Asking, call_id: str, cwd: str) -> Question:
    """What the inbox shows. A command is judged as it stands, a file by its name; anything else is always asked.

    So is what names two things at once: nobody can tell which of them the agent would use.
    """
    call = asked.call
    directory = posixpath.join(cwd, call.directory or "")
    file = _FILES.get(call.kind) if call.path else None
    told = call.unclear or (f"command: {call.command}\npath: {call.path}" if file and call.command else "")
    if told:
        return Question(
            call_id=call_id,
            title=call.title or "Use a tool",
            options=_options(asked),
            directory=directory,
            reason=call.reason,
            detail=_cut("\n".join(filter(None, (told, call.detail)))),
        )
    return Question(
        call_id=call_id,
        title=call.title or "Use a tool",
        options=_options(asked),
        command=None if file else call.command,
        directory=directory,
        reason=call.reason,
        detail=call.detail,
        path=_placed(call.path, directory) if file and call.path else None,
        file=file or "",
    )


def _options(asked: Asking) -> tuple[Option, ...]:
    """A choice for ever would take the next question away from the box, so it is not there; nor is an unknown kind."""
    return tuple(Option(one.id, one.label, one.kind) for one in asked.choices if one.kind in _ANSWERS)


def _placed(path: str, directory: str) -> str:
    return path if path.startswith("~") else posixpath.join(directory, path)


def answer(asked: Asking, allowed: bool, option: str | None) -> str | None:
    """The agent's own choice that says so; None where it offered none."""
    fitting = [
        one.id for one in asked.choices if one.kind in _ANSWERS and one.kind.startswith("allow") == allowed
    ]
    return option if option in fitting else next(iter(fitting), None)


def _command(raw: Any) -> str | None:
    found = next((given for name in _COMMANDS if (given := at(raw, name))), None)
    if isinstance(found, str):
        return found[:_MOST_COMMAND] if found.strip() else None
    if not isinstance(found, list) or not found or not all(isinstance(word, str) for word in found):
        return None
    if len(found) == 3 and found[0] in _SHELLS and found[1] in ("-c", "-lc"):
        return str(found[2])[:_MOST_COMMAND]
    return shlex.join(found)[:_MOST_COMMAND]


def _unclear(raw: Any) -> str:
    """What is told of a call that names more than one thing it could be about; "" where it is clear."""
    given = {name: at(raw, name) for name in (*_COMMANDS, *_BESIDE, *_PATHS, *_DIRECTORIES) if at(raw, name)}
    commands, paths, places = (
        [given[name] for name in names if name in given] for names in (_COMMANDS, _PATHS, _DIRECTORIES)
    )
    differ = any(one != many[0] for many in (commands, paths, places) for one in many)
    beside = commands and (paths or any(name in given for name in _BESIDE))
    return "\n".join(f"{name}: {_plain(one)}" for name, one in given.items()) if differ or beside else ""


def _plain(given: Any) -> str:
    return _cut(given if isinstance(given, str) else msgspec.json.encode(given).decode())


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
    return _cut(text)


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_DETAIL else f"{text[:_MOST_DETAIL]}\n…"


def _part(one: dict[str, Any]) -> str:
    if one.get("type") == "diff":
        return f"{text_of(one, 'path')}\n" + "\n".join(
            [f"- {line}" for line in text_of(one, "oldText").splitlines()]
            + [f"+ {line}" for line in text_of(one, "newText").splitlines()]
        )
    return text_of(one, "content", "text")
