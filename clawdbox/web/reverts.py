"""Changes that the server undoes by itself, unless the person says that they are still in."""

from datetime import datetime

import msgspec
from litestar import get, post

from clawdbox.agents.reverts.rules import Revert
from clawdbox.web.fields import PathId
from clawdbox.web.problems import usual
from clawdbox.web.visit import Req, at


class RevertView(msgspec.Struct, frozen=True):
    """`what` is put back at `due_at` while the state is `armed`; `unguarded` means that nothing undoes the change."""

    id: str
    connection_id: str
    turn_id: str
    command: str
    what: str
    state: str
    due_at: datetime | None
    created_at: datetime
    ended_at: datetime | None


class RevertList(msgspec.Struct, frozen=True):
    reverts: list[RevertView]


class OneRevert(msgspec.Struct, frozen=True):
    revert: RevertView


@get("/reverts", summary="What is about to be undone", responses=usual())
async def list_open_reverts(request: Req) -> RevertList:
    """On all servers: changes that wait for somebody to confirm them."""
    box, who = at(request)
    return RevertList([_view(found) for found in await box.conversations.guard.open(who.account_id)])


@get(
    "/connections/{connection_id:str}/reverts",
    summary="Changes that are or were undone",
    responses=usual(404),
)
async def list_reverts(request: Req, connection_id: PathId) -> RevertList:
    """The newest first."""
    box, who = at(request)
    found = await box.conversations.guard.of_connection(who.account_id, connection_id)
    return RevertList([_view(one) for one in found])


@post(
    "/reverts/{revert_id:str}/confirm",
    status_code=200,
    opt={"action": "revert.confirm", "unlimited": True},
    summary="Keep the change",
    responses=usual(
        404,
        s409="It is undone already (`revert_done`), nothing undoes it (`revert_unguarded`), there is no session to prove"
        " it with (`session_not_active`), or the server could not tell (`revert_unknown`).",
    ),
)
async def confirm_revert(request: Req, revert_id: PathId) -> OneRevert:
    """Stops the server's timer, over a session that works. Repeatable."""
    box, who = at(request)
    return OneRevert(_view(await box.conversations.guard.confirm(who.actor, who.account_id, revert_id)))


def _view(revert: Revert) -> RevertView:
    return RevertView(
        id=revert.id,
        connection_id=revert.connection_id,
        turn_id=revert.turn_id,
        command=revert.command,
        what=revert.what,
        state=revert.state.value,
        due_at=revert.due_at,
        created_at=revert.created_at,
        ended_at=revert.ended_at,
    )
