"""`/approvals` and `/approval-grants`: what an agent asks, and what it may do without asking again."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from litestar import delete, get, post
from litestar.params import JSONBody, QueryParameter

from clawdbox.agents.reverts.guard import GUARDED
from clawdbox.approvals import rules
from clawdbox.approvals.model import Approval, Grant, Kind
from clawdbox.policy.revert import revert_plan
from clawdbox.ssh.model import Connection
from clawdbox.web.box import Box
from clawdbox.web.fields import PathId
from clawdbox.web.problems import usual
from clawdbox.web.visit import Req, at


class OptionView(msgspec.Struct, frozen=True):
    id: str
    label: str
    kind: str


class UndoView(msgspec.Struct, frozen=True):
    """What the server puts back by itself after the command, unless a person confirms that they are still in."""

    what: str


class ApprovalView(msgspec.Struct, frozen=True, rename={"klass": "class"}):
    """`reason` and `detail` are the agent's own words. `answered_by` is the name of the device that answered first."""

    id: str
    kind: str
    state: str
    title: str
    command: str | None
    directory: str
    username: str
    connection_id: str
    connection_label: str
    conversation_id: str
    turn_id: str
    session_id: str
    runtime: str
    klass: str
    why: list[str]
    cannot_be_undone: str | None
    reason: str
    detail: str
    options: list[OptionView]
    option_id: str | None
    may_grant: bool
    revert: UndoView | None
    created_at: datetime
    expires_at: datetime
    answered_at: datetime | None
    answered_by: str | None
    used_at: datetime | None
    void_reason: str | None


class ApprovalList(msgspec.Struct, frozen=True):
    """`pending` counts all that wait, whatever is listed."""

    approvals: list[ApprovalView]
    pending: int


class OneApproval(msgspec.Struct, frozen=True):
    approval: ApprovalView


class AnswerBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`option_id` is one of the agent's own choices; `grant` lets this exact command pass until the session ends."""

    decision: Literal["allow", "deny"]
    option_id: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    grant: bool = False


class GrantView(msgspec.Struct, frozen=True, rename={"klass": "class"}):
    id: str
    connection_id: str
    connection_label: str
    session_id: str
    approval_id: str
    command: str
    klass: str
    used_count: int
    created_at: datetime
    ended_at: datetime | None


class OneGrant(msgspec.Struct, frozen=True):
    grant: GrantView


class GrantList(msgspec.Struct, frozen=True):
    grants: list[GrantView]


@get("/approvals", summary="What agents ask", responses=usual(422))
async def list_approvals(
    request: Req,
    shown: Annotated[
        Literal["pending", "answered", "all"],
        QueryParameter(name="state", description="Those that wait, those that have an answer, or all."),
    ] = "pending",
    limit: Annotated[int, QueryParameter(ge=1, le=200, description="How many at most.")] = 50,
    offset: Annotated[int, QueryParameter(ge=0, le=1_000_000, description="How many to leave out.")] = 0,
) -> ApprovalList:
    """Newest first, of all sessions. New ones come as `approval.requested` over the WebSocket of events."""
    box, who = at(request)
    found, pending = await box.approvals.page(who.account_id, shown, limit, offset)
    return ApprovalList(await _views(box, who.account_id, found), pending)


@get("/approvals/{approval_id:str}", summary="One question", responses=usual(404))
async def get_approval(request: Req, approval_id: PathId) -> OneApproval:
    """With its answer, once there is one."""
    box, who = at(request)
    found = await box.approvals.get(who.account_id, approval_id)
    return OneApproval((await _views(box, who.account_id, [found]))[0])


