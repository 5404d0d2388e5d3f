"""`/sessions/{id}/files`: folders, entries, and texts. Bytes go through `file_transfers.py`."""

from typing import Annotated

import msgspec
from litestar import get, post
from litestar.params import JSONBody, QueryParameter

from clawdbox.errors import Invalid
from clawdbox.ssh.model.files import SortKey, TextFile
from clawdbox.ssh.rules import file_names as names
from clawdbox.ssh.service.files import View
from clawdbox.web.fields import Id, PathId
from clawdbox.web.file_views import (
    FileEntry,
    FileMode,
    FileName,
    FilePath,
    OneEntry,
    PathParameter,
    entry_view,
    mode_text,
)
from clawdbox.web.problems import usual
from clawdbox.web.visit import Req, at

_MAX_TEXT_BODY = 8 * 1_048_576  # a text of 1 MiB, in which JSON may write every byte as six
SORTS = ["name", "size", "modified"]
LEASE = "`session_not_active`, `session_reconnecting`, `sftp_missing`, `sftp_refused`"
SERVER = "The server's SFTP failed (`file_server_failed`)."
SLOW = "The server did not answer in time (`file_timeout`)."
GONE = "There is no such session, or nothing at that path (`file_not_found`)."
DENIED = "The server does not let its user do that (`file_denied`), or the login may not."


class Listing(msgspec.Struct, frozen=True):
    """A page of a folder. `hidden` and `skipped` were left out: names with a dot, and names that no file can have.

    `cut` says that the folder holds more than the box reads (100,000).
    """

    path: Annotated[str, msgspec.Meta(examples=["/srv/bob"])]
    name: Annotated[str, msgspec.Meta(examples=["bob"])]
    parent: Annotated[str | None, msgspec.Meta(examples=["/srv"])]
    entries: list[FileEntry]
    total: int
    hidden: int
    skipped: Annotated[int, msgspec.Meta(examples=[0])]
    cut: bool
    listing: Id
    limit: int
    offset: int


class NewFolder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: Annotated[FilePath, msgspec.Meta(examples=["/srv/bob/photos"])]


