"""The life of a lease as a table: every pair of statuses, every verdict of the janitor."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawdbox.errors import Conflict
from clawdbox.ssh.model import CloseReason, Connection, Lease, LeaseStatus, MasterState, MasterView
from clawdbox.ssh.rules import leases as rules
from clawdbox.ssh.rules.leases import Ending, LeaseFacts, Limits

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
PENDING, ACTIVE, CLOSED, ERROR = LeaseStatus
STEPS = {(PENDING, ACTIVE), (PENDING, CLOSED), (PENDING, ERROR), (ACTIVE, CLOSED), (ACTIVE, ERROR)}
LIMITS = Limits(idle=timedelta(minutes=30), grace=timedelta(minutes=5), dead=timedelta(minutes=2))


def lease(status: LeaseStatus = ACTIVE, **more: Any) -> Lease:
    values: dict[str, Any] = dict.fromkeys(Lease.__struct_fields__)
    values |= {"id": "l", "account_id": "a", "connection_id": "c", "keypair_id": "k", "created_at": NOW}
    return Lease(**{**values, "status": status, **more})


@pytest.mark.parametrize("before", LeaseStatus)
@pytest.mark.parametrize("after", LeaseStatus)
def test_every_pair_of_statuses(before: LeaseStatus, after: LeaseStatus) -> None:
    if (before, after) in STEPS:
        assert rules.moved(lease(before), after).status is after
        return
    with pytest.raises(Conflict) as refused:
        rules.moved(lease(before), after)
    assert refused.value.code == "session_not_active"
    assert str(before) in refused.value.message


def test_every_status_can_reach_an_end() -> None:
    assert set(rules.TRANSITIONS) == set(LeaseStatus)
    for status in (PENDING, ACTIVE):
        assert {CLOSED, ERROR} <= rules.TRANSITIONS[status]


def test_an_activated_lease_has_its_times_and_its_runtime() -> None:
    active = rules.activated(lease(PENDING), "runbook:1", NOW)
    assert (active.status, active.agent_session_id) == (ACTIVE, "runbook:1")
    assert active.started_at == active.last_heartbeat_at == active.last_activity_at == NOW


@pytest.mark.parametrize("reason", CloseReason)
def test_an_end_for_an_error_has_that_status_and_every_other_is_closed(reason: CloseReason) -> None:
    ended = rules.ended(lease(), Ending(reason, "why"), NOW)
    assert ended.status is (ERROR if reason is CloseReason.ERROR else CLOSED)
    assert (ended.close_reason, ended.error_detail, ended.closed_at) == (reason, "why", NOW)


# starting


def connection(**more: Any) -> Connection:
    values: dict[str, Any] = dict.fromkeys(Connection.__struct_fields__)
    values |= {"tier": "production", "judge_people": False}
    values |= {"id": "c", "host_key_fingerprint": "SHA256:x", "last_latency_ms": 1.0}
    return msgspec.structs.replace(Connection(**values), **more)


@pytest.mark.parametrize(
    "untested", [{"host_key_fingerprint": None}, {"last_latency_ms": None}, {"deleted_at": NOW}]
)
def test_what_was_not_tested_is_not_started(untested: dict[str, Any]) -> None:
    with pytest.raises(Conflict) as refused:
        rules.check_start(connection(**untested), 0, 5)
    assert refused.value.code == "connection_untested"


@pytest.mark.parametrize("count, limit, starts", [(0, 1, True), (4, 5, True), (5, 5, False), (6, 5, False)])
def test_the_limit_of_leases(count: int, limit: int, starts: bool) -> None:
    if starts:
        rules.check_start(connection(), count, limit)
        return
    with pytest.raises(Conflict) as refused:
        rules.check_start(connection(), count, limit)
    assert (refused.value.code, refused.value.detail) == (
        "lease_limit_reached",
        {"open_sessions": count, "limit": limit},
    )


# the janitor


def ago(**duration: float) -> datetime:
    return NOW - timedelta(**duration)


def up() -> MasterView:
    return MasterView(MasterState.UP, ago(hours=1), 0, None)


def lost(grace_ends_at: datetime, state: MasterState = MasterState.LOST) -> MasterView:
    return MasterView(state, ago(minutes=4), 1, grace_ends_at)


SOON, PAST = NOW + timedelta(seconds=1), NOW
FRESH: dict[str, Any] = {"last_heartbeat_at": ago(seconds=30)}
STALE: dict[str, Any] = {"last_heartbeat_at": ago(minutes=2, seconds=1)}
VERDICTS: dict[str, tuple[LeaseFacts, str | None]] = {
    "all is well": (LeaseFacts(lease(**FRESH), up(), ago(minutes=1), False, True), None),
    "idle a second too short": (LeaseFacts(lease(**FRESH), up(), ago(minutes=29, seconds=59), False, True), None),
    "idle": (LeaseFacts(lease(**FRESH), up(), ago(minutes=30), False, True), rules.IDLE),
    "pending is never idle": (LeaseFacts(lease(PENDING), up(), ago(hours=9), False, True), None),
    "dead a second too short": (
        LeaseFacts(lease(last_heartbeat_at=ago(minutes=2)), None, NOW, False, True), None),
    "dead": (LeaseFacts(lease(**STALE), None, NOW, False, True), rules.NO_HEARTBEAT),
    "dead with a master that is not lost": (LeaseFacts(lease(**STALE), up(), NOW, False, True), rules.NO_HEARTBEAT),
    "lost within the grace": (LeaseFacts(lease(**STALE), lost(SOON), NOW, False, True), None),
    "redialling within the grace": (
        LeaseFacts(lease(**STALE), lost(SOON, MasterState.DIALLING), NOW, False, True), None),
    "lost beyond the grace": (LeaseFacts(lease(**STALE), lost(PAST), NOW, False, True), rules.NOT_BACK),
    "redialling beyond the grace": (
        LeaseFacts(lease(**STALE), lost(PAST, MasterState.DIALLING), NOW, False, True), rules.NOT_BACK),
    "idle while it is lost": (LeaseFacts(lease(**STALE), lost(SOON), ago(hours=1), False, True), rules.IDLE),
    "never came up": (LeaseFacts(lease(PENDING, created_at=ago(minutes=3)), None, NOW, False, True), rules.NEVER_UP),
    "is coming up": (LeaseFacts(lease(PENDING, created_at=ago(minutes=1)), None, NOW, False, True), None),
    "key revoked": (LeaseFacts(lease(**FRESH), up(), NOW, True, True), rules.KEY_REVOKED),
    "key revoked while pending": (LeaseFacts(lease(PENDING), None, NOW, True, True), rules.KEY_REVOKED),
    "key revoked while lost": (LeaseFacts(lease(**FRESH), lost(SOON), NOW, True, True), rules.KEY_REVOKED),
    "account disabled": (LeaseFacts(lease(**FRESH), up(), NOW, False, False), rules.ACCOUNT_DISABLED),
}  # fmt: skip
REASONS = {rules.IDLE: CloseReason.TIMEOUT, rules.NOT_BACK: CloseReason.SERVER_CLOSED}


@pytest.mark.parametrize("case", VERDICTS)
def test_the_verdict_of_the_janitor(case: str) -> None:
    facts, detail = VERDICTS[case]
    ending = rules.verdict(facts, LIMITS, NOW)
    if detail is None:
        assert ending is None
    else:
        assert ending == Ending(REASONS.get(detail, CloseReason.ERROR), detail)


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_redials_slow_down_and_never_stop(attempt: int, jitter: float) -> None:
    delay = rules.redial_delay(attempt, jitter)
    assert 0.5 <= delay <= 45
    assert rules.redial_delay(attempt + 1, 0.5) >= rules.redial_delay(attempt, 0.5)
