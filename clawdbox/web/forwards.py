"""`/sessions/{id}/forwards`: ports of a server, on the box's loopback or in a browser."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from litestar import delete, get, post
from litestar.params import JSONBody

from clawdbox.errors import NotFound
from clawdbox.ssh.model.forwards import Forward, ForwardKind, ForwardWish
from clawdbox.web.apps.grants import TICKET_S
from clawdbox.web.box import Box
from clawdbox.web.fields import PathId
from clawdbox.web.problems import usual
from clawdbox.web.visit import Req, at, visit_of

if TYPE_CHECKING:
    from clawdbox.web.apps.face import Face

Number = Annotated[int, msgspec.Meta(ge=1, le=65535, examples=[3000])]


class ForwardView(msgspec.Struct, frozen=True):
    """`bytes_in` came from the server. `open_connections`, `last_refusal` and `entries` (browsers let in) are of now."""

    id: str
    session_id: str
    connection_id: str
    kind: str
    target_host: str
    target_port: int
    scheme: str | None
    host_header: str | None
    any_certificate: bool
    bound_host: str | None
    bound_port: int | None
    state: str
    end_reason: str | None
    connections: int
    open_connections: int
    bytes_in: int
    bytes_out: int
    entries: int
    last_refusal: str | None
    created_at: datetime
    ended_at: datetime | None


class ForwardList(msgspec.Struct, frozen=True):
    forwards: list[ForwardView]


class OneForward(msgspec.Struct, frozen=True):
    forward: ForwardView


class NewForward(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`local`: connections to the box's `127.0.0.1:bound_port` go on to the target. `web`: the target is a web app."""

    kind: Literal["local", "web"]
    target_port: Number
    target_host: Annotated[
        str, msgspec.Meta(max_length=1024, description="As the server itself would call it.")
    ] = "localhost"
    bound_port: (
        Annotated[int, msgspec.Meta(ge=1, le=65535, description="Only `local`; any free one by default.")]
        | None
    ) = None
    scheme: Annotated[
        Literal["http", "https"], msgspec.Meta(description="Only `web`: what the app speaks.")
    ] = "http"
    host_header: (
        Annotated[
            str, msgspec.Meta(max_length=300, description="Only `web`: the name the app wants to be called.")
        ]
        | None
    ) = None
    any_certificate: bool = False


class Opening(msgspec.Struct, frozen=True):
    """POST `ticket` as a form to `url`, in a tab of its own: it is good once, for `expires_in_s` seconds."""

    url: str
    ticket: str
    expires_in_s: int


class ListeningView(msgspec.Struct, frozen=True):
    """`host` is the name by which the server reaches it; `public`: others in its network reach it, too."""

    port: int
    host: str
    process: str | None
    public: bool


class ListeningList(msgspec.Struct, frozen=True):
    listening: list[ListeningView]


@post(
    "/sessions/{session_id:str}/forwards",
    opt={"action": "forward.open"},
    summary="Forward a port",
    responses=usual(
        404,
        422,
        s409="`session_not_active`, `session_reconnecting`, `forward_limit_reached`, `port_in_use`, "
        "`forward_forbidden`, `web_ports_in_use`.",
        s503="The box is stopping (`stopping`).",
    ),
)
async def open_forward(request: Req, session_id: PathId, data: JSONBody[NewForward]) -> OneForward:
    """It lives as long as the session does. A target that nobody listens on yet is no error: it may come up."""
    box, who = at(request)
    wish = ForwardWish(
        ForwardKind(data.kind),
        data.target_port,
        data.target_host,
        data.bound_port,
        data.scheme,
        data.host_header,
        data.any_certificate,
    )
    return OneForward(view(box, await box.forwards.open(who.actor, who.account_id, session_id, wish)))


@get("/sessions/{session_id:str}/forwards", summary="Forwards of a session", responses=usual(404))
async def list_forwards(request: Req, session_id: PathId) -> ForwardList:
    """Open and ended ones."""
    box, who = at(request)
    return ForwardList([view(box, one) for one in await box.forwards.list(who.account_id, session_id)])


@delete(
    "/sessions/{session_id:str}/forwards/{forward_id:str}",
    status_code=200,
    opt={"action": "forward.close"},
    summary="End a forward",
    responses=usual(404),
)
async def close_forward(request: Req, session_id: PathId, forward_id: PathId) -> OneForward:
    """Its connections end at once. Repeating it changes nothing."""
    box, who = at(request)
    return OneForward(view(box, await box.forwards.close(who.actor, who.account_id, session_id, forward_id)))


@post(
    "/sessions/{session_id:str}/forwards/{forward_id:str}/open",
    opt={"action": "forward.ticket", "once": False},
    summary="Open a web app in the browser",
    responses=usual(404, s409="No browser could get there from this address (`forward_unreachable`)."),
)
async def open_in_browser(request: Req, session_id: PathId, forward_id: PathId) -> Opening:
    """A ticket for the origin on which the app is shown. It lets one browser in, for as long as this login lives."""
    box, who = at(request)
    row = await box.forwards.get(who.account_id, session_id, forward_id)
    face: Face | None = box.forwards.face  # type: ignore[assignment]
    if not row.is_open or row.kind is not ForwardKind.WEB or face is None:
        raise NotFound
    url, ticket = face.ticket(forward_id, who, visit_of(request.scope))
    return Opening(url, ticket, TICKET_S)


@post(
    "/sessions/{session_id:str}/listening",
    opt={"action": "session.listening"},
    summary="Find listening ports",
    responses=usual(404, s409="`session_not_active`, `session_reconnecting`, `command_refused`."),
)
async def find_listening(request: Req, session_id: PathId) -> ListeningList:
    """Asks the server, by a command on the session, which TCP ports something listens on."""
    box, who = at(request)
    found = await box.forwards.find_listening(who.actor, who.account_id, session_id)
    return ListeningList([ListeningView(one.port, one.host, one.process, one.public) for one in found])


def view(box: Box, row: Forward) -> ForwardView:
    live = box.forwards.live(row.id)
    return ForwardView(
        id=row.id,
        session_id=row.session_lease_id,
        connection_id=row.connection_id,
        kind=row.kind,
        target_host=row.target_host,
        target_port=row.target_port,
        scheme=row.scheme,
        host_header=row.host_header,
        any_certificate=row.any_certificate,
        bound_host="127.0.0.1" if row.kind is ForwardKind.LOCAL else None,
        bound_port=row.bound_port,
        state=row.state,
        end_reason=row.end_reason,
        connections=row.connections,
        open_connections=len(live.channels) if live else 0,
        bytes_in=row.bytes_in,
        bytes_out=row.bytes_out,
        entries=live.entered if live else 0,
        last_refusal=live.last_refusal if live else None,
        created_at=row.created_at,
        ended_at=row.ended_at,
    )