@post(
    "/approvals/{approval_id:str}/answer",
    status_code=200,
    opt={"action": "approval.answer"},
    summary="Allow or deny",
    responses=usual(
        404,
        422,
        s409="Another answer was first (`approval_answered`, with `state`), it came too late (`approval_expired`), or"
        " nothing waits for it any more (`approval_void`).",
    ),
)
async def answer_approval(request: Req, approval_id: PathId, data: JSONBody[AnswerBody]) -> OneApproval:
    """The first answer counts, and is good for one use of exactly this."""
    box, who = at(request)
    after = await box.approvals.answer(
        who.actor,
        who.account_id,
        approval_id,
        allow=data.decision == "allow",
        option_id=data.option_id,
        grant=data.grant,
    )
    return OneApproval((await _views(box, who.account_id, [after]))[0])


@get("/approval-grants", summary="What may run without asking", responses=usual())
async def list_approval_grants(request: Req) -> GrantList:
    """Each is one exact command on one session, and ends with it."""
    box, who = at(request)
    labels = await _labels(box, who.account_id)
    grants = await box.approvals.grants(who.account_id)
    return GrantList([_grant_view(grant, labels) for grant in grants])


@delete(
    "/approval-grants/{grant_id:str}",
    status_code=200,
    opt={"action": "approval_grant.withdraw"},
    summary="Ask again from now on",
    responses=usual(404, 409),
)
async def withdraw_approval_grant(request: Req, grant_id: PathId) -> OneGrant:
    """What runs already goes on. Repeatable."""
    box, who = at(request)
    withdrawn = await box.approvals.withdraw(who.actor, who.account_id, grant_id)
    return OneGrant(_grant_view(withdrawn, await _labels(box, who.account_id)))


async def _views(box: Box, account_id: str, found: list[Approval]) -> list[ApprovalView]:
    labels = await _labels(box, account_id)
    devices = {login.id: login.device_name or "" for login in await box.accounts.logins(account_id)}
    runtimes = await box.conversations.runtime_names(
        account_id, {approval.conversation_id for approval in found}
    )
    return [_view(approval, labels, devices, runtimes) for approval in found]


async def _labels(box: Box, account_id: str) -> dict[str, Connection]:
    return {connection.id: connection for connection in await box.connections.list(account_id)}


def _view(
    approval: Approval, labels: dict[str, Connection], devices: dict[str, str], runtimes: dict[str, str]
) -> ApprovalView:
    connection = labels.get(approval.connection_id)
    by = approval.answered_by
    return ApprovalView(
        id=approval.id,
        kind=approval.kind.value,
        state=approval.state.value,
        title=approval.title,
        command=approval.command,
        directory=approval.directory,
        username=approval.username,
        connection_id=approval.connection_id,
        connection_label=connection.label if connection else "",
        conversation_id=approval.conversation_id,
        turn_id=approval.turn_id,
        session_id=approval.session_lease_id,
        runtime=runtimes.get(approval.conversation_id, ""),
        klass=approval.klass,
        why=list(approval.why),
        cannot_be_undone=approval.cannot_be_undone,
        reason=approval.reason,
        detail=approval.detail,
        options=[OptionView(option.id, option.label, option.kind) for option in approval.options],
        option_id=approval.option_id,
        may_grant=rules.may_grant(approval),
        revert=_undo(approval),
        created_at=approval.created_at,
        expires_at=approval.expires_at,
        answered_at=approval.answered_at,
        answered_by=None if by is None else devices.get(by, "a login that has ended"),
        used_at=approval.used_at,
        void_reason=approval.void_reason,
    )


def _undo(approval: Approval) -> UndoView | None:
    plan = (
        revert_plan(approval.command)
        if approval.command and approval.kind is not Kind.FILE and approval.klass in GUARDED
        else None
    )
    return UndoView(plan.what) if plan else None


def _grant_view(grant: Grant, labels: dict[str, Connection]) -> GrantView:
    connection = labels.get(grant.connection_id)
    return GrantView(
        id=grant.id,
        connection_id=grant.connection_id,
        connection_label=connection.label if connection else "",
        session_id=grant.session_lease_id,
        approval_id=grant.approval_id,
        command=grant.command,
        klass=grant.klass,
        used_count=grant.used_count,
        created_at=grant.created_at,
        ended_at=grant.ended_at,
    )
