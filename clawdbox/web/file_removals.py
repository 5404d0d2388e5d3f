"""`/sessions/{id}/files/removals`: what would go is counted first, and goes when a person says so."""

from typing import Annotated

import msgspec
from litestar import delete, get, post
from litestar.params import JSONBody

from clawdbox.ssh.model.files import RemovalView
from clawdbox.ssh.rules import file_names as names
from clawdbox.web.fields import PathId
from clawdbox.web.file_views import FileName, FilePath, Kind
from clawdbox.web.files import DENIED, GONE, LEASE, SERVER, SLOW
from clawdbox.web.problems import usual
from clawdbox.web.visit import Req, at


class Left(msgspec.Struct, frozen=True):
    """What could not be removed, and why."""

    path: FilePath
    name: FileName
    why: Annotated[str, msgspec.Meta(examples=["The server does not let this user do that."])]


class Removal(msgspec.Struct, frozen=True):
    """`state`: counting, counted (waits for `confirm`), removing, done, failed or cancelled.

    `left` are the first 20 of `left_count` things that could not be removed.
    """

    id: str
    path: Annotated[FilePath, msgspec.Meta(examples=["/srv/bob/old"])]
    name: Annotated[FileName, msgspec.Meta(examples=["old"])]
    kind: Annotated[Kind, msgspec.Meta(examples=["folder"])]
    state: Annotated[str, msgspec.Meta(examples=["counted"])]
    folders: int
    files: int
    size: int
    removed: int
    left: list[Left]
    left_count: int
    problem: str | None


class OneRemoval(msgspec.Struct, frozen=True):
    removal: Removal


class NewRemoval(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: FilePath


@post(
    "/sessions/{session_id:str}/files/removals",
    opt={"action": "file.count_removal"},
    summary="Count what a removal would take",
    responses=usual(
        422, s403=DENIED, s404=GONE, s409=f"{LEASE}, `removal_limit_reached`.", s502=SERVER, s504=SLOW
    ),
)
async def begin_removal(request: Req, session_id: PathId, data: JSONBody[NewRemoval]) -> OneRemoval:
    """Removes nothing yet. A link counts as itself: what it leads to is never touched."""
    box, who = at(request)
    path = names.decode_path(data.path)
    return OneRemoval(removal_view(await box.removals.begin(who.account_id, session_id, path)))


@get(
    "/sessions/{session_id:str}/files/removals/{removal_id:str}",
    summary="How a removal goes",
    responses=usual(404),
)
async def get_removal(request: Req, session_id: PathId, removal_id: PathId) -> OneRemoval:
    """Ask again until `state` is one that stays."""
    box, who = at(request)
    return OneRemoval(removal_view(await box.removals.get(who.account_id, session_id, removal_id)))


@post(
    "/sessions/{session_id:str}/files/removals/{removal_id:str}/confirm",
    status_code=200,
    opt={"action": "file.remove"},
    summary="Remove what was counted",
    responses=usual(404, s409="It is not counted yet, or no longer waits (`removal_not_counted`)."),
)
async def confirm_removal(request: Req, session_id: PathId, removal_id: PathId) -> OneRemoval:
    """Goes on by itself when the page is closed. What is removed cannot be brought back."""
    box, who = at(request)
    confirmed = await box.removals.confirm(who.actor, who.account_id, session_id, removal_id)
    return OneRemoval(removal_view(confirmed))


@delete(
    "/sessions/{session_id:str}/files/removals/{removal_id:str}",
    status_code=200,
    opt={"action": "file.cancel_removal"},
    summary="Stop a removal",
    responses=usual(404),
)
async def cancel_removal(request: Req, session_id: PathId, removal_id: PathId) -> OneRemoval:
    """What is gone stays gone. Repeating it changes nothing."""
    box, who = at(request)
    return OneRemoval(removal_view(await box.removals.cancel(who.account_id, session_id, removal_id)))


def removal_view(removal: RemovalView) -> Removal:
    return Removal(
        id=removal.id,
        path=names.encode_path(removal.path),
        name=names.shown(names.base(removal.path)),
        kind=removal.kind.value,
        state=removal.state.value,
        folders=removal.folders,
        files=removal.files,
        size=removal.size,
        removed=removal.removed,
        left=[Left(names.encode_path(path), names.shown(path), why) for path, why in removal.left],
        left_count=removal.left_count,
        problem=removal.problem,
    )
