"""What a turn did before its lease or its box ended, read back from its events: nothing is done twice."""

import base64
from typing import Any

from clawdbox.agents import sql
from clawdbox.agents.model import CommandState, Turn
from clawdbox.agents.rules.limits import Spent
from clawdbox.agents.runtimes.port import Answer
from clawdbox.approvals import sql as approval_sql
from clawdbox.policy import Class
from clawdbox.store import Reader

_KINDS = ("command.started", "command.output", "command.finished", "command.refused")
LOST = (
    "Nobody knows whether this finished: the box or its link ended in the middle of it. It was not run again."
)


def answer_of(r: Reader, turn: Turn, call_id: str) -> tuple[Answer, str | None] | None:
    """What came of that call, and the id of its command if nobody has told its end yet; None if it never began."""
    events = sql.of_turn(r, turn, _KINDS)
    command_id: str | None = None
    streams = {"stdout": bytearray(), "stderr": bytearray()}
    for event in events:
        told = event.payload
        if event.type == "command.refused" and told.get("call_id") == call_id:
            return Answer(CommandState.CANCELLED, None, "", "", refused=told["why"]), None
        if event.type == "command.started" and told.get("call_id") == call_id:
            command_id = told["command_id"]
        elif command_id is None or told.get("command_id") != command_id:
            continue
        elif event.type == "command.output":
            streams[told["stream"]] += _bytes(told)
        elif event.type == "command.finished":
            return _finished(told, streams), None
    if command_id is None:
        return None
    return Answer(
        CommandState.LOST, None, _text(streams["stdout"]), _text(streams["stderr"]), True
    ), command_id


def spent(r: Reader, turn: Turn) -> Spent:
    """What it has begun so far; unasked is what does more than read and no question was put about."""
    begun = [event.payload for event in sql.of_turn(r, turn, ("command.started", "tool"))]
    commands = [told for told in begun if "command_id" in told]
    files = {told["call_id"] for told in begun if told.get("kind") == "edit"}
    changes = {told.get("call_id") for told in commands if told.get("class") not in (None, Class.READ)}
    asked = approval_sql.calls_of(r, turn.id)
    return Spent(len(commands), len((changes | files) - asked))


def _finished(told: dict[str, Any], streams: dict[str, bytearray]) -> Answer:
    return Answer(
        CommandState(told["state"]),
        told["exit_status"],
        _text(streams["stdout"]),
        _text(streams["stderr"]),
        told["truncated"],
        told["duration_ms"],
    )


def _bytes(told: dict[str, Any]) -> bytes:
    data: str = told["data"]
    return base64.b64decode(data) if told["encoding"] == "base64" else data.encode()


def _text(data: bytearray) -> str:
    return bytes(data).decode("utf-8", "replace")
