"""Rows of `conversations`, `turns` and `conversation_events`."""

from datetime import datetime
from typing import Any

import msgspec

from clawdbox.agents.model import Conversation, ConversationEvent, Turn, TurnEnding, TurnState
from clawdbox.errors import NotFound
from clawdbox.store import Reader, Tx

CONVERSATION = ", ".join(Conversation.__struct_fields__)
TURN = ", ".join(Turn.__struct_fields__)
EVENT = ", ".join(ConversationEvent.__struct_fields__)


# conversations


def conversation(r: Reader, account_id: str, conversation_id: str) -> Conversation:
    found = r.struct(
        Conversation,
        f"SELECT {CONVERSATION} FROM conversations WHERE id = ? AND account_id = ?",
        (conversation_id, account_id),
    )
    if found is None:
        raise NotFound
    return found


def of_connection(r: Reader, account_id: str, connection_id: str) -> Conversation | None:
    return r.struct(
        Conversation,
        f"SELECT {CONVERSATION} FROM conversations WHERE connection_id = ? AND account_id = ?",
        (connection_id, account_id),
    )


def insert_conversation(tx: Tx, made: Conversation) -> None:
    tx.insert("conversations", msgspec.structs.asdict(made))


# turns


def turn(r: Reader, conversation_id: str, turn_id: str) -> Turn:
    found = r.struct(
        Turn,
        f"SELECT {TURN} FROM turns WHERE id = ? AND conversation_id = ?",
        (turn_id, conversation_id),
    )
    if found is None:
        raise NotFound
    return found


def running_turn_id(r: Reader, conversation_id: str) -> str | None:
    found: str | None = r.value(
        "SELECT id FROM turns WHERE conversation_id = ? AND state = 'running'", (conversation_id,)
    )
    return found


def running_on_lease(r: Reader, lease_id: str) -> list[Turn]:
    return r.structs(
        Turn,
        f"SELECT {TURN} FROM turns WHERE state = 'running' AND session_lease_id = ?",
        (lease_id,),
    )


def running_turns(r: Reader) -> list[tuple[str, Turn]]:
    """(account id, turn) of every turn that is running, in the whole box."""
    columns = ", ".join(f"t.{name}" for name in Turn.__struct_fields__)
    rows = r.all(
        f"SELECT c.account_id AS owner, {columns} FROM turns t"
        " JOIN conversations c ON c.id = t.conversation_id WHERE t.state = 'running' ORDER BY t.id"
    )
    return [(row.pop("owner"), msgspec.convert(row, Turn, strict=False)) for row in rows]


def insert_turn(tx: Tx, made: Turn) -> None:
    tx.insert("turns", msgspec.structs.asdict(made))


def state_of(r: Reader, turn_id: str) -> TurnState:
    return TurnState(r.value("SELECT state FROM turns WHERE id = ?", (turn_id,)))


def end_turn(tx: Tx, turn_id: str, ending: TurnEnding) -> None:
    tx.run(
        "UPDATE turns SET state = ?, error = ?, ended_at = ? WHERE id = ? AND state = 'running'",
        (ending.state, ending.error, tx.now, turn_id),
    )


# events


def append(tx: Tx, conversation_id: str, turn_id: str | None, kind: str, payload: dict[str, Any]) -> int:
    """Add an event with the next number of its conversation, which is free of holes as there is one writer."""
    seq = last_seq(tx, conversation_id) + 1
    tx.insert(
        "conversation_events",
        {
            "conversation_id": conversation_id,
            "seq": seq,
            "turn_id": turn_id,
            "type": kind,
            "payload": payload,
            "created_at": tx.now,
        },
    )
    tx.wake(f"conversation:{conversation_id}")
    return seq


def last_seq(r: Reader, conversation_id: str) -> int:
    return int(
        r.value("SELECT max(seq) FROM conversation_events WHERE conversation_id = ?", (conversation_id,)) or 0
    )


def events_after(r: Reader, conversation_id: str, after: int, limit: int) -> list[ConversationEvent]:
    return r.structs(
        ConversationEvent,
        f"SELECT {EVENT} FROM conversation_events WHERE conversation_id = ? AND seq > ? ORDER BY seq LIMIT ?",
        (conversation_id, after, limit),
    )


def open_commands(r: Reader, turn: Turn) -> list[tuple[str, datetime]]:
    """(command id, when it started) of the turn's commands without an end, oldest first."""
    events = r.structs(
        ConversationEvent,
        f"SELECT {EVENT} FROM conversation_events WHERE conversation_id = :conversation AND turn_id = :turn"
        " AND type IN ('command.started', 'command.finished')"
        " AND seq >= (SELECT max(seq) FROM conversation_events"
        "  WHERE conversation_id = :conversation AND type = 'turn.started') ORDER BY seq",
        {"conversation": turn.conversation_id, "turn": turn.id},
    )
    ended = {event.payload["command_id"] for event in events if event.type == "command.finished"}
    return [
        (event.payload["command_id"], event.created_at)
        for event in events
        if event.type == "command.started" and event.payload["command_id"] not in ended
    ]
