"""What people may name things: labels, device names, SSH user names."""

import re
import unicodedata

from clawdbox.errors import Invalid

MAX_LABEL = 64
_USERNAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@\\-]*")
_MAX_USERNAME = 64
# Controls, invisible and bidirectional marks, separators; then letters and symbols that are drawn as nothing.
_FORBIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")


def label(text: str, field: str = "label") -> str:
    """A label as people write them ("Bob's NAS"), trimmed and in Unicode form NFC. Raises Invalid."""
    name = unicodedata.normalize("NFC", text)
    if any(unicodedata.category(char) in _FORBIDDEN or char in _BLANK for char in name):
        raise Invalid(field, "Leave out control and invisible characters.")
    name = name.strip()
    if not name:
        raise Invalid(field, "Give it a name.")
    if len(name) > MAX_LABEL:
        raise Invalid(field, f"Use at most {MAX_LABEL} characters.")
    if name.startswith("-"):
        raise Invalid(field, "A name cannot begin with a dash.")
    return name


def username(text: str, field: str = "username") -> str:
    """A user name on an SSH server: `[A-Za-z0-9_][A-Za-z0-9._@\\-]*`, at most 64 characters. Raises Invalid."""
    if len(text) > _MAX_USERNAME:
        raise Invalid(field, f"Use at most {_MAX_USERNAME} characters.")
    if not _USERNAME.fullmatch(text):
        raise Invalid(field, "Letters, digits and . _ @ \\ - only, and no dash or dot at the beginning.")
    return text


def printable(text: str, limit: int) -> str:
    """Foreign text (a device name, a user agent) made harmless: cut, and without what cannot be shown."""
    kept = "".join(char for char in text if unicodedata.category(char) not in _FORBIDDEN)
    return kept[:limit].strip()
