"""`/audit`: who did what, and whether it worked."""

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from litestar import get
from litestar.params import QueryParameter

from clawdbox.clock import iso
from clawdbox.events import AuditEntry
from clawdbox.events.sql import audit_page
from clawdbox.store import Reader
from clawdbox.web.problems import usual
from clawdbox.web.visit import Req, at


class AuditEntryView(msgspec.Struct, frozen=True):
    id: int
    actor: str | None
    action: str
    target_type: str | None
    target_id: str | None
    ip_address: str | None
    result: str | None
    detail: dict[str, Any]
    created_at: datetime


class AuditList(msgspec.Struct, frozen=True):
    """`next_before` is the `before` of the next page, and null at the end."""

    entries: list[AuditEntryView]
    next_before: str | None


@get("/audit", summary="The audit trail", responses=usual(422))
async def list_audit(
    request: Req,
    limit: Annotated[
        int,
        QueryParameter(
            ge=1, le=500, description="How many; more when rows of one moment would be torn apart."
        ),
    ] = 50,
    before: Annotated[
        datetime | None, QueryParameter(description="Only what is older than this moment.")
    ] = None,
    action: Annotated[
        str | None, QueryParameter(description="Such as `session.start`.", max_length=100)
    ] = None,
) -> AuditList:
    """The newest first."""
    box, who = at(request)
    moment = before.replace(tzinfo=before.tzinfo or UTC) if before else None
    entries, more = await box.store.read(lambda r: page(r, who.account_id, limit, moment, action))
    return AuditList([view(entry) for entry in entries], iso(entries[-1].created_at) if more else None)


def page(
    r: Reader, account_id: str, limit: int, before: datetime | None, action: str | None
) -> tuple[list[AuditEntry], bool]:
    """About `limit` rows, and whether there are more. Rows of one moment stay together, since `before` is a moment."""
    size = limit
    while True:
        rows = audit_page(r, account_id, size + 1, before, action)
        if len(rows) <= size:
            return rows, False
        whole = [row for row in rows if row.created_at != rows[-1].created_at]
        if whole:
            return whole, True
        size *= 2


def view(entry: AuditEntry) -> AuditEntryView:
    return AuditEntryView(
        id=entry.id,
        actor=entry.actor,
        action=entry.action,
        target_type=entry.target_type,
        target_id=entry.target_id,
        ip_address=entry.ip_address,
        result=entry.result,
        detail=entry.detail or {},
        created_at=entry.created_at,
    )
