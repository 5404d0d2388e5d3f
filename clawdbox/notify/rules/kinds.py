"""Which events a person is told of, and as what."""

from collections.abc import Callable, Mapping
from typing import Any

from clawdbox.notify.model import Kind

Payload = Mapping[str, Any]

# a turn that its own person cancelled is no news
_TURN_ENDS = frozenset({"done", "failed", "lost"})


def _approval(payload: Payload) -> Kind:
    return Kind.AGENT_NEEDS_ANSWER if payload.get("kind") == "question" else Kind.APPROVAL_WAITING


def _turn(payload: Payload) -> Kind | None:
    return Kind.TURN_FINISHED if payload.get("state") in _TURN_ENDS else None


def _failed_session(payload: Payload) -> Kind | None:
    """One that never began has somebody in front of it who is told why."""
    return Kind.SESSION_LOST if payload.get("started_at") else None


def _closed_session(payload: Payload) -> Kind | None:
    return Kind.SESSION_LOST if payload.get("close_reason") == "server_closed" else None


def _key(_payload: Payload) -> Kind:
    return Kind.KEY_EVENT


def _host_key(_payload: Payload) -> Kind:
    return Kind.HOST_KEY_EVENT


def _incident(_payload: Payload) -> Kind:
    return Kind.INCIDENT


TABLE: Mapping[str, Callable[[Payload], Kind | None]] = {
    "approval.requested": _approval,
    "turn.finished": _turn,
    "session.error": _failed_session,
    "session.closed": _closed_session,
    "keypair.created": _key,
    "keypair.revoked": _key,
    "host_key.unknown": _host_key,
    "host_key.changed": _host_key,
    "incident.failed_logins": _incident,
}

# What is heard besides: a device whose login ended is not told anything more.
LOGIN_ENDED = "login.revoked"
HEARD = (*TABLE, LOGIN_ENDED)


def kind_of(event_type: str, payload: Payload) -> Kind | None:
    decide = TABLE.get(event_type)
    return decide(payload) if decide else None


def is_seen(event_type: str, payload: Payload, watched: frozenset[str], *, present: bool) -> bool:
    """Whether the account has it on a screen now: a turn of a conversation that a page follows, or a new server's key,
    which who has the app open is being asked about."""
    if event_type == "turn.finished":
        return payload.get("conversation_id") in watched
    return event_type == "host_key.unknown" and present
