"""`/events`: what happened to the account's things, in order."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import get
from litestar.params import QueryParameter

from clawdbox.events import Event
from clawdbox.events.sql import events_after, last_event
from clawdbox.web.fields import After
from clawdbox.web.problems import usual
from clawdbox.web.visit import Req, at


class EventView(msgspec.Struct, frozen=True):
    seq: int
    id: str
    type: str
    subject_type: str
    subject_id: str | None
    payload: dict[str, Any]
    created_at: datetime


class EventList(msgspec.Struct, frozen=True):
    events: list[EventView]
    last_seq: int
    has_more: bool


@get("/events", summary="Events", responses=usual(422))
async def list_events(
    request: Req,
    after: After = 0,
    limit: Annotated[int, QueryParameter(ge=1, le=1000, description="How many at most.")] = 200,
) -> EventList:
    """In order; numbers may be missing between them. The WebSocket `/api/v1/events/live` goes on with the same ones."""
    box, who = at(request)
    found, last = await box.store.read(
        lambda r: (events_after(r, who.account_id, after, limit + 1), last_event(r, who.account_id))
    )
    return EventList([view(event) for event in found[:limit]], last, len(found) > limit)


def view(event: Event) -> EventView:
    return EventView(
        event.seq, event.id, event.type, event.subject_type, event.subject_id, event.payload, event.created_at
    )
