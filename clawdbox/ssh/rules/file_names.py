"""Names and paths on a server. SFTP's are bytes; what a person or a program sees of them is text that can be turned back."""

import unicodedata
from functools import lru_cache
from urllib.parse import quote_from_bytes, unquote_to_bytes

from clawdbox.errors import Invalid

MAX_PATH = 4096  # bytes, Linux's PATH_MAX
MAX_NAME = 1024  # more than any file system takes: 255 characters of a Windows server can be 765 bytes
_PART = b".clawdbox-part-"
_OLD = b".clawdbox-old-"
_MOST_OF_NAME = 200  # bytes, so that a part's name stays below 255


def encode_path(path: bytes) -> str:
    """A path as text that `decode_path` turns back: readable, with `%XX` for `%` and for bytes that are no plain text."""
    text = path.decode("utf-8", "surrogateescape")
    return "".join(char if _is_plain(char) and char != "%" else _escaped(char) for char in text)


def decode_path(text: str, field: str = "path") -> bytes:
    """The bytes of an absolute path in the form of `encode_path`. Raises Invalid.

    `//` and `/./` are mended; `..` is refused, since only the server knows where a link's parent is.
    """
    try:
        raw = unquote_to_bytes(text)
    except UnicodeEncodeError:
        raise Invalid(field, "This path is no text. Write other bytes as %XX.") from None
    if not raw.startswith(b"/"):
        raise Invalid(field, "Give a whole path, one that begins with a slash.")
    if b"\0" in raw or len(raw) > MAX_PATH:
        raise Invalid(field, f"A path has at most {MAX_PATH} bytes, and no NUL among them.")
    parts = [part for part in raw.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise Invalid(field, "Write the path without `..`.")
    return b"/" + b"/".join(parts)


def shown(name: bytes) -> str:
    """A name for the eye. What would steer a screen or turn the text around is spelled out, and so are stray bytes."""
    text = name.decode("utf-8", "surrogateescape")
    return text if text.isprintable() else "".join(map(_shown, text))


def is_usable(name: bytes) -> bool:
    """Whether a name that a server tells can be one: it must not lead out of its folder."""
    return 0 < len(name) <= MAX_NAME and name not in (b".", b"..") and b"/" not in name and b"\0" not in name


def is_hidden(name: bytes) -> bool:
    return name.startswith(b".")


def join(folder: bytes, name: bytes) -> bytes:
    return folder.rstrip(b"/") + b"/" + name


def parent(path: bytes) -> bytes:
    return path.rpartition(b"/")[0] or b"/"


def base(path: bytes) -> bytes:
    return path.rpartition(b"/")[2]


def check_target(path: bytes, field: str = "path") -> bytes:
    """A path at which something can be made. Raises Invalid."""
    if not is_usable(base(path)):
        raise Invalid(field, "Choose another name: this one is empty or too long.")
    return path


def part_of(path: bytes, token: str) -> bytes:
    """Where an upload or a saved text lies until it is whole: beside its target, hidden, and marked as ours."""
    return join(parent(path), b"." + base(path)[:_MOST_OF_NAME] + _PART + token.encode())


def old_of(path: bytes, token: str) -> bytes:
    """Where a file waits while another takes its place on a server that cannot do that in one step."""
    return join(parent(path), b"." + base(path)[:_MOST_OF_NAME] + _OLD + token.encode())


def is_part(name: bytes) -> bool:
    """A leftover of an upload or of a save that never came to its end."""
    return name.startswith(b".") and _PART in name


def numbered(path: bytes, number: int) -> bytes:
    """`report.pdf` → `report (2).pdf`, for keeping both."""
    name = base(path)
    stem, dot, ending = name.rpartition(b".")
    if not stem:
        stem, dot, ending = name, b"", b""
    return join(parent(path), b"%b (%d)%b%b" % (stem, number, dot, ending))


def disposition(name: bytes) -> str:
    """Content-Disposition (RFC 6266) that saves and never shows; the name in ASCII, and whole by RFC 8187."""
    text = shown(name).replace("/", "_").replace("\\", "_").strip(". ") or "download"
    plain = "".join(char if char.isascii() and char not in '"%;' else "_" for char in text)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote_from_bytes(text.encode(), safe='')}"


def _is_plain(char: str) -> bool:
    # Cc control, Cf formatting (bidi overrides, invisible characters), Cs a stray byte, Zl and Zp line ends.
    return unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def _escaped(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogateescape"))


@lru_cache(4096)  # a folder of a hostile server has millions of such characters, and not many different ones
def _shown(char: str) -> str:
    return char if _is_plain(char) else _spelled(char)


def _spelled(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{{{code:x}}}"
