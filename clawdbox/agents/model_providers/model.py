"""A place where models are asked."""

from datetime import datetime
from enum import StrEnum

import msgspec

from clawdbox.vault import Secret


class Kind(StrEnum):
    """The protocol that is spoken there."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"


class ModelProvider(msgspec.Struct, frozen=True):
    """`has_key` is all that is ever said of its key; `model` is asked unless a conversation names another."""

    id: str
    account_id: str
    label: str
    kind: Kind
    base_url: str
    model: str
    has_key: bool
    created_at: datetime
    updated_at: datetime
    removed_at: datetime | None = None


class Endpoint(msgspec.Struct, frozen=True):
    """What a request needs: where, which model, and the key, which shows itself in no repr."""

    label: str
    kind: Kind
    base_url: str
    model: str
    key: Secret | None = None


class Preset(msgspec.Struct, frozen=True):
    """What most people fill in for a known service. `about` says what to mind."""

    name: str
    kind: Kind
    base_url: str
    needs_key: bool
    model_example: str
    about: str


class Verdict(msgspec.Struct, frozen=True):
    """What a test found: whether it answered, else why not; and which models it offers, as far as it lists them.

    `listed` is None where it lists none. `first_ms` is how long its first word took.
    """

    ok: bool
    message: str
    code: str | None = None
    first_ms: float | None = None
    models: tuple[str, ...] = ()
    listed: bool | None = None
