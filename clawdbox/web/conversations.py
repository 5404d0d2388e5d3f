"""`/conversations`: the chat on a connection."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from litestar import delete, get, patch, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody, QueryParameter
from litestar.response import Stream

from clawdbox.agents.model import Conversation, ConversationEvent, ConversationFacts, Turn
from clawdbox.agents.rules import export
from clawdbox.web.box import Box
from clawdbox.web.fields import After, PathId
from clawdbox.web.problems import usual
from clawdbox.web.visit import Req, at

RuntimeName = Annotated[
    str,
    msgspec.Meta(
        max_length=32,
        description="What thinks in it; `GET /connections/{id}/runtimes` says which there are.",
        examples=["runbook"],
    ),
]
Title = Annotated[str, msgspec.Meta(min_length=1, max_length=120, examples=["The full disk"])]
Options = dict[str, Any]


class UsageView(msgspec.Struct, frozen=True):
    """As far as the runtime told; null is unknown."""

    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None


class ConversationView(msgspec.Struct, frozen=True):
    """`session_id` is the active session that carries it now, if any; `waits_for` what its running turn cannot go on
    without: `approval` or `session`. `usage` is that of all its turns."""

    id: str
    connection_id: str
    title: str | None
    runtime: str
    runtime_options: dict[str, Any]
    agent_session_id: str
    session_id: str | None
    last_seq: int
    running_turn_id: str | None
    waits_for: str | None
    usage: UsageView
    created_at: datetime
    last_used_at: datetime
    archived_at: datetime | None


class OneConversation(msgspec.Struct, frozen=True):
    conversation: ConversationView


class ConversationList(msgspec.Struct, frozen=True):
    conversations: list[ConversationView]


class ChoiceView(msgspec.Struct, frozen=True):
    """`options` are the `runtime_options` of a conversation with it; `hint` says what one lacks that is not `ready`."""

    id: str
    label: str
    detail: str
    ready: bool
    hint: str
    options: dict[str, Any]


class RuntimeView(msgspec.Struct, frozen=True):
    """`available` when there is something to choose; `why_not` says what to set up first."""

    name: str
    available: bool
    why_not: str
    choices: list[ChoiceView]


class RuntimeList(msgspec.Struct, frozen=True):
    runtimes: list[RuntimeView]


class HitView(msgspec.Struct, frozen=True):
    """`seq` is the event in which the words stand."""

    conversation_id: str
    connection_id: str
    title: str | None
    seq: int
    type: str
    excerpt: str
    created_at: datetime


class HitList(msgspec.Struct, frozen=True):
    hits: list[HitView]


class NewConversation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    runtime: RuntimeName = "runbook"
    runtime_options: Options = {}
    title: Title | None = None


class ConversationPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Only what is given changes. Another runtime starts without what the one before it knew."""

    title: Title | None = None
    runtime: RuntimeName | None = None
    runtime_options: Options | None = None


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
    waits_for: str | None
    text: str
    error: str | None
    usage: UsageView
    delivered_at: datetime | None
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
    """The one used last. There is none until the first session was started."""
    box, who = at(request)
    return await _one(box, await box.conversations.of_connection(who.account_id, connection_id))


@get(
    "/connections/{connection_id:str}/conversations",
    summary="The conversations of a server",
    responses=usual(404),
)
async def list_conversations(request: Req, connection_id: PathId) -> ConversationList:
    """The one used last first."""
    box, who = at(request)
    found = await box.conversations.all_of_connection(who.account_id, connection_id)
    return ConversationList([_view(conversation, facts) for conversation, facts in found])


@get(
    "/connections/{connection_id:str}/runtimes",
    summary="What can think in a conversation",
    responses=usual(404),
)
async def list_runtimes(request: Req, connection_id: PathId) -> RuntimeList:
    """Nothing is dialled for it: code agents are those that were found last."""
    box, who = at(request)
    offers = await box.conversations.offers(who.account_id, connection_id)
    return RuntimeList(
        [
            RuntimeView(
                name,
                any(choice.ready for choice in offer.choices),
                offer.why_not,
                [ChoiceView(**msgspec.structs.asdict(choice)) for choice in offer.choices],
            )
            for name, offer in offers.items()
        ]
    )


