"""`/metrics`: for Prometheus."""

from litestar import Response, get

from clawdbox import net
from clawdbox.metrics import CONTENT_TYPE
from clawdbox.web.gate import authenticate
from clawdbox.web.peer import is_forwarded
from clawdbox.web.problems import answers
from clawdbox.web.visit import Req, box_of, visit_of


@get(
    "/metrics",
    opt={"public": True},
    summary="Metrics",
    tags=["Box"],
    media_type="text/plain",
    responses=answers(401, 429),
)
async def metrics(request: Req) -> Response[bytes]:
    """The Prometheus text format. From this machine itself, or with a token (scope `metrics` is enough)."""
    box, visit = box_of(request), visit_of(request.scope)
    forwarded = is_forwarded(request.scope["headers"])
    if forwarded or not net.is_loopback(visit.peer or ""):
        visit.principal = await authenticate(box, request.app.state["limits"], visit, request.scope)
    body = box.metrics.render(await box.leases.count_active())
    return Response(body, headers={"content-type": CONTENT_TYPE})
