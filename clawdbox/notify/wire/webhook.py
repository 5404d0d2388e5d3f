"""Webhooks: signed as the Standard Webhooks specification has it, so that any of its libraries can check them."""

import base64
import hashlib
import hmac
from datetime import datetime

import msgspec

from clawdbox.clock import iso
from clawdbox.notify.model import Message, Webhook
from clawdbox.notify.wire.dial import Headers

PREFIX = "whsec_"


def request(target: Webhook, message: Message, address: str, now: datetime) -> tuple[Headers, bytes]:
    """The id is that of the delivery: the same one again is the same message, sent a second time."""
    body = msgspec.json.encode(
        {
            "type": message.kind,
            "timestamp": iso(message.happened_at),
            "data": {"title": message.title, "body": message.body, "url": address + message.path},
        }
    )
    moment = str(int(now.timestamp()))
    headers = [
        ("content-type", "application/json"),
        ("webhook-id", message.id),
        ("webhook-timestamp", moment),
        ("webhook-signature", f"v1,{signature(target.secret, message.id, moment, body)}"),
    ]
    return headers, body


def signature(secret: str, message_id: str, moment: str, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = f"{message_id}.{moment}.".encode() + body
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
