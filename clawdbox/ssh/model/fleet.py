"""Snippets, and commands run on many connections at once."""

from datetime import datetime
from enum import StrEnum

import msgspec

SHORT_BYTES = 4_096  # of each stream of an answer, where all answers of a run are shown


class Kind(StrEnum):
    """What a variable's value may look like."""

    TEXT = "text"
    NAME = "name"
    PATH = "path"
    NUMBER = "number"
    CHOICE = "choice"


class Variable(msgspec.Struct, frozen=True):
    """A named place of a snippet; `choices` only for the kind `choice`."""

    name: str
    kind: Kind = Kind.TEXT
    description: str = ""
    default: str | None = None
    choices: list[str] = []


class Snippet(msgspec.Struct, frozen=True):
    """A row of `snippets`: a command with places such as `{{service}}`."""

    id: str
    account_id: str
    label: str
    description: str
    command: str
    variables: list[Variable]
    created_at: datetime
    updated_at: datetime


class RunState(StrEnum):
    """Values of `fleet_runs.state` (document 02)."""

    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


class AnswerState(StrEnum):
    """Values of `fleet_answers.state` (document 02)."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    LOST = "lost"
    CANCELLED = "cancelled"
    REFUSED = "refused"


class FleetRun(msgspec.Struct, frozen=True):
    """A row of `fleet_runs`. `command` is what was sent, with every value in it; `title` the snippet's label."""

    id: str
    account_id: str
    title: str | None
    command: str
    timeout_s: float
    state: RunState
    created_at: datetime
    ended_at: datetime | None


class Outcome(msgspec.Struct, frozen=True):
    """How one connection answered. Equal answers have an equal `digest`; `cause` says why there is none."""

    state: AnswerState
    exit_status: int | None = None
    stdout: bytes = b""
    stderr: bytes = b""
    truncated: bool = False
    digest: str | None = None
    duration_ms: float | None = None
    cause: str | None = None
    message: str | None = None
    next_step: str | None = None


class FleetAnswer(msgspec.Struct, frozen=True):
    """A row of `fleet_answers`, with the label of its connection."""

    id: str
    fleet_run_id: str
    connection_id: str
    label: str
    session_lease_id: str | None
    outcome: Outcome
    started_at: datetime | None
    ended_at: datetime | None