class Move(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: FilePath
    to: Annotated[FilePath, msgspec.Meta(examples=["/srv/bob/done.txt"])]
    replace: Annotated[bool, msgspec.Meta(description="Take the place of a file that is there.")] = False


class Mode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: FilePath
    mode: Annotated[
        str,
        msgspec.Meta(max_length=5, pattern="^[0-7]{3,4}$", description="Octal.", examples=["0644"]),
    ]


class TextView(msgspec.Struct, frozen=True):
    """`path` is where the text really lies, behind links. Send `version` back when you save it."""

    path: FilePath
    name: FileName
    text: Annotated[str, msgspec.Meta(examples=["hello\n"])]
    version: Annotated[
        str,
        msgspec.Meta(
            examples=["1763696880-6-5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"]
        ),
    ]
    mode: FileMode


class OneText(msgspec.Struct, frozen=True):
    file: TextView


class SaveText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: FilePath
    text: Annotated[str, msgspec.Meta(max_length=1_048_576, examples=["hello\n"])]
    version: Annotated[
        str, msgspec.Meta(max_length=128, description="As it was read; empty for a new file.", examples=[""])
    ]
    in_place: Annotated[
        bool, msgspec.Meta(description="After `file_in_place_only`: write into the file itself.")
    ] = False


@get(
    "/sessions/{session_id:str}/files",
    summary="A folder",
    responses=usual(422, s403=DENIED, s404=GONE, s409=f"{LEASE}, `file_not_folder`.", s502=SERVER, s504=SLOW),
)
async def list_files(
    request: Req,
    session_id: PathId,
    path: Annotated[
        str | None,
        QueryParameter(max_length=3 * names.MAX_PATH, description="Without it, the home folder."),
    ] = None,
    sort: Annotated[
        str, QueryParameter(description="Folders come first.", enum=SORTS, max_length=16)
    ] = "name",
    descending: Annotated[bool, QueryParameter(description="The other way round.")] = False,
    hidden: Annotated[bool, QueryParameter(description="Also names that begin with a dot.")] = False,
    wanted: Annotated[str, QueryParameter(max_length=200, description="Only names with this in them.")] = "",
    listing: Annotated[
        str,
        QueryParameter(max_length=64, description="Of an earlier page: the folder is not read again."),
    ] = "",
    limit: Annotated[int, QueryParameter(ge=1, le=500, description="How many at most.")] = 200,
    offset: Annotated[int, QueryParameter(ge=0, le=1_000_000, description="How many to skip.")] = 0,
) -> Listing:
    """In pages, of one reading as long as `listing` is sent and the box still has it (two minutes)."""
    box, who = at(request)
    folder = names.decode_path(path) if path else None
    view = View(_sort(sort), descending, hidden, wanted, limit, offset)
    page = await box.files.list(who.actor, who.account_id, session_id, folder, view, listing)
    return Listing(
        path=names.encode_path(page.path),
        name=names.shown(names.base(page.path)) or "/",
        parent=None if page.path == b"/" else names.encode_path(names.parent(page.path)),
        entries=[entry_view(page.path, found) for found in page.entries],
        total=page.total,
        hidden=page.hidden,
        skipped=page.skipped,
        cut=page.cut,
        listing=page.listing,
        limit=limit,
        offset=offset,
    )


@get(
    "/sessions/{session_id:str}/files/entry",
    summary="A file or folder",
    responses=usual(422, s403=DENIED, s404=GONE, s409=f"{LEASE}.", s502=SERVER, s504=SLOW),
)
async def get_file(request: Req, session_id: PathId, path: PathParameter = "/") -> OneEntry:
    """What is at a path; a link itself, and what it leads to."""
    box, who = at(request)
    raw = names.decode_path(path)
    return OneEntry(entry_view(names.parent(raw), await box.files.stat(who.account_id, session_id, raw)))


@post(
    "/sessions/{session_id:str}/files/folders",
    opt={"action": "file.make_folder"},
    summary="Make a folder",
    responses=usual(
        422, s403=DENIED, s404=GONE, s409=f"{LEASE}, `file_exists`, `file_failed`.", s502=SERVER, s504=SLOW
    ),
)
async def make_folder(request: Req, session_id: PathId, data: JSONBody[NewFolder]) -> OneEntry:
    """The folder around it must be there."""
    box, who = at(request)
    path = names.decode_path(data.path)
    found = await box.files.make_folder(who.actor, who.account_id, session_id, path)
    return OneEntry(entry_view(names.parent(path), found))


@post(
    "/sessions/{session_id:str}/files/move",
    status_code=200,
    opt={"action": "file.move"},
    summary="Rename or move",
    responses=usual(
        422,
        s403=DENIED,
        s404=GONE,
        s409=f"{LEASE}, `file_exists`, `file_is_folder`, `file_is_link`, `file_not_regular`, `file_failed`.",
        s502=SERVER,
        s504=SLOW,
    ),
)
async def move_file(request: Req, session_id: PathId, data: JSONBody[Move]) -> OneEntry:
    """A link is moved as a link. Nothing is replaced unless `replace` says so, and a folder never."""
    box, who = at(request)
    path, to = names.decode_path(data.path), names.decode_path(data.to, "to")
    found = await box.files.move(who.actor, who.account_id, session_id, path, to, replace=data.replace)
    return OneEntry(entry_view(names.parent(to), found))


@post(
    "/sessions/{session_id:str}/files/permissions",
    status_code=200,
    opt={"action": "file.set_mode"},
    summary="Set permissions",
    responses=usual(
        422, s403=DENIED, s404=GONE, s409=f"{LEASE}, `file_is_link`, `file_failed`.", s502=SERVER, s504=SLOW
    ),
)
async def set_file_mode(request: Req, session_id: PathId, data: JSONBody[Mode]) -> OneEntry:
    """Of a file or a folder; a link is refused, since it has none of its own."""
    box, who = at(request)
    path = names.decode_path(data.path)
    found = await box.files.set_mode(who.actor, who.account_id, session_id, path, int(data.mode, 8))
    return OneEntry(entry_view(names.parent(path), found))


@get(
    "/sessions/{session_id:str}/files/text",
    summary="Open a text",
    responses=usual(
        422,
        s403=DENIED,
        s404=GONE,
        s409=f"{LEASE}, `file_not_text`, `file_not_regular`, `file_is_folder`.",
        s413="Larger than 1 MiB (`file_too_large_to_edit`).",
        s502=SERVER,
        s504=SLOW,
    ),
)
async def open_text(request: Req, session_id: PathId, path: PathParameter = "/") -> OneText:
    """Of at most 1 MiB of UTF-8; a link is followed, and `path` of the answer says to where."""
    box, who = at(request)
    file = await box.file_edits.read(who.actor, who.account_id, session_id, names.decode_path(path))
    return OneText(text_view(file))


@post(
    "/sessions/{session_id:str}/files/text",
    status_code=200,
    opt={"action": "file.save_text"},
    request_max_body_size=_MAX_TEXT_BODY,
    summary="Save a text",
    responses=usual(
        422,
        s403=DENIED,
        s404=GONE,
        s409=(
            f"{LEASE}, `file_changed` (`version` is the one that is there now), `file_in_place_only`, `file_exists`, "
            "`file_disk_full`, `file_not_regular`, `file_is_folder`, `file_failed`."
        ),
        s502=SERVER,
        s504=SLOW,
    ),
)
async def save_text(request: Req, session_id: PathId, data: JSONBody[SaveText]) -> OneText:
    """Keeps mode and owner, and the old text until the new one is whole. The answer's `text` is empty."""
    box, who = at(request)
    path = names.decode_path(data.path)
    file = await box.file_edits.save(
        who.actor, who.account_id, session_id, path, data.text, data.version, in_place=data.in_place
    )
    return OneText(text_view(msgspec.structs.replace(file, text="")))


def text_view(file: TextFile) -> TextView:
    name = names.shown(names.base(file.path))
    return TextView(names.encode_path(file.path), name, file.text, file.version, mode_text(file.attributes))


def _sort(text: str) -> SortKey:
    for key in ("name", "size", "modified"):
        if text == key:
            return key
    raise Invalid("sort", f"Choose one of {', '.join(SORTS)}.")
