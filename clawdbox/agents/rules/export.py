"""A conversation as a document: Markdown for people, JSON for programs."""

import base64
import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from clawdbox.agents.model import Conversation, ConversationEvent
from clawdbox.clock import iso

Payload = dict[str, Any]
_LINES = re.compile(r"\r\n|\r|\n")
_MARKS = re.compile(r"[\\*<`\[]")
_TAGS = re.compile(r"<(?=[/!?]?(?:blockquote|details|summary|[!?-]))", re.IGNORECASE)


class JsonForm:
    """All that the log holds, as it stands there. In pieces, so that a long conversation needs no more memory than a short one."""

    kind, ending = "application/json", "json"

    def __init__(self, label: str, conversation: Conversation) -> None:
        self._conversation = conversation
        self._more = False

    def head(self) -> str:
        one = self._conversation
        told = {
            "id": one.id,
            "connection_id": one.connection_id,
            "title": one.title,
            "runtime": one.runtime,
            "created_at": iso(one.created_at),
        }
        return f'{{"conversation":{_json(told)},"events":['

    def add(self, event: ConversationEvent) -> str:
        comma, self._more = "," if self._more else "", True
        told = {
            "seq": event.seq,
            "turn_id": event.turn_id,
            "type": event.type,
            "payload": event.payload,
            "created_at": iso(event.created_at),
        }
        return comma + _json(told)

    def end(self) -> str:
        return "]}\n"


class MarkdownForm:
    """What a person would want to read again: what was said, what ran, what was asked and answered."""

    kind, ending = "text/markdown", "md"

    def __init__(self, label: str, conversation: Conversation) -> None:
        self._label = label
        self._conversation = conversation
        self._open: ConversationEvent | None = None

    def head(self) -> str:
        one, label = self._conversation, _line(self._label)
        title = _line(one.title or f"Conversation with {self._label}")
        return f"# {title}\n\n{label} · {one.runtime} · begun {iso(one.created_at)}\n"

    def add(self, event: ConversationEvent) -> str:
        """What is whole now: pieces of one text or one output that follow each other are one."""
        last = self._open
        if last is not None and last.type == event.type and _continues(last, event):
            last.payload[_GATHERED[event.type]] += event.payload[_GATHERED[event.type]]
            return ""
        written = self.end()
        self._open = _copy(event)
        return written

    def end(self) -> str:
        last, self._open = self._open, None
        write = _WRITERS.get(last.type) if last else None
        part = write(last.payload, iso(last.created_at)) if last and write else ""
        return f"\n{part}" if part else ""


Form = JsonForm | MarkdownForm


def written(form: Form, events: Iterable[ConversationEvent]) -> str:
    """The whole document of what has all its events at hand."""
    return form.head() + "".join(map(form.add, events)) + form.end()


def _json(told: Payload) -> str:
    return msgspec.json.encode(told).decode()


_GATHERED = {"text": "text", "thought": "text", "command.output": "data"}


def _continues(last: ConversationEvent, event: ConversationEvent) -> bool:
    if event.type not in _GATHERED or last.turn_id != event.turn_id:
        return False
    keys = ("command_id", "stream", "encoding")
    return event.payload.get("encoding") != "base64" and all(
        last.payload.get(key) == event.payload.get(key) for key in keys
    )


def _copy(event: ConversationEvent) -> ConversationEvent:
    return ConversationEvent(
        event.conversation_id,
        event.seq,
        event.turn_id,
        event.type,
        dict(event.payload),
        event.created_at,
    )


def _said(told: Payload, at: str) -> str:
    return f"\n## {_line(_first_line(told['text']))}\n\n*{at}*\n\n{_quote(told['text'])}\n"


def _text(told: Payload, _at: str) -> str:
    return f"*The agent:*\n\n{_quote(told['text'].rstrip())}\n"


def _thought(told: Payload, _at: str) -> str:
    return f"<details><summary>Thought</summary>\n\n{_quote(told['text'])}\n\n</details>\n"


def _command(told: Payload, _at: str) -> str:
    why = f"\n*The agent's reason: {_line(told['reason'])}*\n" if told.get("reason") else ""
    return f"{why}\n{_fence('$ ' + told['command'], 'sh')}\n"


def _output(told: Payload, _at: str) -> str:
    if told["encoding"] == "base64":
        return f"*{len(base64.b64decode(told['data']))} bytes that are no text*\n"
    return f"{_fence(told['data'].rstrip())}\n"


def _finished(told: Payload, _at: str) -> str:
    if told["state"] == "done":
        cut = ", cut" if told["truncated"] else ""
        return f"*exit status {told['exit_status']}{cut}*\n"
    return f"*{told['state'].replace('_', ' ')}*\n"


def _refused(told: Payload, _at: str) -> str:
    return f"\n{_fence('$ ' + str(told['command']), 'sh')}\n*Not run. {_line(told['why'])}*\n"


def _asked(told: Payload, _at: str) -> str:
    return f"*Asked: {_line(told['title'])} ({told['class']})*\n"


def _answered(told: Payload, at: str) -> str:
    return f"*{told['state'].capitalize()} by {told['by']}, {at}*\n"


def _card(told: Payload, _at: str) -> str:
    rows = "".join(f"- {_line(row['label'])}: {_line(row['value'])}\n" for row in told["rows"])
    return f"**{_line(told['title'])}**: {_line(told['summary'])}\n\n{rows}"


def _plan(told: Payload, _at: str) -> str:
    return "".join(
        f"- [{'x' if step['status'] == 'completed' else ' '}] {_line(step['text'])}\n"
        for step in told["steps"]
    )


def _tool(told: Payload, _at: str) -> str:
    return f"*Tool “{_line(told['title'])}”: {told['status'].replace('_', ' ')}*\n"


def _ended(told: Payload, _at: str) -> str:
    if told["state"] == "done":
        return ""
    return f"*{told['state'].capitalize()}. {_line(told['error'] or '')}*\n"


_WRITERS: dict[str, Callable[[Payload, str], str]] = {
    "turn.started": _said,
    "text": _text,
    "thought": _thought,
    "command.started": _command,
    "command.output": _output,
    "command.finished": _finished,
    "command.refused": _refused,
    "approval.requested": _asked,
    "approval.answered": _answered,
    "card": _card,
    "plan": _plan,
    "tool": _tool,
    "turn.finished": _ended,
}


def _line(text: str) -> str:
    """In one line, with nothing in it that Markdown would read as the end of what stands around it."""
    return _MARKS.sub(r"\\\g<0>", " ".join(str(text).split()))


def _first_line(text: str) -> str:
    line = text.strip().split("\n", 1)[0]
    return line if len(line) <= 80 else f"{line[:79]}…"


def _quote(text: str) -> str:
    """Somebody's words, which cannot pass for a line of the box: no line, and no tag, ends the quote."""
    plain = _TAGS.sub("&lt;", text)
    return "\n".join(f"> {line}".rstrip() for line in _LINES.split(plain))


def _fence(text: str, kind: str = "") -> str:
    """A block that nothing inside it can close."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{kind}\n{text}\n{fence}"
