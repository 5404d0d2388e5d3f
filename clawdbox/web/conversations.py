"""`/conversations`: the chat on a connection."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import get, post
from litestar.params import JSONBody, QueryParameter

from clawdbox.agents.model import Conversation, ConversationEvent, Turn
from clawdbox.web.box import Box
from clawdbox.web.fields import After, PathId
from clawdbox.web.problems import usual
from clawdbox.web.visit import Req, at


class ConversationView(msgspec.Struct, frozen=True):
    """`session_id` is the active session that carries it now, if any."""

    id: str
    connection_id: str
    runtime: str
    agent_session_id: str
    session_id: str | None
    last_seq: int
    running_turn_id: str | None
    created_at: datetime


class OneConversation(msgspec.Struct, frozen=True):
    conversation: ConversationView


class ConversationEventView(msgspec.Struct, frozen=True):
    seq: int
    turn_id: str | None
    type: str
    payload: dict[str, Any]
    created_at: datetime


class ConversationEvents(msgspec.Struct, frozen=True):
    events: list[ConversationEventView]
    last_seq: int
    has_more: bool


class TurnView(msgspec.Struct, frozen=True):
    id: str
    conversation_id: str
    state: str
    text: str
    created_at: datetime
    ended_at: datetime | None


class OneTurn(msgspec.Struct, frozen=True):
    turn: TurnView


class NewTurn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    text: Annotated[
        str,
        msgspec.Meta(
            min_length=1,
            max_length=100_000,
            description="`health`, `disk`, `memory`, `services`, `updates`, `who`, `help`, or `$ ` and a command.",
            examples=["health", "$ uptime"],
        ),
    ]


@get("/conversations/{conversation_id:str}", summary="A conversation", responses=usual(404))
async def get_conversation(request: Req, conversation_id: PathId) -> OneConversation:
    """It belongs to the connection: a new session goes on where the old one ended."""
    box, who = at(request)
    return await _one(box, await box.conversations.get(who.account_id, conversation_id))


@get(
    "/connections/{connection_id:str}/conversation",
    summary="The conversation of a server",
    responses=usual(404),
)
async def get_conversation_of_connection(request: Req, connection_id: PathId) -> OneConversation:
    """There is none until the first session was started."""
    box, who = at(request)
    return await _one(box, await box.conversations.of_connection(who.account_id, connection_id))


@get(
    "/conversations/{conversation_id:str}/events", summary="What was said and done", responses=usual(404, 422)
)
async def list_conversation_events(
    request: Req,
    conversation_id: PathId,
    after: After = 0,
    limit: Annotated[int, QueryParameter(ge=1, le=1000, description="How many at most.")] = 500,
) -> ConversationEvents:
    """In order, without holes. Go on with the last `seq` while `has_more`; then follow the WebSocket."""
    box, who = at(request)
    found = await box.conversations.events(who.account_id, conversation_id, after, limit + 1)
    conversation = await box.conversations.get(who.account_id, conversation_id)
    facts = await box.conversations.facts(conversation)
    return ConversationEvents(
        [event_view(event) for event in found[:limit]], facts.last_seq, len(found) > limit
    )


@post(
    "/conversations/{conversation_id:str}/turns",
    opt={"action": "conversation.turn"},
    summary="Say something",
    responses=usual(404, 422, s409="`session_not_active`, or an answer is still coming (`turn_running`)."),
)
async def start_turn(request: Req, conversation_id: PathId, data: JSONBody[NewTurn]) -> OneTurn:
    """The answer comes as events."""
    box, who = at(request)
    return OneTurn(
        turn_view(await box.conversations.send(who.actor, who.account_id, conversation_id, data.text))
    )


@post(
    "/conversations/{conversation_id:str}/turns/{turn_id:str}/cancel",
    status_code=200,
    opt={"action": "conversation.cancel"},
    summary="Stop an answer",
    responses=usual(404, 409),
)
async def cancel_turn(request: Req, conversation_id: PathId, turn_id: PathId) -> OneTurn:
    """Signals the command that runs for it. A turn that has ended stays as it is."""
    box, who = at(request)
    return OneTurn(
        turn_view(await box.conversations.cancel(who.actor, who.account_id, conversation_id, turn_id))
    )


async def _one(box: Box, conversation: Conversation) -> OneConversation:
    facts = await box.conversations.facts(conversation)
    return OneConversation(
        ConversationView(
            id=conversation.id,
            connection_id=conversation.connection_id,
            runtime=conversation.runtime,
            agent_session_id=conversation.agent_session_id,
            session_id=facts.session_id,
            last_seq=facts.last_seq,
            running_turn_id=facts.running_turn_id,
            created_at=conversation.created_at,
        )
    )


def event_view(event: ConversationEvent) -> ConversationEventView:
    return ConversationEventView(event.seq, event.turn_id, event.type, event.payload, event.created_at)


def turn_view(turn: Turn) -> TurnView:
    return TurnView(
        turn.id, turn.conversation_id, turn.state.value, turn.text, turn.created_at, turn.ended_at
    )
