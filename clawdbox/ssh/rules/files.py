"""Decisions about files on a server: what may be opened, which page is shown, when two people's changes meet."""

import hashlib
import re
from collections.abc import Callable, Iterable

import msgspec

from clawdbox.errors import Conflict, Forbidden, Invalid, Problem, TooLarge, Upstream
from clawdbox.ssh.model.files import Attributes, FileKind, Found, Reason, SortKey
from clawdbox.ssh.rules.file_names import is_hidden, shown

MAX_TEXT = 1_048_576  # bytes that the editor takes
MAX_ENTRIES = 100_000  # of one folder that are read
MAX_NAMES = 16_777_216  # bytes of all their names: sorting them takes a while, and memory
MAX_REMOVAL = 200_000  # things that one removal takes
MAX_DEPTH = 200  # folders within folders that one removal enters
MAX_UPLOAD = 2**43  # 8 TiB
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")

_PROBLEMS: dict[Reason, Callable[[], Problem]] = {
    "denied": lambda: Forbidden(
        "file_denied",
        "The server does not let this user do that. Look at the permissions, or sign in as another user.",
    ),
    "exists": lambda: Conflict(
        "file_exists", "There is something of that name already. Choose another name, or replace it."
    ),
    "failed": lambda: Conflict(
        "file_failed",
        "The server refused and did not say why. The disk may be full, or the place may not take it.",
    ),
    "is_folder": lambda: Conflict("file_is_folder", "This is a folder. Open it and choose a file."),
    "lost": lambda: Conflict(
        "session_reconnecting",
        "The link to the server was lost in the middle. Look at what came of it, then try again.",
    ),
    "missing": lambda: Problem(
        "file_not_found", "The server has nothing there. It may have been moved: look at the folder again."
    ),
    "no_space": lambda: Conflict(
        "file_disk_full",
        "The server's disk is full. Make room there, then go on: nothing that was there is lost.",
    ),
    "no_subsystem": lambda: Conflict(
        "sftp_missing",
        "This server offers no file transfer (SFTP). Add `Subsystem sftp internal-sftp` to its sshd_config and "
        "reload sshd, or use a terminal.",
    ),
    "nonsense": lambda: Upstream(
        "file_server_failed",
        "The server's file transfer (SFTP) ended, or gave an answer that is none. Does a start-up file of that "
        "user's shell print text? Try again; use a terminal if it stays.",
    ),
    "not_empty": lambda: Conflict(
        "folder_not_empty", "This folder is not empty. Remove what is in it first."
    ),
    "not_folder": lambda: Conflict("file_not_folder", "This is no folder. Look at the folder it is in."),
    "timeout": lambda: Upstream(
        "file_timeout", "The server did not answer in time. Its disk or the link may be slow: try again."
    ),
    "unsupported": lambda: Conflict(
        "file_unsupported", "This server's file transfer cannot do that. Use a terminal for it."
    ),
}


def problem_of(reason: Reason) -> Problem:
    """What a person is told when the server, or the way to it, refused."""
    return _PROBLEMS.get(reason, _PROBLEMS["failed"])()


# what may be done with what


def check_regular(attributes: Attributes) -> None:
    """Only a file is opened: a pipe would hang the server's file transfer, a device may do anything. Raises Conflict."""
    if attributes.kind is FileKind.FOLDER:
        raise problem_of("is_folder")
    if attributes.kind is FileKind.LINK:
        raise is_link()
    if attributes.kind is not FileKind.FILE:
        raise Conflict(
            "file_not_regular",
            "This is a device, a pipe or a socket, not a file. The box does not open it. Use a terminal.",
        )


def check_replaceable(attributes: Attributes) -> None:
    """Whether a new file may take its place. Raises Conflict."""
    if attributes.kind is FileKind.FOLDER:
        raise Conflict("file_is_folder", "There is a folder of that name. Choose another name.")
    check_regular(attributes)


def check_not_link(attributes: Attributes) -> None:
    if attributes.kind is FileKind.LINK:
        raise is_link()


def is_link() -> Conflict:
    return Conflict(
        "file_is_link",
        "This is a link, and the box does not follow links by itself. Open what it leads to and change that.",
    )


def check_into_itself(path: bytes, to: bytes) -> None:
    if to == path or to.startswith(path.rstrip(b"/") + b"/"):
        raise Invalid("to", "A folder cannot be moved into itself. Choose another place.")


def check_movable(path: bytes, field: str = "path") -> None:
    if path == b"/":
        raise Invalid(field, "This is the root of the server. Choose something in it.")


