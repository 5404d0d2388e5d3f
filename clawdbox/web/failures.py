"""Refused and failed requests in the audit trail (document 04, section 4.5)."""

from clawdbox.events import IncidentKind
from clawdbox.web.box import Box
from clawdbox.web.limits import Limits, address_key
from clawdbox.web.visit import Visit

# Written down by the room itself, with what it knows of the server.
TOLD_BELOW = frozenset(
    {"command_refused", "host_key_changed", "host_key_unknown", "ssh_failed", "ssh_timeout"}
)


_DENIED = 401


async def suspect(box: Box, limits: Limits, visit: Visit) -> None:
    """More than five failed logins of one address in ten minutes are an incident, of which the owner is told."""
    address, now = address_key(visit.client), box.clock.monotonic()
    if limits.suspicious.hit(address, now) is None or limits.told_suspicious.hit(address, now) is not None:
        return
    if limits.told_at_all.hit("all", now) is not None:
        return
    detail = {"failures": limits.suspicious.count + 1, "within_s": int(limits.suspicious.seconds)}
    owner_id = (await box.accounts.find(None)).id
    await box.store.write(
        lambda tx: box.ledger.incident(tx, visit.actor, owner_id, IncidentKind.FAILED_LOGINS, address, detail)
    )


async def record(box: Box, limits: Limits, visit: Visit, status: int) -> None:
    """One row for a failed unsafe request of a known account, or for a stranger who tried to get in.

    Nothing of the request itself goes in: the route's template, the status and the problem's code tell enough.
    """
    if status == _DENIED and visit.principal is None:
        await suspect(box, limits, visit)
    if visit.code in TOLD_BELOW or visit.action is None or not _worth_a_row(box, limits, visit, status):
        return
    action, detail = visit.action, {"code": visit.code, "status": status, "route": visit.route}
    await box.store.write(
        lambda tx: box.ledger.audit(tx, visit.actor, action, result="failed", detail=detail)
    )


def _worth_a_row(box: Box, limits: Limits, visit: Visit, status: int) -> bool:
    """A flood of refusals must not become a flood of writes."""
    now = box.clock.monotonic()
    if status == 429:
        who = visit.principal.account_id if visit.principal else address_key(visit.client)
        if limits.audited_haste.hit(f"{who} {visit.action}", now) is not None:
            return False
    return visit.principal is not None or limits.audited_strangers.hit("all", now) is None
