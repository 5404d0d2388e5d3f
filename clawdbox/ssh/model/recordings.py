"""What a terminal showed, kept to be played again."""

from datetime import datetime
from enum import StrEnum

import msgspec


class RecordingState(StrEnum):
    """`cut`: the box died meanwhile. `broken`: it could not go on. Both can be played as far as they go."""

    RECORDING = "recording"
    DONE = "done"
    CUT = "cut"
    BROKEN = "broken"
    DELETED = "deleted"


class Policy(StrEnum):
    """Whether terminals are recorded: never, when somebody asks, or each from its first byte."""

    NEVER = "never"
    ASK = "ask"
    ALWAYS = "always"


class Recording(msgspec.Struct, frozen=True):
    """`duration_ms` and `size_bytes` are known once it has ended; of a running one the service tells them."""

    id: str
    account_id: str
    connection_id: str
    session_lease_id: str
    terminal_id: str
    title: str
    why: str
    state: RecordingState
    end_reason: str | None
    cols: int
    rows: int
    duration_ms: int | None
    size_bytes: int | None
    started_at: datetime
    ended_at: datetime | None
    deleted_at: datetime | None


class RecordingPage(msgspec.Struct, frozen=True):
    """`used_bytes` of `allowed_bytes` are taken by the recordings of the whole box."""

    recordings: list[Recording]
    total: int
    used_bytes: int
    allowed_bytes: int


class Policies(msgspec.Struct, frozen=True):
    """`connections`: those that do not follow the account's own choice, which is `default`."""

    default: Policy
    connections: dict[str, Policy]
