"""When a question may be answered, what its answer is good for, and for how long."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from clawdbox.approvals import rules
from clawdbox.approvals.model import Approval, Asked, Bound, Kind, Option, State
from clawdbox.errors import Conflict, Invalid
from clawdbox.policy import Class

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
TTL = timedelta(hours=1)
SECOND = timedelta(seconds=1)
PENDING, ALLOWED, DENIED, EXPIRED, VOID = State
STEPS = {(PENDING, after) for after in (ALLOWED, DENIED, EXPIRED, VOID)} | {(ALLOWED, VOID)}
YES = Option("yes", "Allow", "allow_once")
ALWAYS = Option("always", "Always allow", "allow_always")
NO = Option("no", "Reject", "reject_once")
NEVER = Option("never", "Never", "reject_always")

ASKED = Asked(
    account_id="a",
    connection_id="c",
    session_lease_id="s",
    conversation_id="t",
    turn_id="u",
    call_id="call-1",
    kind=Kind.COMMAND,
    title="Restart the web server",
    username="ada",
    klass="privileged",
    why=("It restarts a service.",),
    command="systemctl restart nginx",
    directory="/srv",
    options=(YES, NO),
)


def approval(state: State = PENDING, **more: Any) -> Approval:
    made = rules.made(ASKED, "p", NOW, TTL)
    answered = {} if state is PENDING else {"answered_at": NOW}
    return msgspec.structs.replace(made, state=state, **{**answered, **more})


@pytest.mark.parametrize("before", State)
@pytest.mark.parametrize("after", State)
def test_every_pair_of_states(before: State, after: State) -> None:
    assert (after in rules.TRANSITIONS[before]) == ((before, after) in STEPS)


# what an answer is bound to


def bound(**more: Any) -> Bound:
    return msgspec.structs.replace(rules.bound_of(ASKED), **more)


def test_the_same_bytes_there_as_that_user_are_the_same() -> None:
    again = msgspec.structs.replace(ASKED, title="Another", reason="Another", call_id="call-2", turn_id="v")
    assert rules.digest(rules.bound_of(again)) == approval().digest


@pytest.mark.parametrize(
    "other",
    [
        {"command": "systemctl restart nginx "},
        {"command": "systemctl restart nginx\n"},
        {"command": "systemctl  restart nginx"},
        {"command": "Systemctl restart nginx"},
        {"command": "systemctl restart ngin\u0445"},
        {"command": "systemctl restart nginx\u200b"},
        {"command": ""},
        {"username": "root"},
        {"directory": "/srv/"},
        {"directory": ""},
        {"connection_id": "d"},
        {"klass": "read"},
        {"kind": Kind.FILE},
        {"kind": Kind.QUESTION},
    ],
    ids=repr,
)
def test_whatever_is_not_the_same_has_another_digest(other: dict[str, Any]) -> None:
    assert rules.digest(bound(**other)) != approval().digest


def test_no_two_fields_run_into_each_other() -> None:
    one = rules.digest(bound(username="ada/srv", directory=""))
    assert one != rules.digest(bound(username="ada", directory="/srv"))


def test_where_no_command_is_known_an_answer_is_for_that_call_alone() -> None:
    unseen = msgspec.structs.replace(ASKED, kind=Kind.QUESTION, command=None)
    digests = {
        rules.digest(rules.bound_of(msgspec.structs.replace(unseen, **other)))
        for other in ({}, {"call_id": "call-2"}, {"title": "Another"}, {"command": ""})
    }
    assert len(digests) == 4


def test_long_words_of_an_agent_are_cut() -> None:
    made = rules.made(
        msgspec.structs.replace(ASKED, title="t" * 999, reason="r" * 9999, detail="d" * 9999), "p", NOW, TTL
    )
    assert (len(made.title), len(made.reason), len(made.detail)) == (200, 4000, 4000)
    assert (made.state, made.expires_at, made.used_at) == (PENDING, NOW + TTL, None)


# answering


@pytest.mark.parametrize(
    "state, later, code",
    [
        (PENDING, timedelta(), None),
        (PENDING, TTL - SECOND, None),
        (PENDING, TTL, "approval_expired"),
        (PENDING, TTL + SECOND, "approval_expired"),
        (EXPIRED, timedelta(), "approval_expired"),
        (ALLOWED, timedelta(), "approval_answered"),
        (DENIED, timedelta(), "approval_answered"),
        (VOID, timedelta(), "approval_void"),
    ],
)
def test_when_an_answer_is_taken(state: State, later: timedelta, code: str | None) -> None:
    found = approval(state, answered_by="phone", void_reason="The turn that asked has ended.")
    if code is None:
        rules.check_open(found, NOW + later)
        return
    with pytest.raises(Conflict) as refused:
        rules.check_open(found, NOW + later)
    assert refused.value.code == code
    assert refused.value.detail["state"] is (EXPIRED if code == "approval_expired" else state)
    if code == "approval_answered":
        assert refused.value.detail["answered_by"] == "phone"
    if code == "approval_void":
        assert "The turn that asked has ended." in refused.value.message


@pytest.mark.parametrize(
    "options, allow, option_id, chosen",
    [
        ((YES, NO), True, None, YES),
        ((YES, NO), False, None, NO),
        ((NO, YES), True, None, YES),
        ((YES, NO, NEVER), False, "never", NEVER),
        ((YES,), False, None, None),
        ((), True, None, None),
        ((YES, NO), True, "no", "error"),
        ((YES, NO), False, "yes", "error"),
        ((YES, NO), True, "always", "error"),
        ((), True, "yes", "error"),
    ],
)
def test_which_choice_of_the_agent_an_answer_means(
    options: tuple[Option, ...], allow: bool, option_id: str | None, chosen: Option | str | None
) -> None:
    found = approval(options=options)
    if chosen != "error":
        assert rules.choose(found, allow, option_id) == chosen
        return
    with pytest.raises(Invalid) as refused:
        rules.choose(found, allow, option_id)
    assert refused.value.field == "option_id"


def test_what_a_choice_is_follows_from_its_kind() -> None:
    assert [option.allows for option in (YES, ALWAYS, NO, NEVER)] == [True, True, False, False]


# standing grants


@pytest.mark.parametrize("klass", Class)
@pytest.mark.parametrize("kind", Kind)
def test_what_may_stand_until_the_session_ends(klass: Class, kind: Kind) -> None:
    found = approval(klass=klass.value, kind=kind)
    may = kind is not Kind.FILE and klass not in (Class.LOCK_OUT, Class.UNKNOWN)
    assert rules.may_grant(found) is may
    if not may:
        with pytest.raises(Invalid):
            rules.check_grant(found)


def test_what_nobody_has_seen_is_never_granted() -> None:
    assert not rules.may_grant(approval(command=None))


# using


@pytest.mark.parametrize(
    "found, wanted, later, may",
    [
        (approval(ALLOWED), bound(), timedelta(), True),
        (approval(ALLOWED), bound(), TTL - SECOND, True),
        (approval(ALLOWED), bound(), TTL, False),
        (approval(ALLOWED, used_at=NOW), bound(), timedelta(), False),
        (approval(ALLOWED), bound(command="systemctl restart nginx;id"), timedelta(), False),
        (approval(ALLOWED), bound(klass="lock_out"), timedelta(), False),
        (approval(DENIED), bound(), timedelta(), False),
        (approval(VOID), bound(), timedelta(), False),
        (approval(EXPIRED), bound(), timedelta(), False),
        (approval(PENDING), bound(), timedelta(), False),
    ],
    ids=[
        "at once", "in time", "too late", "used", "other bytes", "another class", "denied", "void", "expired", "waits",
    ],
)  # fmt: skip
def test_what_an_answer_lets_pass(found: Approval, wanted: Bound, later: timedelta, may: bool) -> None:
    assert rules.usable(found, rules.digest(wanted), NOW + later, TTL) is may


@pytest.mark.parametrize(
    "found, wanted, is_known",
    [
        (approval(ALLOWED, used_at=NOW), bound(), True),
        (approval(ALLOWED), bound(), False),
        (approval(ALLOWED, used_at=NOW), bound(command="id"), False),
        (approval(DENIED), bound(), False),
    ],
    ids=["handed out", "not used yet", "other bytes", "denied"],
)
def test_which_answer_may_be_heard_again(found: Approval, wanted: Bound, is_known: bool) -> None:
    assert rules.answered_before(found, wanted) is is_known


def test_an_answer_for_something_else_says_so() -> None:
    assert rules.why_not(approval(ALLOWED), bound(place="203.0.113.66 22")) == rules.CHANGED


@pytest.mark.parametrize("state", State)
def test_a_refusal_says_why(state: State) -> None:
    said = rules.why_not(approval(state, void_reason="The agents were stopped."), bound())
    assert said.endswith(".")
    assert said != rules.CHANGED
    assert (said == "The agents were stopped.") == (state is VOID)
