"""Rows of `conversations`, `turns`, `conversation_events` and `runtime_states`."""

from datetime import datetime
from typing import Any

import msgspec

from clawdbox.agents.model import (
    Conversation,
    ConversationEvent,
    Turn,
    TurnEnding,
    TurnState,
    TurnUsage,
    WaitsFor,
)
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
        f"SELECT {CONVERSATION} FROM conversations WHERE connection_id = ? AND account_id = ?"
        " AND archived_at IS NULL ORDER BY last_used_at DESC, id DESC LIMIT 1",
        (connection_id, account_id),
    )


def all_of_connection(r: Reader, account_id: str, connection_id: str) -> list[Conversation]:
    """The one used last first."""
    return r.structs(
        Conversation,
        f"SELECT {CONVERSATION} FROM conversations WHERE connection_id = ? AND account_id = ?"
        " AND archived_at IS NULL ORDER BY last_used_at DESC, id DESC",
        (connection_id, account_id),
    )


def insert_conversation(tx: Tx, made: Conversation) -> None:
    tx.insert("conversations", msgspec.structs.asdict(made))


def save_conversation(tx: Tx, after: Conversation) -> None:
    tx.run(
        "UPDATE conversations SET title = ?, runtime = ?, runtime_options = ?, agent_session_id = ?,"
        " archived_at = ? WHERE id = ?",
        (
            after.title,
            after.runtime,
            after.runtime_options,
            after.agent_session_id,
            after.archived_at,
            after.id,
        ),
    )


def use_conversation(tx: Tx, conversation_id: str) -> None:
    """One that was put away is back: nothing runs in what nobody sees."""
    tx.run(
        "UPDATE conversations SET last_used_at = ?, archived_at = NULL WHERE id = ?",
        (tx.now, conversation_id),
    )


def state(r: Reader, conversation_id: str) -> dict[str, Any]:
    """What the runtime remembered; {} when nothing yet."""
    found = r.value("SELECT state FROM runtime_states WHERE conversation_id = ?", (conversation_id,))
    return {} if found is None else dict(msgspec.json.decode(found))


def save_state(tx: Tx, conversation_id: str, state: str) -> None:
    tx.run(
        "INSERT INTO runtime_states VALUES (?, ?, ?) ON CONFLICT (conversation_id)"
        " DO UPDATE SET state = excluded.state, updated_at = excluded.updated_at",
        (conversation_id, state, tx.now),
    )


def forget_state(tx: Tx, conversation_id: str) -> None:
    tx.run("DELETE FROM runtime_states WHERE conversation_id = ?", (conversation_id,))


def states_of_runtime(
    r: Reader, account_id: str, connection_id: str, runtime: str
) -> list[tuple[str, bool, dict[str, Any], str | None]]:
    """(conversation, whether it is put away, what its runtime remembers, its running turn) on a connection."""
    rows = r.all(
        "SELECT c.id, c.archived_at IS NOT NULL AS archived, s.state,"
        " (SELECT t.id FROM turns t WHERE t.conversation_id = c.id AND t.state = 'running') AS turn_id"
        " FROM conversations c JOIN runtime_states s ON s.conversation_id = c.id"
        " WHERE c.account_id = ? AND c.connection_id = ? AND c.runtime = ?",
        (account_id, connection_id, runtime),
    )
    return [
        (row["id"], bool(row["archived"]), dict(msgspec.json.decode(row["state"])), row["turn_id"])
        for row in rows
    ]


def leases_with_runtime(
    r: Reader, account_id: str, lease_id: str | None, runtime: str
) -> dict[str, list[str]]:
    """lease → the conversations of that runtime on its connection, of one lease or of all that are active."""
    rows = r.all(
        "SELECT max(l.id) AS lease_id, c.id FROM session_leases l"
        " JOIN conversations c ON c.connection_id = l.connection_id AND c.account_id = l.account_id"
        " JOIN runtime_states s ON s.conversation_id = c.id"
        " WHERE l.account_id = :account AND l.status = 'active' AND c.runtime = :runtime"
        " AND (:lease IS NULL OR l.id = :lease) GROUP BY c.id ORDER BY c.id",
        {"account": account_id, "lease": lease_id, "runtime": runtime},
    )
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["lease_id"], []).append(row["id"])
    return found


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


def running(r: Reader, conversation_id: str) -> Turn | None:
    return r.struct(
        Turn,
        f"SELECT {TURN} FROM turns WHERE conversation_id = ? AND state = 'running'",
        (conversation_id,),
    )


def usage(r: Reader, conversation_id: str) -> TurnUsage:
    """Of all its turns together."""
    found = r.struct(
        TurnUsage,
        "SELECT sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens, sum(cost_usd) AS cost_usd"
        " FROM turns WHERE conversation_id = ?",
        (conversation_id,),
    )
    assert found
    return found


def running_on_lease(r: Reader, lease_id: str) -> list[Turn]:
    return r.structs(
        Turn,
        f"SELECT {TURN} FROM turns WHERE state = 'running' AND session_lease_id = ?",
        (lease_id,),
    )


def running_of(r: Reader, account_id: str, lease_id: str | None) -> list[Turn]:
    """What runs, or waits to go on, on a lease's connection, or anywhere in the account."""
    columns = ", ".join(f"t.{name}" for name in Turn.__struct_fields__)
    return r.structs(
        Turn,
        f"SELECT {columns} FROM turns t JOIN conversations c ON c.id = t.conversation_id"
        " WHERE t.state = 'running' AND c.account_id = :account AND (:lease IS NULL OR t.session_lease_id = :lease)"
        " ORDER BY t.id",
        {"account": account_id, "lease": lease_id},
    )


def runtime_of(r: Reader, conversation_id: str) -> str:
    return str(r.value("SELECT runtime FROM conversations WHERE id = ?", (conversation_id,)))


