"""ntfy: a message published as JSON to the root of its server."""

import msgspec

from clawdbox.notify.model import Kind, Message, Ntfy
from clawdbox.notify.wire.dial import Headers

_TAGS = {
    Kind.APPROVAL_WAITING: "raised_hand",
    Kind.AGENT_NEEDS_ANSWER: "question",
    Kind.TURN_FINISHED: "white_check_mark",
    Kind.SESSION_LOST: "electric_plug",
    Kind.KEY_EVENT: "key",
    Kind.HOST_KEY_EVENT: "warning",
    Kind.TEST: "bell",
}


def request(target: Ntfy, message: Message, address: str) -> tuple[Headers, bytes]:
    body = {
        "topic": target.topic,
        "title": message.title,
        "message": message.body,
        "priority": 4 if message.urgent else 3,
        "tags": [_TAGS[message.kind]],
        "click": address + message.path,
    }
    headers = [("content-type", "application/json")]
    if target.token:
        headers.append(("authorization", f"Bearer {target.token}"))
    return headers, msgspec.json.encode(body)
