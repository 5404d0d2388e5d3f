"""Decisions about saved connections: what may be saved, which host key a test may accept, what a test means."""

from datetime import datetime

import msgspec

from clawdbox import names, net
from clawdbox.errors import Conflict, Invalid, Problem
from clawdbox.policy import Tier
from clawdbox.ssh.model import Connection, HostKey, TestResult

# Causes of a failed dial that are about the host key, whatever the wire calls them.
HOST_KEY_CAUSES = frozenset({"host_key_unknown", "host_key_changed", "key_type_changed"})
TIMEOUT_CAUSES = frozenset({"timeout", "firewall"})


class Place(msgspec.Struct, frozen=True):
    """Where a connection leads and what it is called, checked."""

    label: str
    host: str
    port: int
    username: str
    jump_connection_id: str | None = None


def check_place(
    label: str,
    host: str,
    port: int,
    username: str,
    own_port: int | None,
    allow_loopback: bool,
    jump: str | None = None,
) -> Place:
    """Raises Invalid naming the field that cannot be taken. Behind a jump host, addresses are those of its network."""
    if not 1 <= port <= 65535:
        raise Invalid("port", "A port is a number from 1 to 65535; SSH servers mostly listen on 22.")
    place = Place(names.label(label), net.canonical_host(host), port, names.username(username), jump)
    if jump is None:
        reason = net.host_verdict(place.host, port, own_port, allow_loopback)
    else:
        reason = net.jumped_host_verdict(place.host, port)
    if reason:
        raise Invalid(
            "host", f"The box does not connect there: {reason}.{_loopback_hint(reason)}", "address_refused"
        )
    return place


def _loopback_hint(reason: str) -> str:
    if "loopback" not in reason:
        return ""
    return " The owner can allow loopback in Settings, or start the box with --allow-loopback."


_TIERS = tuple(Tier)  # the strictest first


def lowers_policy(before: Connection, tier: Tier | None, judge_people: bool | None) -> bool:
    """Whether more would run on this server unasked than before."""
    laxer = tier is not None and _TIERS.index(tier) > _TIERS.index(Tier(before.tier))
    return laxer or (before.judge_people and judge_people is False)


def edited(
    connection: Connection, place: Place, keypair_id: str, sessions: list[str], now: datetime
) -> Connection:
    """The connection after an edit. Another host or port is another server: pin and test result go. Another way to it
    leaves the pin, which must hold there, too, and wants a new test.

    Raises Conflict while a session is open and more than the label would change.
    """
    after = msgspec.structs.replace(
        connection, **msgspec.structs.asdict(place), keypair_id=keypair_id, updated_at=now
    )
    moved = (after.host, after.port) != (connection.host, connection.port)
    rerouted = after.jump_connection_id != connection.jump_connection_id
    changed_login = (after.username, after.keypair_id) != (connection.username, connection.keypair_id)
    if sessions and (moved or rerouted or changed_login):
        raise in_use(sessions, "Only its label can be changed meanwhile.")
    if moved:
        return forgotten(after)
    return untested(after) if rerouted else after


def untested(connection: Connection) -> Connection:
    """The connection as a draft that keeps its pin."""
    return msgspec.structs.replace(
        connection,
        last_tested_at=None,
        last_test_result=None,
        last_test_message=None,
        last_latency_ms=None,
        host_authority_id=None,
    )


def unvouched(connection: Connection) -> Connection:
    """The connection after the authority that spoke for its host was removed; a pin of its own holds on."""
    return untested(connection) if connection.host_key_fingerprint is None else vouched(connection, None)


def vouched(connection: Connection, authority_id: str | None) -> Connection:
    """The connection trusted by a certificate of that authority, or by none."""
    return msgspec.structs.replace(connection, host_authority_id=authority_id)


def forgotten(connection: Connection) -> Connection:
    """The connection without anything a server has shown."""
    return msgspec.structs.replace(
        untested(connection),
        host_key_fingerprint=None,
        host_key_type=None,
        host_key_pinned_at=None,
        offered_fingerprint=None,
        offered_key_type=None,
        offered_at=None,
    )


