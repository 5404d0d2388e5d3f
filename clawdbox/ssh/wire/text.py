"""Text that came from a server, made fit to be shown or logged."""

import unicodedata


def plain(raw: bytes | str, limit: int) -> str:
    """At most `limit` characters without control, escape or bidirectional codes; tabs and line ends stay."""
    text = raw if isinstance(raw, str) else raw[: 4 * limit].decode("utf-8", "replace")
    kept = (
        c
        for c in text[: 2 * limit].replace("\r\n", "\n")
        if c in "\n\t" or not unicodedata.category(c).startswith("C")
    )
    return "".join(kept)[:limit]


def one_line(raw: bytes | str, limit: int = 120) -> str:
    """The same on a single line, for use inside a sentence."""
    return " ".join(plain(raw, limit).split())