def runtimes_of(r: Reader, account_id: str, conversation_ids: list[str]) -> dict[str, str]:
    rows = r.all(
        "SELECT id, runtime FROM conversations WHERE account_id = ? AND id IN (SELECT value FROM json_each(?))",
        (account_id, conversation_ids),
    )
    return {row["id"]: row["runtime"] for row in rows}


def waits_for(r: Reader, turn_id: str) -> WaitsFor | None:
    found = r.value("SELECT waits_for FROM turns WHERE id = ?", (turn_id,))
    return None if found is None else WaitsFor(found)


def running_turns(r: Reader) -> list[tuple[str, Turn]]:
    """(account id, turn) of every turn that is running, in the whole box."""
    columns = ", ".join(f"t.{name}" for name in Turn.__struct_fields__)
    rows = r.all(
        f"SELECT c.account_id AS owner, {columns} FROM turns t"
        " JOIN conversations c ON c.id = t.conversation_id WHERE t.state = 'running' ORDER BY t.id"
    )
    return [(row.pop("owner"), msgspec.convert(row, Turn, strict=False)) for row in rows]


def waiting_on(r: Reader, account_id: str, connection_id: str) -> list[Turn]:
    """The turns on a connection that wait for its next session."""
    columns = ", ".join(f"t.{name}" for name in Turn.__struct_fields__)
    return r.structs(
        Turn,
        f"SELECT {columns} FROM turns t JOIN conversations c ON c.id = t.conversation_id"
        " WHERE t.state = 'running' AND t.waits_for = 'session' AND c.account_id = ? AND c.connection_id = ?"
        " ORDER BY t.id",
        (account_id, connection_id),
    )


def insert_turn(tx: Tx, made: Turn) -> None:
    tx.insert("turns", msgspec.structs.asdict(made))


def state_of(r: Reader, turn_id: str) -> TurnState:
    return TurnState(r.value("SELECT state FROM turns WHERE id = ?", (turn_id,)))


def in_flight(r: Reader, turn: Turn) -> bool:
    """Whether the turn still runs on the lease that it has in `turn`."""
    found = r.value(
        "SELECT 1 FROM turns WHERE id = ? AND state = 'running' AND session_lease_id = ?"
        " AND waits_for IS NOT 'session'",
        (turn.id, turn.session_lease_id),
    )
    return found is not None


def set_waiting(tx: Tx, turn_id: str, waits_for: WaitsFor | None) -> bool:
    """Whether that changed anything; a turn that has ended waits for nothing."""
    return (
        tx.run(
            "UPDATE turns SET waits_for = ? WHERE id = ? AND state = 'running' AND waits_for IS NOT ?",
            (waits_for, turn_id, waits_for),
        )
        == 1
    )


def move_turn(tx: Tx, turn_id: str, lease_id: str) -> None:
    """It goes on with another lease."""
    tx.run("UPDATE turns SET session_lease_id = ?, waits_for = NULL WHERE id = ?", (lease_id, turn_id))


def deliver(tx: Tx, turn_id: str) -> bool:
    """Whether this call was the first to say so."""
    return (
        tx.run("UPDATE turns SET delivered_at = ? WHERE id = ? AND delivered_at IS NULL", (tx.now, turn_id))
        == 1
    )


def save_usage(tx: Tx, turn_id: str, usage: TurnUsage) -> None:
    tx.run(
        "UPDATE turns SET input_tokens = ?, output_tokens = ?, cost_usd = ? WHERE id = ?",
        (usage.input_tokens, usage.output_tokens, usage.cost_usd, turn_id),
    )


def end_turn(tx: Tx, turn_id: str, ending: TurnEnding) -> None:
    tx.run(
        "UPDATE turns SET state = ?, error = ?, ended_at = ?, waits_for = NULL WHERE id = ? AND state = 'running'",
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


def of_turn(r: Reader, turn: Turn, kinds: tuple[str, ...]) -> list[ConversationEvent]:
    """The turn's events of these kinds, in order."""
    return r.structs(
        ConversationEvent,
        f"SELECT {EVENT} FROM conversation_events WHERE conversation_id = :conversation AND turn_id = :turn"
        " AND type IN (SELECT value FROM json_each(:kinds)) ORDER BY seq",
        {"conversation": turn.conversation_id, "turn": turn.id, "kinds": list(kinds)},
    )


def found(
    r: Reader, account_id: str, pattern: str, fields: dict[str, str], limit: int
) -> list[dict[str, Any]]:
    """The newest events of the account's conversations whose field holds the words; `fields` is event → field."""
    return r.all(
        "SELECT e.conversation_id, c.connection_id, c.title, e.seq, e.type, e.payload, e.created_at"
        " FROM conversations c JOIN conversation_events e ON e.conversation_id = c.id"
        " JOIN json_each(:fields) f ON f.key = e.type"
        " WHERE c.account_id = :account"
        " AND json_extract(e.payload, '$.' || f.value) LIKE :pattern ESCAPE '\\'"
        " ORDER BY e.created_at DESC, e.seq DESC LIMIT :limit",
        {"account": account_id, "pattern": pattern, "fields": fields, "limit": limit},
    )


def has_output(r: Reader, conversation_id: str) -> bool:
    """Whether anything that a server wrote stands in it: from then on its agent may follow somebody else's words."""
    found = r.value(
        "SELECT 1 FROM conversation_events WHERE conversation_id = ? AND type IN ('command.output', 'tool') LIMIT 1",
        (conversation_id,),
    )
    return found is not None


def conversation_of_turn(r: Reader, turn_id: str) -> str:
    return str(r.value("SELECT conversation_id FROM turns WHERE id = ?", (turn_id,)))
