"""What a person reads. Nothing in it is secret: a push passes through others' hands, and stands on a locked screen."""

from datetime import datetime, timedelta

from clawdbox.clock import parse
from clawdbox.notify.model import Happening, Kind, Message

SHELF_LIFE = timedelta(hours=24)
_MAX_COMMAND = 300
_NOWHERE = "a server"

URGENT = frozenset({Kind.APPROVAL_WAITING, Kind.AGENT_NEEDS_ANSWER, Kind.HOST_KEY_EVENT, Kind.INCIDENT})

_CLASSES = {
    "read": "A command that only reads",
    "change": "A command that changes something",
    "privileged": "A command with another user's rights",
    "destructive": "A command that destroys something",
    "lock_out": "A command that could lock you out",
}
_TURN_ENDS = {
    "done": "The agent has finished",
    "failed": "The agent could not finish",
    "lost": "A crash of the box cut the agent short",
}
_COUNTED = {
    Kind.APPROVAL_WAITING: ("approval waiting", "approvals waiting"),
    Kind.TURN_FINISHED: ("turn finished", "turns finished"),
    Kind.AGENT_NEEDS_ANSWER: ("question of an agent", "questions of agents"),
    Kind.SESSION_LOST: ("session lost", "sessions lost"),
    Kind.KEY_EVENT: ("change of a key", "changes of keys"),
    Kind.HOST_KEY_EVENT: ("host key to look at", "host keys to look at"),
    Kind.INCIDENT: ("incident", "incidents"),
}


def deadline(happening: Happening) -> datetime:
    """From when on it is not worth telling any more."""
    expires_at = happening.payload.get("expires_at")
    if happening.type == "approval.requested" and isinstance(expires_at, str):
        return parse(expires_at)
    return happening.created_at + SHELF_LIFE


def message(delivery_id: str, kind: Kind, happening: Happening, now: datetime) -> Message:
    title, body, path = _WORDS[kind](happening)
    if happening.command:
        body = f"{body}\n{_shortened(happening.command)}"
    left = (deadline(happening) - now).total_seconds()
    return Message(
        id=delivery_id,
        kind=kind,
        title=title,
        body=body,
        path=path,
        tag=f"{happening.type.partition('.')[0]}:{happening.subject_id or happening.event_id}",
        urgent=kind in URGENT,
        ttl_s=max(0, int(left)),
        happened_at=happening.created_at,
    )


def folded(delivery_id: str, counts: dict[str, int], happened_at: datetime) -> Message:
    """One for all that a flood would have brought."""
    total = sum(counts.values())
    parts = [f"{count} {_COUNTED[Kind(kind)][count != 1]}" for kind, count in sorted(counts.items())]
    waiting = {Kind.APPROVAL_WAITING, Kind.AGENT_NEEDS_ANSWER} & counts.keys()
    return Message(
        id=delivery_id,
        kind=Kind.APPROVAL_WAITING if waiting else Kind(min(counts)),
        title=f"And {total} more",
        body=", ".join(parts),
        path="/approvals" if waiting else "/",
        tag="folded",
        urgent=bool(waiting),
        ttl_s=int(SHELF_LIFE.total_seconds()),
        happened_at=happened_at,
    )


def trial(delivery_id: str, now: datetime) -> Message:
    return Message(
        id=delivery_id,
        kind=Kind.TEST,
        title="It works",
        body="This is the test that you sent from your box.",
        path="/settings/notifications",
        tag="test",
        urgent=True,
        ttl_s=60,
        happened_at=now,
    )


def _approval(happening: Happening) -> tuple[str, str, str]:
    what = _CLASSES.get(str(happening.payload.get("class")), "A command that the box cannot judge")
    if happening.payload.get("kind") == "file":
        what = "A change of a file"
    place = happening.label or _NOWHERE
    return f"Approval needed on {place}", f"{what} waits for your answer.", _approval_path(happening)


def _question(happening: Happening) -> tuple[str, str, str]:
    place = happening.label or _NOWHERE
    return f"An agent asks you on {place}", "It waits for your answer.", _approval_path(happening)


def _approval_path(happening: Happening) -> str:
    return f"/approvals/{happening.subject_id}"


def _turn(happening: Happening) -> tuple[str, str, str]:
    end = _TURN_ENDS[str(happening.payload["state"])]
    path = f"/conversations/{happening.payload['conversation_id']}"
    return f"{end} on {happening.label or _NOWHERE}", "Open the conversation to see what it did.", path


def _session(happening: Happening) -> tuple[str, str, str]:
    lost = happening.payload.get("close_reason") == "server_closed"
    why = "The link was lost and did not come back." if lost else "It ended in an error."
    return f"Session on {happening.label or _NOWHERE} ended", why, f"/sessions/{happening.subject_id}"


def _key(happening: Happening) -> tuple[str, str, str]:
    name = happening.payload.get("label") or "default"
    if happening.type == "keypair.revoked":
        return "A key was revoked", f"“{name}” opens no server any more.", "/keys"
    return "A new key was made", f"“{name}” can now be installed on servers.", "/keys"


def _host_key(happening: Happening) -> tuple[str, str, str]:
    place, path = happening.label or _NOWHERE, f"/connections/{happening.subject_id}"
    if happening.type == "host_key.changed":
        return (
            f"The host key of {place} changed",
            "The box did not log in. Look at both keys before you accept the new one.",
            path,
        )
    return (
        f"Unknown host key on {place}",
        "The box did not log in. Compare the key before you accept it.",
        path,
    )


def _incident(happening: Happening) -> tuple[str, str, str]:
    failures, minutes = happening.payload["failures"], int(happening.payload["within_s"]) // 60
    body = f"{failures} or more within {minutes} minutes from {happening.payload['subject']}. If it was not you, look."
    return "Logins failed", body, "/audit"


_WORDS = {
    Kind.APPROVAL_WAITING: _approval,
    Kind.AGENT_NEEDS_ANSWER: _question,
    Kind.TURN_FINISHED: _turn,
    Kind.SESSION_LOST: _session,
    Kind.KEY_EVENT: _key,
    Kind.HOST_KEY_EVENT: _host_key,
    Kind.INCIDENT: _incident,
}


def _shortened(command: str) -> str:
    return command if len(command) <= _MAX_COMMAND else f"{command[: _MAX_COMMAND - 1]}…"
