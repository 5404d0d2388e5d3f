"""When a turn may start, and how it ends."""

from datetime import UTC, datetime
from typing import Any

import pytest

from clawdbox.agents.model import CommandState, TurnState
from clawdbox.agents.rules import turns
from clawdbox.errors import Conflict, Invalid
from clawdbox.ssh.model import CloseReason, ExecAnswer, Lease, LeaseStatus

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def _lease(status: LeaseStatus, reason: CloseReason | None = None, detail: str | None = None) -> Lease:
    never = dict.fromkeys(Lease.__struct_fields__)
    known = {"id": "l", "account_id": "a", "connection_id": "c", "keypair_id": "k", "created_at": NOW}
    how = {"status": status, "close_reason": reason, "error_detail": detail}
    return Lease(**{**never, **known, **how})  # type: ignore[arg-type]


def _answer(**told: Any) -> ExecAnswer:
    plain = {"timed_out": False, "cancelled": False, "truncated": False, "duration_ms": 1.0}
    return ExecAnswer(
        **{"execution_id": "x", "exit_status": 0, "stdout": b"", "stderr": b"", **plain, **told}
    )


@pytest.mark.parametrize("before", list(TurnState))
@pytest.mark.parametrize("after", list(TurnState))
def test_only_a_running_turn_ends_and_only_once(before: TurnState, after: TurnState) -> None:
    allowed = before is TurnState.RUNNING and after is not TurnState.RUNNING
    assert turns.may_become(before, after) is allowed


@pytest.mark.parametrize("text", ["a", "x" * 8000, "$ a\n\tb", "héllo ✓", " padded "])
def test_good_text_is_taken(text: str) -> None:
    turns.check_text(text)


@pytest.mark.parametrize(
    "text", ["", " \n\t", "x" * 8001, "a\x00", "a\x1b", "a\r\n", "a\x7f", "a\x85", "\udcff"]
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refusal:
        turns.check_text(text)
    assert refusal.value.field == "text"


@pytest.mark.parametrize(
    "lease, running, code",
    [
        (None, None, "session_not_active"),
        (_lease(LeaseStatus.PENDING), None, "session_not_active"),
        (_lease(LeaseStatus.CLOSED), None, "session_not_active"),
        (_lease(LeaseStatus.ERROR), "t", "session_not_active"),
        (_lease(LeaseStatus.ACTIVE), "t", "turn_running"),
    ],
)
def test_a_turn_needs_an_active_lease_and_no_other_turn(
    lease: Lease | None, running: str | None, code: str
) -> None:
    with pytest.raises(Conflict) as refusal:
        turns.check_start(lease, running)
    assert refusal.value.code == code


def test_with_both_it_starts() -> None:
    lease = _lease(LeaseStatus.ACTIVE)
    assert turns.check_start(lease, None) is lease


@pytest.mark.parametrize(
    "told, state",
    [
        ({"exit_status": 0}, CommandState.DONE),
        ({"exit_status": 137}, CommandState.DONE),
        ({"exit_status": None}, CommandState.LOST),
        ({"exit_status": None, "timed_out": True}, CommandState.TIMED_OUT),
        ({"exit_status": 143, "timed_out": True}, CommandState.TIMED_OUT),
        ({"exit_status": None, "cancelled": True}, CommandState.CANCELLED),
    ],
)
def test_the_end_of_a_command(told: dict[str, Any], state: CommandState) -> None:
    assert turns.command_state(_answer(**told)) is state


@pytest.mark.parametrize("reason", [*CloseReason, None])
def test_every_end_of_a_lease_ends_its_turn_with_a_sentence(reason: CloseReason | None) -> None:
    ending = turns.on_lease_end(_lease(LeaseStatus.CLOSED, reason, "The key was revoked."))
    assert turns.may_become(TurnState.RUNNING, ending.state)
    assert (ending.error or "").endswith("The key was revoked.")
    assert turns.on_lease_end(_lease(LeaseStatus.CLOSED, reason)).error


def test_every_end_of_a_turn_says_what_became_of_an_open_command() -> None:
    assert turns.OPEN_COMMAND.keys() == set(TurnState) - {TurnState.RUNNING}


def test_the_trail_gets_a_digest_and_no_text() -> None:
    assert turns.trace("$ é") == {
        "sha256": "1b5152f62dcb35083ee84b57145d62bb563f795249a99203d40b9248c081e105",
        "length": 3,
    }