# a folder's page


def page(
    entries: Iterable[Found], *, sort: SortKey, descending: bool, hidden: bool, wanted: str
) -> tuple[list[Found], int]:
    """What matches, folders first, in order; and how many hidden ones were left out."""
    text = wanted.casefold()
    matching = [entry for entry in entries if not text or text in shown(entry.name).casefold()]
    visible = matching if hidden else [entry for entry in matching if not is_hidden(entry.name)]
    chosen = sorted(visible, key=lambda entry: shown(entry.name).casefold(), reverse=descending)
    if sort == "size":
        chosen.sort(key=lambda entry: entry.attributes.size or 0, reverse=descending)
    elif sort == "modified":
        chosen.sort(key=lambda entry: entry.attributes.modified or 0, reverse=descending)
    chosen.sort(key=lambda entry: entry.attributes.kind is not FileKind.FOLDER)
    return chosen, len(matching) - len(visible)


# text, and what happens when it changed meanwhile


def version_of(data: bytes, attributes: Attributes) -> str:
    """Names the state of a file that was read; the hash decides, size and time help a person who compares."""
    return f"{attributes.modified or 0}-{len(data)}-{hashlib.sha256(data).hexdigest()}"


def same_content(one: str, other: str) -> bool:
    """A file that was only touched has not changed."""
    return one.rpartition("-")[2] == other.rpartition("-")[2]


def as_text(data: bytes) -> str:
    """Raises TooLarge, and Conflict for what is no text."""
    if len(data) > MAX_TEXT:
        raise TooLarge(
            "file_too_large_to_edit",
            "This file is larger than 1 MiB, too large to edit here. Download it, or use a terminal.",
        )
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise _no_text() from None
    if "\0" in text:
        raise _no_text()
    return text


def _no_text() -> Conflict:
    return Conflict(
        "file_not_text", "This file is no text in UTF-8. Download it and open it with a program for it."
    )


def changed(version: str | None) -> Conflict:
    return Conflict(
        "file_changed",
        "This file changed on the server since it was opened. Compare the two versions, then keep one of them.",
        version=version,
    )


def needs_in_place(why: str) -> Conflict:
    return Conflict(
        "file_in_place_only",
        f"{why} The box can write into the file itself instead: if the link breaks in the middle, the file may be "
        "left half-written, so keep this page open until it is saved.",
    )


# ranges (RFC 9110, section 14)


class Span(msgspec.Struct, frozen=True):
    """Bytes from `start` up to, but not including, `end`; `partial` when they were asked for as a range."""

    start: int
    end: int
    partial: bool = False


def span_of(header: str | None, size: int) -> Span:
    """What a Range header asks of `size` bytes: several ranges or another unit are answered as a whole. Raises Problem."""
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None or match[1] == match[2] == "":
        return Span(0, size)
    if match[1] == "":
        start, end = max(0, size - int(match[2])), size
    else:
        start, end = int(match[1]), min(size, int(match[2]) + 1) if match[2] else size
        if match[2] and int(match[2]) < start:
            return Span(0, size)
    if start >= end:
        raise Problem(
            "range_not_satisfiable",
            "The file has fewer bytes than that. Start its download again.",
            size=size,
        )
    return Span(start, end, partial=True)


def etag(path: bytes, attributes: Attributes) -> str:
    """So that a browser resumes only what is still the same file."""
    name = hashlib.sha256(path).hexdigest()[:16]
    return f'"{name}-{attributes.modified or 0:x}-{attributes.size or 0:x}"'


def check_not_torn(before: Attributes, now: Attributes, whole: bool) -> None:
    """A file that only grew, such as a log, is whole up to where it was; anything else was torn. Raises Conflict."""
    grown = (now.size or 0) > (before.size or 0)
    if not whole or (not grown and now.modified != before.modified):
        raise changed(None)


# uploads


def check_offset(offset: int, length: int, have: int, size: int) -> None:
    """Raises Conflict with the right offset, and Invalid for bytes beyond the end."""
    if offset != have:
        raise Conflict(
            "upload_offset", f"The server has {have} bytes of this upload. Go on from there.", offset=have
        )
    if offset + length > size:
        raise Invalid("offset", "That is more than the upload said it would be. Start it again.")


def resume_from(found: int, size: int, unsure: int) -> int:
    """Where to go on with a part that an earlier session left: its last bytes may have been written out of order."""
    return 0 if found > size else max(0, found - unsure)
