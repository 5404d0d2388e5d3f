"""`/audit`: who did what, and whether it worked."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, get
from litestar.openapi import ResponseSpec
from litestar.params import QueryParameter
from litestar.response import Stream

from clawdbox.clock import iso
from clawdbox.errors import Invalid
from clawdbox.events import AuditEntry
from clawdbox.events.export import csv_head, csv_lines, json_lines
from clawdbox.events.sql import audit_of_account_after, audit_page
from clawdbox.web.box import Box
from clawdbox.web.problems import usual
from clawdbox.web.visit import Req, at

_PAGE = 500


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


@get(
    "/audit/export",
    opt={"unlimited": True, "fresh": True},
    summary="The audit trail as a file",
    responses=usual(422)
    | {200: ResponseSpec(str, generate_examples=False, description="A file.", media_type="text/csv")},
)
async def export_audit(
    request: Req,
    file_format: Annotated[
        Literal["csv", "json"], QueryParameter(name="format", description="`json`: one object a line.")
    ] = "csv",
) -> Response[Any]:
    """Everything that stands in the account's trail, the oldest first. A spreadsheet finds no formula in it."""
    box, who = at(request)
    await box.store.write(
        lambda tx: box.ledger.audit(tx, who.actor, "audit.export", detail={"format": file_format})
    )
    name = f"clawdbox-audit-{box.clock.now():%Y-%m-%d}.{file_format}"
    return Stream(
        _exported(box, who.account_id, file_format),
        media_type="text/csv" if file_format == "csv" else "application/x-ndjson",
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


async def _exported(box: Box, account_id: str, file_format: str) -> AsyncIterator[str]:
    after, lines = 0, csv_lines if file_format == "csv" else json_lines
    if file_format == "csv":
        yield csv_head()
    while page := await box.store.read(
        lambda r, after=after: audit_of_account_after(r, account_id, after, _PAGE)  # type: ignore[misc]
    ):
        yield lines(page)
        after = page[-1].id


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
