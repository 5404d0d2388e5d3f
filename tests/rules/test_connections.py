"""What may be saved, what an edit keeps, and which host key a test may accept."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from clawdbox.errors import Conflict, Invalid
from clawdbox.ssh.model import Connection, HostKey
from clawdbox.ssh.model import TestResult as Result
from clawdbox.ssh.rules import connections as rules

NOW = datetime(2026, 11, 21, tzinfo=UTC)
LATER = datetime(2026, 11, 22, tzinfo=UTC)
PIN, SHOWN, GIVEN = "SHA256:pin", "SHA256:shown", "SHA256:given"


def connection(**more: Any) -> Connection:
    values: dict[str, Any] = dict.fromkeys(Connection.__struct_fields__)
    values |= {"tier": "production", "judge_people": False}
    values |= {"id": "c", "label": "NAS", "host": "nas.lan", "port": 22, "username": "bob", "keypair_id": "k"}
    return msgspec.structs.replace(Connection(**values), **more)


PINNED = connection(
    host_key_fingerprint=PIN, host_key_type="ssh-ed25519", host_key_pinned_at=NOW, last_latency_ms=1.0
)
CHANGED = msgspec.structs.replace(
    PINNED, offered_fingerprint=SHOWN, offered_key_type="ssh-rsa", offered_at=NOW
)
DRAFT = connection()
SEEN = connection(offered_fingerprint=SHOWN, offered_key_type="ssh-rsa", offered_at=NOW)


# pinned, shown, accept, fingerprint → the one key that a test may accept
@pytest.mark.parametrize(
    "connection, accept, fingerprint, trusted",
    [
        (DRAFT, False, None, None),
        (DRAFT, False, GIVEN, None),
        (DRAFT, True, None, None),
        (DRAFT, True, GIVEN, GIVEN),
        (SEEN, False, None, None),
        (SEEN, False, SHOWN, None),
        (SEEN, True, None, SHOWN),
        (SEEN, True, SHOWN, SHOWN),
        (SEEN, True, GIVEN, GIVEN),
        (SEEN, True, "", ""),
        (PINNED, False, None, PIN),
        (PINNED, False, GIVEN, PIN),
        (PINNED, True, None, PIN),
        (PINNED, True, GIVEN, GIVEN),
        (CHANGED, False, None, PIN),
        (CHANGED, False, SHOWN, PIN),
        (CHANGED, True, None, SHOWN),
        (CHANGED, True, SHOWN, SHOWN),
        (CHANGED, True, PIN, PIN),
        (CHANGED, True, GIVEN, GIVEN),
    ],
)
def test_the_one_key_that_a_test_may_accept(
    connection: Connection, accept: bool, fingerprint: str | None, trusted: str | None
) -> None:
    key = rules.acceptable_key(connection, accept, fingerprint)
    assert (key.fingerprint if key else None) == trusted


def test_a_pin_keeps_its_date_only_while_it_is_the_same() -> None:
    same = rules.pinned(CHANGED, HostKey(PIN, "ssh-ed25519"), LATER)
    assert (same.host_key_pinned_at, same.offered_fingerprint) == (NOW, None)
    other = rules.pinned(CHANGED, HostKey(SHOWN, "ssh-rsa"), LATER)
    assert (other.host_key_fingerprint, other.host_key_type, other.host_key_pinned_at) == (
        SHOWN,
        "ssh-rsa",
        LATER,
    )


def test_a_shown_key_changes_no_pin() -> None:
    after = rules.shown(PINNED, HostKey(SHOWN, "ssh-rsa"), LATER)
    assert after.host_key_fingerprint == PIN
    assert (after.offered_fingerprint, after.offered_key_type, after.offered_at) == (SHOWN, "ssh-rsa", LATER)
    assert after.last_test_result is Result.HOST_KEY_MISMATCH
    assert rules.shown(DRAFT, HostKey(SHOWN, "ssh-rsa"), LATER).last_test_result is None


def test_the_problem_shows_old_against_new_with_dates() -> None:
    unknown = rules.host_key_problem(DRAFT, HostKey(SHOWN, "ssh-rsa"), LATER)
    assert (unknown.code, unknown.detail) == (
        "host_key_unknown", {"new_fingerprint": SHOWN, "new_type": "ssh-rsa"},
    )  # fmt: skip
    changed = rules.host_key_problem(PINNED, HostKey(SHOWN, "ssh-rsa"), LATER)
    assert changed.code == "host_key_changed"
    assert changed.detail == {
        "old_fingerprint": PIN, "old_type": "ssh-ed25519", "pinned_at": NOW,
        "new_fingerprint": SHOWN, "new_type": "ssh-rsa", "offered_at": LATER,
    }  # fmt: skip


@pytest.mark.parametrize(
    "cause, result",
    [("host_key_unknown", "host_key_mismatch"), ("host_key_changed", "host_key_mismatch"),
     ("key_type_changed", "host_key_mismatch"), ("timeout", "timeout"), ("firewall", "timeout"), ("name", "failed"),
     ("port", "failed"), ("not_ssh", "failed"), ("authentication", "failed"), ("algorithms", "failed"),
     ("dropped", "failed"), ("address_refused", "failed")],
)  # fmt: skip
def test_what_a_cause_counts_as(cause: str, result: str) -> None:
    assert rules.result_of(cause) == result


# saving and editing


def place(**more: Any) -> rules.Place:
    values: dict[str, Any] = {"label": "NAS", "host": "nas.lan", "port": 22, "username": "bob"}
    return rules.check_place(**{**values, **more}, own_port=8022, allow_loopback=False)


@pytest.mark.parametrize(
    "field, value",
    [("label", "-x"), ("label", "a\nb"), ("label", "x" * 65), ("host", "2130706433"), ("host", "-oProxyCommand=id"),
     ("host", "127.0.0.1"), ("host", "localhost."), ("host", "0.0.0.0"), ("host", "169.254.169.254"), ("port", 0),
     ("port", 65536), ("port", -1), ("username", "-l"), ("username", "a b"), ("username", "x" * 65)],
)  # fmt: skip
def test_what_cannot_be_saved_names_its_field(field: str, value: Any) -> None:
    with pytest.raises(Invalid) as refused:
        place(**{field: value})
    assert refused.value.field == field


def test_a_place_is_saved_in_its_canonical_form() -> None:
    assert place(host="[2001:DB8::1]").host == "2001:db8::1"
    assert place(label=" Bob's NAS ").label == "Bob's NAS"


@pytest.mark.parametrize("port, own_port, ok", [(22, 8022, True), (8022, 8022, False)])
def test_loopback_that_is_allowed_still_excludes_the_box_itself(port: int, own_port: int, ok: bool) -> None:
    if ok:
        rules.check_place("a", "127.0.0.1", port, "u", own_port, True)
        return
    with pytest.raises(Invalid) as refused:
        rules.check_place("a", "127.0.0.1", port, "u", own_port, True)
    assert refused.value.code == "address_refused"


# edit → (pin kept, allowed while a session is open)
@pytest.mark.parametrize(
    "edit, keeps, meanwhile",
    [({}, True, True), ({"label": "New"}, True, True), ({"host": "other.lan"}, False, False),
     ({"port": 2222}, False, False), ({"username": "root"}, True, False), ({"keypair_id": "k2"}, True, False),
     ({"host": "NAS.lan."}, True, True)],
)  # fmt: skip
def test_what_an_edit_keeps_and_when_it_may_be_made(
    edit: dict[str, Any], keeps: bool, meanwhile: bool
) -> None:
    keypair_id = edit.pop("keypair_id", "k")
    after = rules.edited(CHANGED, place(**edit), keypair_id, [], LATER)
    assert (after.host_key_fingerprint == PIN) == keeps
    assert (after.offered_fingerprint == SHOWN) == keeps
    assert (after.state == "tested") == keeps
    if meanwhile:
        rules.edited(CHANGED, place(**edit), keypair_id, ["s"], LATER)
        return
    with pytest.raises(Conflict) as refused:
        rules.edited(CHANGED, place(**edit), keypair_id, ["s"], LATER)
    assert (refused.value.code, refused.value.detail) == ("connection_in_use", {"session_ids": ["s"]})


@pytest.mark.parametrize(
    "connection, state",
    [(DRAFT, "draft"), (SEEN, "draft"), (PINNED, "tested"), (CHANGED, "tested"),
     (msgspec.structs.replace(PINNED, last_latency_ms=None), "draft"),
     (msgspec.structs.replace(PINNED, deleted_at=NOW), "deleted")],
)  # fmt: skip
def test_the_state_of_a_connection(connection: Connection, state: str) -> None:
    assert connection.state == state