@post(
    "/connections/{connection_id:str}/conversations",
    opt={"action": "conversation.create"},
    summary="Begin a conversation",
    responses=usual(404, 422, s409="The box has no such runtime (`runtime_unavailable`)."),
)
async def open_conversation(
    request: Req, connection_id: PathId, data: JSONBody[NewConversation]
) -> OneConversation:
    """Beside those that there are. It needs no session until something is said in it."""
    box, who = at(request)
    made = await box.conversations.open(
        who.actor, who.account_id, connection_id, data.runtime, data.runtime_options, data.title
    )
    return await _one(box, made)


@get("/conversations/search", summary="Search what was said", responses=usual(422))
async def search_conversations(
    request: Req,
    q: Annotated[str, QueryParameter(min_length=2, max_length=200, description="The words to look for.")],
    limit: Annotated[int, QueryParameter(ge=1, le=100, description="How many at most.")] = 30,
) -> HitList:
    """In messages, answers, commands and their output, of all conversations; the newest first."""
    box, who = at(request)
    hits = await box.conversations.search(who.account_id, q, limit)
    return HitList([HitView(**msgspec.structs.asdict(hit)) for hit in hits])


@get(
    "/conversations/{conversation_id:str}/export",
    opt={"unlimited": True},
    summary="Take a conversation along",
    responses=usual(404, 422)
    | {
        200: ResponseSpec(
            str, generate_examples=False, description="Markdown, or JSON.", media_type="text/markdown"
        )
    },
)
async def export_conversation(
    request: Req,
    conversation_id: PathId,
    form: Annotated[
        Literal["markdown", "json"],
        QueryParameter(name="format", description="Markdown to read, JSON with all that the log holds."),
    ] = "markdown",
) -> Stream:
    """As a file."""
    box, who = at(request)
    chosen = export.JsonForm if form == "json" else export.MarkdownForm
    pieces = await box.conversations.document(who.account_id, conversation_id, chosen)
    name = f"conversation-{conversation_id}.{chosen.ending}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"}
    return Stream(pieces, media_type=f"{chosen.kind}; charset=utf-8", headers=headers)


@patch(
    "/conversations/{conversation_id:str}",
    opt={"action": "conversation.update"},
    summary="Change a conversation",
    responses=usual(404, 422, s409="An answer is still coming (`turn_running`), or `runtime_unavailable`."),
)
async def change_conversation(
    request: Req, conversation_id: PathId, data: JSONBody[ConversationPatch]
) -> OneConversation:
    """Its name, or what thinks in it."""
    box, who = at(request)
    given = {name: value for name, value in msgspec.structs.asdict(data).items() if value is not None}
    return await _one(box, await box.conversations.change(who.actor, who.account_id, conversation_id, given))


@delete(
    "/conversations/{conversation_id:str}",
    status_code=200,
    opt={"action": "conversation.archive"},
    summary="Put a conversation away",
    responses=usual(404, s409="An answer is still coming (`turn_running`)."),
)
async def archive_conversation(request: Req, conversation_id: PathId) -> OneConversation:
    """It is listed no more, until something is said in it; what was said stays, and can be read by its id."""
    box, who = at(request)
    return await _one(box, await box.conversations.archive(who.actor, who.account_id, conversation_id))


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
    return OneConversation(_view(conversation, await box.conversations.facts(conversation)))


def _view(conversation: Conversation, facts: ConversationFacts) -> ConversationView:
    return ConversationView(
        id=conversation.id,
        connection_id=conversation.connection_id,
        title=conversation.title,
        runtime=conversation.runtime,
        runtime_options=conversation.runtime_options,
        agent_session_id=conversation.agent_session_id,
        session_id=facts.session_id,
        last_seq=facts.last_seq,
        running_turn_id=facts.running_turn_id,
        waits_for=facts.waits_for.value if facts.waits_for else None,
        usage=UsageView(facts.usage.input_tokens, facts.usage.output_tokens, facts.usage.cost_usd),
        created_at=conversation.created_at,
        last_used_at=conversation.last_used_at,
        archived_at=conversation.archived_at,
    )


def event_view(event: ConversationEvent) -> ConversationEventView:
    return ConversationEventView(event.seq, event.turn_id, event.type, event.payload, event.created_at)


def turn_view(turn: Turn) -> TurnView:
    return TurnView(
        id=turn.id,
        conversation_id=turn.conversation_id,
        state=turn.state.value,
        waits_for=turn.waits_for.value if turn.waits_for else None,
        text=turn.text,
        error=turn.error,
        usage=UsageView(turn.input_tokens, turn.output_tokens, turn.cost_usd),
        delivered_at=turn.delivered_at,
        created_at=turn.created_at,
        ended_at=turn.ended_at,
    )
