"""The notes beside the migrations: `clawdbox/store/notes/<table>.toml`, and the prose of the two overview pages."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "clawdbox" / "store" / "notes"

Text = Annotated[str, Meta(min_length=1)]


class Area(StrEnum):
    """What a table is about; the overview lists them in this order."""

    BOX = "The box itself"
    PEOPLE = "People and logins"
    SERVERS = "Keys and servers"
    SESSIONS = "Sessions and what runs in them"
    CHAT = "Conversations"
    TRAIL = "What happened"
    REQUESTS = "Requests"


class Protection(StrEnum):
    """How a column is kept from who should not read it, or from being changed unseen."""

    SEALED = "sealed"
    HASHED = "hashed"
    HIDDEN = "hidden"
    CHAINED = "chained"
    PLAIN = "plain"


class Sensitive(Struct, frozen=True, forbid_unknown_fields=True):
    """`level` says what it would cost if it leaked: `secret`, `personal` or `confidential`."""

    level: Annotated[str, Meta(pattern="^(secret|personal|confidential|integrity)$")]
    protection: Protection
    note: Text


class Relation(Struct, frozen=True, forbid_unknown_fields=True):
    """`verb` reads from the table that is referred to: an account *owns* connections."""

    verb: Text
    note: Text


class Usage(Struct, frozen=True, forbid_unknown_fields=True):
    file: Text
    does: Text


class Query(Struct, frozen=True, forbid_unknown_fields=True):
    """`uses`: the indexes, by name, that SQLite takes for it."""

    title: Text
    sql: Text
    uses: tuple[str, ...] = ()


class Notes(Struct, frozen=True, forbid_unknown_fields=True):
    """Keys of `checks` are the expressions as the schema has them; those of `indexes` the names or constraints."""

    area: Area
    summary: Text
    purpose: Text
    lifecycle: Text
    retention: Text
    columns: dict[str, Text]
    usage: tuple[Usage, ...]
    queries: tuple[Query, ...]
    values: dict[str, dict[str, Text]] = {}
    sensitive: dict[str, Sensitive] = {}
    relations: dict[str, Relation] = {}
    loose: dict[str, Text] = {}
    checks: dict[str, Text] = {}
    indexes: dict[str, Text] = {}
    triggers: dict[str, Text] = {}


def read_notes() -> dict[str, Notes]:
    """table → its notes. Raises ValueError that names the file."""
    return {file.stem: _read(file) for file in sorted(FOLDER.glob("*.toml"))}


def _read(file: Path) -> Notes:
    try:
        return msgspec.toml.decode(file.read_bytes(), type=Notes)
    except ValueError as error:  # msgspec's errors and tomllib's are both
        raise ValueError(f"{file.relative_to(ROOT)}: {error}") from None


def read_prose(name: str) -> str:
    """A page whose `<!-- name -->` lines are places for what is generated."""
    return (FOLDER / f"{name}.md.in").read_text()
