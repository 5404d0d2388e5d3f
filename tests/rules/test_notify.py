"""What a person is told of, in which words, when it is tried again, and what may be a channel."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from clawdbox.errors import Invalid
from clawdbox.notify.model import (
    Answer,
    ChannelKind,
    Delivery,
    Email,
    Happening,
    Kind,
    Ntfy,
    Outcome,
    State,
    Webhook,
)
from clawdbox.notify.rules import channels, deliveries, kinds, messages
from clawdbox.notify.wire import webpush

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)

# event type, payload, what it is
TOLD: list[tuple[str, dict[str, Any], Kind | None]] = [
    ("approval.requested", {"kind": "command"}, Kind.APPROVAL_WAITING),
    ("approval.requested", {"kind": "file"}, Kind.APPROVAL_WAITING),
    ("approval.requested", {"kind": "question"}, Kind.AGENT_NEEDS_ANSWER),
    ("approval.answered", {"kind": "command"}, None),
    ("turn.finished", {"state": "done"}, Kind.TURN_FINISHED),
    ("turn.finished", {"state": "failed"}, Kind.TURN_FINISHED),
    ("turn.finished", {"state": "lost"}, Kind.TURN_FINISHED),
    ("turn.finished", {"state": "cancelled"}, None),
    ("turn.started", {"state": "running"}, None),
    ("turn.waiting", {"state": "running"}, None),
    ("session.error", {"close_reason": "error", "started_at": "2026-11-28T11:00:00.000000Z"}, Kind.SESSION_LOST),
    ("session.error", {"close_reason": "error", "started_at": None}, None),
    ("session.closed", {"close_reason": "server_closed"}, Kind.SESSION_LOST),
    ("session.closed", {"close_reason": "user"}, None),
    ("session.closed", {"close_reason": "timeout"}, None),
    ("session.active", {}, None),
    ("keypair.created", {}, Kind.KEY_EVENT),
    ("keypair.revoked", {}, Kind.KEY_EVENT),
    ("host_key.unknown", {}, Kind.HOST_KEY_EVENT),
    ("host_key.changed", {}, Kind.HOST_KEY_EVENT),
    ("host_key.pinned", {}, None),
    ("incident.failed_logins", {"failures": 6, "within_s": 600, "subject": "203.0.113.7"}, Kind.INCIDENT),
    ("incident.host_key_changed", {}, None),
    ("login.revoked", {}, None),
    ("snippet.created", {}, None),
]  # fmt: skip


@pytest.mark.parametrize("event_type, payload, kind", TOLD)
def test_an_event_is_told_as_what_it_is(event_type: str, payload: dict[str, Any], kind: Kind | None) -> None:
    assert kinds.kind_of(event_type, payload) is kind
    assert kind is None or event_type in kinds.HEARD


def test_every_kind_has_an_event_and_every_event_its_words() -> None:
    assert {kind for _, _, kind in TOLD if kind} | {Kind.TEST} == set(Kind)
    for event_type, payload, kind in TOLD:
        if kind:
            happening = happened(event_type, **payload)
            told = messages.message("d", kind, happening, NOW)
            assert told.title
            assert told.body.endswith(".")
            assert told.path.startswith("/")
            assert told.ttl_s == 86_400


def happened(event_type: str, **payload: Any) -> Happening:
    more = {"conversation_id": "c1", "connection_id": "k1", "session_id": "s1", "label": "laptop"}
    return Happening("e1", "a1", event_type, "x1", {**more, **payload}, NOW, "web-1")


@pytest.mark.parametrize(
    "happening, kind, title, path",
    [
        (happened("approval.requested", kind="command"), Kind.APPROVAL_WAITING, "Approval needed on web-1", "/approvals/x1"),
        (happened("approval.requested", kind="question"), Kind.AGENT_NEEDS_ANSWER, "An agent asks you on web-1", "/approvals/x1"),
        (happened("turn.finished", state="lost"), Kind.TURN_FINISHED, "A crash of the box cut the agent short on web-1", "/conversations/c1"),
        (happened("session.error"), Kind.SESSION_LOST, "Session on web-1 ended", "/sessions/x1"),
        (happened("keypair.revoked"), Kind.KEY_EVENT, "A key was revoked", "/keys"),
        (happened("host_key.changed"), Kind.HOST_KEY_EVENT, "The host key of web-1 changed", "/connections/x1"),
    ],
)  # fmt: skip
def test_it_says_what_and_leads_there(happening: Happening, kind: Kind, title: str, path: str) -> None:
    told = messages.message("d", kind, happening, NOW)
    assert (told.title, told.path) == (title, path)


def test_a_class_that_is_new_to_it_is_called_unknown_and_a_name_that_is_gone_a_server() -> None:
    import msgspec

    nameless = msgspec.structs.replace(happened("approval.requested", **{"class": "odd"}), label=None)
    told = messages.message("d", Kind.APPROVAL_WAITING, nameless, NOW)
    assert told.title == "Approval needed on a server"
    assert told.body == "A command that the box cannot judge waits for your answer."


def test_a_long_command_is_cut() -> None:
    import msgspec

    asked = msgspec.structs.replace(happened("approval.requested"), command="x" * 5000)
    body = messages.message("d", Kind.APPROVAL_WAITING, asked, NOW).body
    assert body.endswith("x…")
    assert len(body) < 400


def test_a_question_is_worth_telling_as_long_as_it_can_be_answered() -> None:
    asked = happened("approval.requested", expires_at="2026-11-28T12:15:00.000000Z")
    assert messages.deadline(asked) == NOW + timedelta(minutes=15)
    assert messages.message("d", Kind.APPROVAL_WAITING, asked, NOW).ttl_s == 900


# what an answer means


@pytest.mark.parametrize(
    "kind, status, state, gone",
    [
        ("webpush", 201, State.SENT, False),
        ("ntfy", 200, State.SENT, False),
        ("webhook", 204, State.SENT, False),
        ("webhook", 301, State.FAILED, False),
        ("webhook", 307, State.FAILED, False),
        ("ntfy", 401, State.FAILED, False),
        ("webpush", 403, State.FAILED, False),
        ("webpush", 404, State.FAILED, True),
        ("webpush", 410, State.FAILED, True),
        ("webhook", 404, State.FAILED, False),
        ("webhook", 410, State.FAILED, False),
        ("ntfy", 408, State.PENDING, False),
        ("webpush", 413, State.FAILED, False),
        ("ntfy", 425, State.PENDING, False),
        ("ntfy", 429, State.PENDING, False),
        ("ntfy", 500, State.PENDING, False),
        ("ntfy", 507, State.PENDING, False),
    ],
)
def test_what_a_status_means(kind: str, status: int, state: State, gone: bool) -> None:
    outcome = deliveries.http_outcome(ChannelKind(kind), Answer(status), NOW)
    assert (outcome.state, outcome.gone) == (state, gone)
    assert outcome.code == (None if state is State.SENT else f"http_{status}")


@pytest.mark.parametrize(
    "code, state", [(250, State.SENT), (421, State.PENDING), (451, State.PENDING), (535, State.FAILED), (550, State.FAILED)]
)  # fmt: skip
def test_what_a_mail_server_means(code: int, state: State) -> None:
    assert deliveries.smtp_outcome(Answer(code)).state is state


@pytest.mark.parametrize(
    "header, seconds",
    [
        ("120", 120.0),
        (" 5 ", 5.0),
        ("0", 0.0),
        ("999999999", 6 * 3600.0),
        ("Sat, 28 Nov 2026 12:01:00 GMT", 60.0),
        ("Sat, 28 Nov 2026 12:01:00", 60.0),
        ("Sat, 28 Nov 2026 11:00:00 GMT", 0.0),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 6 * 3600.0),
        ("soon", None),
        ("-5", None),
        ("9" * 30, None),
        ("", None),
        (None, None),
    ],
)
def test_how_long_it_asks_to_be_left_alone(header: str | None, seconds: float | None) -> None:
    assert deliveries.asked_wait(header, NOW) == seconds


def pending(attempts: int = 0) -> Delivery:
    return Delivery("d", "c", "e", Kind.TURN_FINISHED, None, State.PENDING, attempts, NOW, None, NOW, None)


@given(
    attempts=st.integers(0, 40),
    roll=st.floats(0, 1),
    asked=st.none() | st.floats(0, 21_600),
    left=st.floats(1, 100_000),
)
def test_waiting_is_bounded_from_both_sides(
    attempts: int, roll: float, asked: float | None, left: float
) -> None:
    again = Outcome(State.PENDING, "http_503", wait_s=asked)
    deadline = NOW + timedelta(seconds=left)
    after = deliveries.after(pending(attempts), again, NOW, deadline, roll)
    assert after.attempts == attempts + 1
    if after.state is State.PENDING:
        assert after.next_try_at
        wait = (after.next_try_at - NOW).total_seconds()
        assert wait >= (asked or 0) - 1e-6
        assert min(2.5 * 2**attempts, 1800) - 1e-6 <= max(wait, asked or 0) <= max(3600, asked or 0) + 1e-6
        assert after.next_try_at < deadline
        assert after.attempts < deliveries.MAX_ATTEMPTS
    else:
        assert after.state is State.GAVE_UP
        assert after.next_try_at is None


def test_every_code_has_words_and_none_shows_itself() -> None:
    for code in [*deliveries._WORDS, "http_302", "http_599", "smtp_452", "internal_error"]:
        text = deliveries.words(code)
        assert text.endswith(".")
        assert "_" not in text
    assert "lead" in deliveries.words("http_307")


# what may be a channel


@pytest.mark.parametrize(
    "written, kept",
    [
        ("https://ntfy.sh", "https://ntfy.sh/"),
        ("https://NTFY.sh:443/", "https://ntfy.sh/"),
        ("https://hooks.example.com:8443/a?b=c#d", "https://hooks.example.com:8443/a?b=c"),
        ("https://[2001:DB8::1]/x", "https://[2001:db8::1]/x"),
    ],
)
def test_an_address_has_one_form(written: str, kept: str) -> None:
    assert channels.check_url(written, "url", http=False) == kept


@pytest.mark.parametrize(
    "written",
    [
        "http://nas.lan/", "ftp://nas.lan/", "file:///etc/passwd", "gopher://x", "//nas.lan/", "nas.lan", "",
        "https://", "https:///x", "https://anna:secret@nas.lan/", "https://@nas.lan/", "https://nas.lan:99999/",
        "https://nas.lan:0/", "https://2130706433/", "https://0x7f.1/", "https://127.1/", "https://na s/",
        "https://nas.lan/\r\nx: y", "https://nas.lan/é", "https://" + "a" * 3000, "https://[::1%25lo]/",
        "javascript:alert(1)", "https://nas.lan\\@evil.example/",
    ],
)  # fmt: skip
def test_what_is_no_plain_address_is_refused(written: str) -> None:
    with pytest.raises(Invalid) as refused:
        channels.check_url(written, "url", http=False)
    assert refused.value.field == "url"


def test_plain_http_is_for_the_local_network_or_by_the_owners_will() -> None:
    at_home, outside = (Webhook("http://nas.lan/", "s", local) for local in (True, False))
    assert channels.check_target(at_home, plain_http=False) == at_home
    assert channels.check_target(outside, plain_http=True) == outside
    with pytest.raises(Invalid):
        channels.check_target(outside, plain_http=False)


def mail(**more: Any) -> Email:
    known = {"host": "mail.example.com", "port": 465, "security": "tls", "username": "anna", "password": "x"}
    place = {"sender": "box@example.com", "to": "anna@example.com", "local": False}
    return Email(**{**known, **place, **more})


@pytest.mark.parametrize(
    "more, field",
    [
        ({"security": "none", "username": None, "password": None}, "security"),
        ({"security": "none", "local": True}, "security"),
        ({"password": None}, "password"),
        ({"username": ""}, "password"),
        ({"to": "anna"}, "to"),
        ({"to": "anna@example.com, bob@example.com"}, "to"),
        ({"to": "anna@example.com\r\nBcc: bob@example.com"}, "to"),
        ({"sender": "x\n@example.com"}, "sender"),
        ({"to": "@example.com"}, "to"),
        ({"host": "-oProxy"}, "host"),
    ],
)
def test_mail_that_would_leak_or_lead_astray_is_refused(more: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        channels.check_target(mail(**more), plain_http=True)
    assert refused.value.field == field


def test_mail_goes_unencrypted_only_at_home_and_without_a_password() -> None:
    at_home = mail(security="none", local=True, username=None, password=None)
    assert channels.check_target(at_home, plain_http=False) == at_home
    assert channels.check_target(mail(), plain_http=False) == mail()


@pytest.mark.parametrize("topic", ["", "a/b", "a b", "x" * 65, "ü"])
def test_a_topic_is_one_of_ntfys(topic: str) -> None:
    with pytest.raises(Invalid):
        channels.check_target(Ntfy("https://ntfy.sh", topic, None, False), plain_http=False)


@pytest.mark.parametrize(
    "offers, chosen",
    [
        ((None, None, None), channels.NOBODY),
        (("mailto:anna@example.org", "https://box.example.org", ""), "mailto:anna@example.org"),
        ((None, "https://box.example.org", ""), "https://box.example.org"),
        ((None, None, "https://box.tail1234.ts.net"), "https://box.tail1234.ts.net"),
        ((None, "http://box.example.org", "https://box.lan"), channels.NOBODY),
        ((None, "https://192.168.1.20:8443", "https://localhost"), channels.NOBODY),
        (("mailto:x@localhost", "https://box.local", "https://box.home.arpa"), channels.NOBODY),
        (("mailto:x@box.invalid", None, "https://[fd00::1]"), channels.NOBODY),
    ],
)
def test_push_services_get_a_contact_that_they_accept(offers: tuple[str | None, ...], chosen: str) -> None:
    assert channels.contact(*offers) == chosen


# RFC 8291, appendix A


def test_the_example_of_the_standard_comes_out_to_the_byte() -> None:
    number = int.from_bytes(unbase("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"), "big")
    body = webpush.encrypt(
        b"When I grow up, I want to be a watermelon",
        unbase("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"),
        unbase("BTBZMqHH6r4Tts7J_aSIgg"),
        ec.derive_private_key(number, ec.SECP256R1()),
        unbase("DGv6ra1nlYgDCS1FRnbzlw"),
    )
    assert body == unbase(
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl"
        "7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


def unbase(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
