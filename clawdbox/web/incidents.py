"""`/incidents`: what somebody should look at."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import get, post
from litestar.params import QueryParameter

from clawdbox.events import Incident
from clawdbox.events.sql import incidents
from clawdbox.web.fields import PathId
from clawdbox.web.problems import usual
from clawdbox.web.visit import Req, at

_MOST = 100


class IncidentView(msgspec.Struct, frozen=True):
    """`subject` is an address (`failed_logins`) or the id of a connection (`host_key_changed`)."""

    id: str
    kind: str
    subject: str
    detail: dict[str, Any]
    times: int
    first_at: datetime
    last_at: datetime
    seen_at: datetime | None


class IncidentList(msgspec.Struct, frozen=True):
    incidents: list[IncidentView]


class OneIncident(msgspec.Struct, frozen=True):
    incident: IncidentView


@get("/incidents", summary="What somebody should look at", responses=usual(422))
async def list_incidents(
    request: Req,
    only_open: Annotated[bool, QueryParameter(description="Only what nobody has seen yet.")] = False,
) -> IncidentList:
    """The newest first, 100 at most."""
    box, who = at(request)
    found = await box.store.read(lambda r: incidents(r, who.account_id, _MOST, only_open=only_open))
    return IncidentList([_view(one) for one in found])


@post(
    "/incidents/{incident_id:str}/seen",
    status_code=200,
    opt={"action": "incident.seen"},
    summary="Put an incident away",
    responses=usual(404),
)
async def see_incident(request: Req, incident_id: PathId) -> OneIncident:
    """Somebody has looked at it. Repeatable."""
    box, who = at(request)
    seen = await box.store.write(
        lambda tx: box.ledger.see_incident(tx, who.actor, who.account_id, incident_id)
    )
    return OneIncident(_view(seen))


def _view(incident: Incident) -> IncidentView:
    return IncidentView(
        id=incident.id,
        kind=incident.kind,
        subject=incident.subject,
        detail=incident.detail,
        times=incident.times,
        first_at=incident.first_at,
        last_at=incident.last_at,
        seen_at=incident.seen_at,
    )
