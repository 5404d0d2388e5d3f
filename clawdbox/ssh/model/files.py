"""What lies on a server: files, folders and links, as bytes name them."""

from enum import StrEnum
from typing import Literal

import msgspec

# Why the server, or the way to it, refused. `eof` never leaves the wire.
Reason = Literal[
    "denied",
    "eof",
    "exists",
    "failed",
    "is_folder",
    "lost",
    "missing",
    "no_space",
    "no_subsystem",
    "nonsense",
    "not_empty",
    "not_folder",
    "timeout",
    "unsupported",
]
Existing = Literal["ask", "replace", "keep_both"]
SortKey = Literal["name", "size", "modified"]


class FileKind(StrEnum):
    """`special` is a device, a pipe or a socket, which is never opened; `unknown` is what the server does not tell."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    SPECIAL = "special"
    UNKNOWN = "unknown"


class Attributes(msgspec.Struct, frozen=True):
    """As the server tells them; None is what it leaves out. `modified` is in seconds since 1970."""

    kind: FileKind = FileKind.UNKNOWN
    size: int | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    modified: int | None = None


class Found(msgspec.Struct, frozen=True):
    """A name in a folder. Links alone have `target` and, where it leads anywhere, `target_kind`."""

    name: bytes
    attributes: Attributes
    target: bytes | None = None
    target_kind: FileKind | None = None


class FilePage(msgspec.Struct, frozen=True):
    """A part of a folder as it was when it was read; `listing` names that reading.

    `total` counts what matches, `skipped` names that no file can have, `hidden` what begins with a dot and was left
    out; `cut` says that the folder holds more than the box reads.
    """

    path: bytes
    entries: list[Found]
    total: int
    hidden: int
    skipped: int
    cut: bool
    listing: str


class TextFile(msgspec.Struct, frozen=True):
    """A text as it was read. `path` is where it really lies, behind all links."""

    path: bytes
    text: str
    version: str
    attributes: Attributes


class UploadView(msgspec.Struct, frozen=True):
    """An upload that has not been finished: `offset` bytes of `size` are on the server."""

    id: str
    path: bytes
    size: int
    offset: int


class RemovalState(StrEnum):
    COUNTING = "counting"
    COUNTED = "counted"
    REMOVING = "removing"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class RemovalView(msgspec.Struct, frozen=True):
    """A removal: first it counts, then it waits for a yes, then it removes. `left` tells what could not be removed."""

    id: str
    path: bytes
    kind: FileKind
    state: RemovalState
    folders: int
    files: int
    size: int
    removed: int
    left: list[tuple[bytes, str]]
    left_count: int
    problem: str | None
