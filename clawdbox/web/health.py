"""`/health`: whether the box answers, and its database."""

from typing import Annotated

import msgspec
from litestar import Response, get

from clawdbox import __version__, logs
from clawdbox.web.visit import Req, box_of

log = logs.get("web")


class Health(msgspec.Struct, frozen=True):
    status: Annotated[str, msgspec.Meta(examples=["ok"])]
    active_sessions: int
    db: Annotated[str, msgspec.Meta(examples=["ok"])]
    version: str


@get("/health", opt={"public": True}, summary="Health", tags=["Box"], security=[])
async def health(request: Req) -> Response[Health]:
    """200 while the database answers, else 503. Needs no login."""
    try:
        active = await box_of(request).leases.count_active()
    except Exception:  # whatever is wrong with it, that is the answer
        log.exception("web.database_unhealthy")
        return Response(Health("degraded", 0, "error", __version__), status_code=503)
    return Response(Health("ok", active, "ok", __version__))
