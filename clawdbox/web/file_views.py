"""Files as the API shows them: what is bytes on the server is text here that can be sent back."""

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from litestar.params import QueryParameter

from clawdbox.ssh.model.files import Attributes, Found
from clawdbox.ssh.rules import file_names as names

MAX_TEXT_PATH = 3 * names.MAX_PATH  # each byte may be written as %XX

FilePath = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=MAX_TEXT_PATH,
        description="A whole path; `%` and bytes that are no plain text are written as %XX.",
        examples=["/srv/bob/notes.txt"],
    ),
]
PathParameter = Annotated[
    str,
    QueryParameter(
        min_length=1,
        max_length=MAX_TEXT_PATH,
        description="A whole path, as `path` of an entry has it.",
    ),
]


Kind = Annotated[str, msgspec.Meta(examples=["file"])]
FileName = Annotated[str, msgspec.Meta(examples=["notes.txt"])]
FileMode = Annotated[str | None, msgspec.Meta(examples=["0644"])]
FileSize = Annotated[int | None, msgspec.Meta(examples=[4096])]


class FileEntry(msgspec.Struct, frozen=True):
    """`path` is what the API takes; `name` is for the eye, with what would steer a screen spelled out.

    `kind` is file, folder, link, special (a device, a pipe, a socket: never opened) or unknown. `target` and
    `target_kind` are a link's; `unfinished` is what an upload or a save left behind.
    """

    path: FilePath
    name: FileName
    kind: Kind
    size: FileSize
    mode: FileMode
    uid: Annotated[int | None, msgspec.Meta(examples=[1000])]
    gid: Annotated[int | None, msgspec.Meta(examples=[1000])]
    modified_at: datetime | None
    target: Annotated[str | None, msgspec.Meta(examples=[None])]
    target_kind: Annotated[str | None, msgspec.Meta(examples=[None])]
    unfinished: bool


class OneEntry(msgspec.Struct, frozen=True):
    entry: FileEntry


def entry_view(folder: bytes, found: Found) -> FileEntry:
    """`found` in `folder`."""
    attributes = found.attributes
    return FileEntry(
        path=names.encode_path(names.join(folder, found.name)),
        name=names.shown(found.name),
        kind=attributes.kind.value,
        size=attributes.size,
        mode=mode_text(attributes),
        uid=attributes.uid,
        gid=attributes.gid,
        modified_at=moment(attributes),
        target=names.shown(found.target) if found.target is not None else None,
        target_kind=found.target_kind.value if found.target_kind else None,
        unfinished=names.is_part(found.name),
    )


def mode_text(attributes: Attributes) -> str | None:
    return None if attributes.mode is None else f"{attributes.mode:04o}"


def moment(attributes: Attributes) -> datetime | None:
    return None if attributes.modified is None else datetime.fromtimestamp(attributes.modified, UTC)
