"""Gateways as they are saved, and what became of the last look at one."""

from datetime import datetime
from enum import StrEnum

import msgspec


class Way(StrEnum):
    DIRECT = "direct"
    FORWARD = "forward"


class Auth(StrEnum):
    NONE = "none"
    TOKEN = "token"
    PASSWORD = "password"


class State(StrEnum):
    UNTESTED = "untested"
    PAIRING = "pairing"
    READY = "ready"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"


class Gateway(msgspec.Struct, frozen=True):
    """`connection_id` is the server through whose sessions it is reached, as `url` is understood there.

    `problem` is a sentence for a person about `state`; `pairing_request_id` what is to be approved at the gateway.
    """

    id: str
    account_id: str
    label: str
    url: str
    way: Way
    connection_id: str | None
    auth: Auth
    device_id: str
    state: State
    pairing_request_id: str | None
    problem: str | None
    version: str | None
    checked_at: datetime | None
    created_at: datetime
    removed_at: datetime | None = None


class Look(msgspec.Struct, frozen=True):
    """What a connection to a gateway came to."""

    state: State
    problem: str | None = None
    pairing_request_id: str | None = None
    version: str | None = None
    latency_ms: float | None = None
