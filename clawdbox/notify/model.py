"""Channels, what is sent through them, and what came of it."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec


class Kind(StrEnum):
    """What a person can be told of. `test` is what they asked for themselves, to see that a channel works."""

    APPROVAL_WAITING = "approval_waiting"
    TURN_FINISHED = "turn_finished"
    AGENT_NEEDS_ANSWER = "agent_needs_answer"
    SESSION_LOST = "session_lost"
    KEY_EVENT = "key_event"
    HOST_KEY_EVENT = "host_key_event"
    INCIDENT = "incident"
    TEST = "test"


CHOOSABLE = tuple(kind for kind in Kind if kind is not Kind.TEST)


class ChannelKind(StrEnum):
    WEBPUSH = "webpush"
    NTFY = "ntfy"
    EMAIL = "email"
    WEBHOOK = "webhook"


class State(StrEnum):
    """`failed`: refused for good; `gave_up`: tried often enough, or no longer worth it."""

    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"
    GAVE_UP = "gave_up"


class WebPush(msgspec.Struct, frozen=True, tag_field="kind", tag="webpush"):
    """A browser's subscription. `origin` is the address under which it knows the box."""

    endpoint: str
    p256dh: str
    auth: str
    origin: str

    def __repr__(self) -> str:
        return "WebPush(…)"


class Ntfy(msgspec.Struct, frozen=True, tag_field="kind", tag="ntfy"):
    """`local`: the account says that it lies in its own network."""

    server: str
    topic: str
    token: str | None
    local: bool

    def __repr__(self) -> str:
        return "Ntfy(…)"


class Email(msgspec.Struct, frozen=True, tag_field="kind", tag="email"):
    """`security` is tls, starttls or none."""

    host: str
    port: int
    security: str
    username: str | None
    password: str | None
    sender: str
    to: str
    local: bool

    def __repr__(self) -> str:
        return "Email(…)"


class Webhook(msgspec.Struct, frozen=True, tag_field="kind", tag="webhook"):
    url: str
    secret: str
    local: bool

    def __repr__(self) -> str:
        return "Webhook(…)"


Target = WebPush | Ntfy | Email | Webhook


class Channel(msgspec.Struct, frozen=True):
    """`login_id` is the device of a web push, which ends with it."""

    id: str
    account_id: str
    login_id: str | None
    kind: ChannelKind
    label: str
    target_enc: str | None
    kinds: list[str]
    with_command: bool
    enabled: bool
    created_at: datetime
    updated_at: datetime
    last_ok_at: datetime | None
    failing_since: datetime | None


class Delivery(msgspec.Struct, frozen=True):
    """`folded` counts by kind the events of a flood that this one stands for."""

    id: str
    channel_id: str
    event_id: str | None
    kind: Kind
    folded: dict[str, int] | None
    state: State
    attempts: int
    next_try_at: datetime | None
    last_error: str | None
    created_at: datetime
    sent_at: datetime | None


class Logged(msgspec.Struct, frozen=True):
    """A delivery as its account sees it."""

    delivery: Delivery
    channel_kind: ChannelKind
    channel_label: str


class Message(msgspec.Struct, frozen=True):
    """What a person reads. `path` is a place in the app, `tag` what a later message about the same thing replaces."""

    id: str
    kind: Kind
    title: str
    body: str
    path: str
    tag: str
    urgent: bool
    ttl_s: int
    happened_at: datetime


class Answer(msgspec.Struct, frozen=True):
    """What the other side said: an HTTP status, or the code of an SMTP reply."""

    status: int
    retry_after: str | None = None


class Outcome(msgspec.Struct, frozen=True):
    """`gone`: there is nobody at that address any more. `wait_s`: how long the other side asked to be left alone."""

    state: State
    code: str | None = None
    gone: bool = False
    wait_s: float | None = None


class Unreached(Exception):
    """No answer came; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Happening(msgspec.Struct, frozen=True):
    """What is known of an event when it is told: `label` of its connection, `command` only where it may be shown."""

    event_id: str
    account_id: str
    type: str
    subject_id: str | None
    payload: dict[str, Any]
    created_at: datetime
    label: str | None = None
    command: str | None = None