def in_use(sessions: list[str], hint: str) -> Conflict:
    return Conflict(
        "connection_in_use", f"A session is open on this connection. {hint}", session_ids=sessions
    )


def acceptable_key(connection: Connection, accept: bool, fingerprint: str | None) -> HostKey | None:
    """The one host key that a test may accept, or None when any key would be unknown.

    `accept` with a fingerprint means exactly that key; `accept` alone means the key that was shown last.
    """
    pinned = _key(connection.host_key_fingerprint, connection.host_key_type)
    shown = _key(connection.offered_fingerprint, connection.offered_key_type)
    if not accept:
        return pinned
    if fingerprint is None:
        return shown or pinned
    if shown and shown.fingerprint == fingerprint:
        return shown
    return HostKey(fingerprint, connection.host_key_type or "")


def _key(fingerprint: str | None, key_type: str | None) -> HostKey | None:
    return HostKey(fingerprint, key_type or "") if fingerprint else None


def pinned(connection: Connection, key: HostKey, now: datetime) -> Connection:
    """The connection trusting `key` from now on; the same pin keeps its date."""
    same = connection.host_key_fingerprint == key.fingerprint
    at = (connection.host_key_pinned_at or now) if same else now
    return msgspec.structs.replace(
        connection,
        host_key_fingerprint=key.fingerprint,
        host_key_type=key.type,
        host_key_pinned_at=at,
        offered_fingerprint=None,
        offered_key_type=None,
        offered_at=None,
    )


def shown(connection: Connection, key: HostKey, now: datetime) -> Connection:
    """The connection after a server showed a key that is not its pin. Tests stay possible, sessions do not change."""
    mismatch = (
        TestResult.HOST_KEY_MISMATCH if connection.host_key_fingerprint else connection.last_test_result
    )
    return msgspec.structs.replace(
        connection,
        offered_fingerprint=key.fingerprint,
        offered_key_type=key.type,
        offered_at=now,
        last_tested_at=now,
        last_test_result=mismatch,
    )


def check_same_server(asked: Connection, now: Connection) -> None:
    """Raises Conflict when what was learned about `asked` no longer belongs to the connection as it is now."""
    if (asked.host, asked.port, asked.jump_connection_id) != (now.host, now.port, now.jump_connection_id):
        raise Conflict("connection_changed", "The connection was edited during the test. Test it again.")


def changed_meanwhile() -> Conflict:
    """A test that was overtaken must neither undo nor repeat what a person decided about the host key."""
    return Conflict(
        "connection_changed", "Another test decided about this server's host key meanwhile. Test it again."
    )


def host_key_problem(connection: Connection, offered: HostKey, now: datetime) -> Problem:
    """409 `host_key_unknown` or `host_key_changed` (document 03), with what a person needs to decide."""
    if connection.host_key_fingerprint is None:
        return Conflict(
            "host_key_unknown",
            "The server showed its host key for the first time. Compare the fingerprint with the server's own, then accept it.",
            new_fingerprint=offered.fingerprint,
            new_type=offered.type,
        )
    return Conflict(
        "host_key_changed",
        "The server shows another host key than the one you accepted, so nothing was sent to it. If you rebuilt the"
        " server, compare the new fingerprint and accept it; if you did not, somebody may be in between.",
        old_fingerprint=connection.host_key_fingerprint,
        old_type=connection.host_key_type,
        pinned_at=connection.host_key_pinned_at,
        new_fingerprint=offered.fingerprint,
        new_type=offered.type,
        offered_at=now,
    )


def tested(
    connection: Connection, result: TestResult, message: str, latency_ms: float | None, now: datetime
) -> Connection:
    return msgspec.structs.replace(
        connection,
        last_tested_at=now,
        last_test_result=result,
        last_test_message=message,
        last_latency_ms=latency_ms if latency_ms is not None else connection.last_latency_ms,
    )


def result_of(cause: str) -> TestResult:
    if cause in HOST_KEY_CAUSES:
        return TestResult.HOST_KEY_MISMATCH
    return TestResult.TIMEOUT if cause in TIMEOUT_CAUSES else TestResult.FAILED
