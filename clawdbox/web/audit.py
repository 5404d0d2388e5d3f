"""`/audit`: who did what, and whether it worked."""

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from litestar import get
from litestar.params import QueryParameter

from clawdbox.clock import iso
from clawdbox.errors import Invalid
from clawdbox.events import AuditEntry
from clawdbox.events.sql import audit_page
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
    limit: Annotated[int, QueryParameter(ge=1, le=500, description="How many at most.")] = 50,
    before: Annotated[
        datetime | None, QueryParameter(description="Only what is older than this moment.")
    ] = None,
    action: Annotated[
        str | None, QueryParameter(description="Such as `session.start`.", max_length=100)
    ] = None,
) -> AuditList:
    """The newest first. No two rows have the same `created_at`, so `before` leaves none out."""
    box, who = at(request)
    moment = _in_utc(before) if before else None
    found = await box.store.read(lambda r: audit_page(r, who.account_id, limit + 1, moment, action))
    entries = found[:limit]
    return AuditList(
        [view(entry) for entry in entries], iso(entries[-1].created_at) if len(found) > limit else None
    )


def _in_utc(moment: datetime) -> datetime:
    """Raises Invalid."""
    try:
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except OverflowError:  # 9999-12-31T23:59-01:00 is in no year that there is
        raise Invalid("before", "Give a moment such as 2026-11-21T03:08:00Z.") from None


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
