"""Host patterns as OpenSSH has them (ssh_config(5), PATTERNS): `*`, `?`, and `!` before what is meant to be left out."""

import re

from clawdbox.errors import Invalid

SSH_PORT = 22
_MOST_TEXT = 1024
_ALLOWED = re.compile(r"!?[A-Za-z0-9._:*?\[\]%_-]+")


def wildcard(pattern: str, text: str) -> bool:
    """Whether `text` is what `pattern` says, in a time that no pattern makes worse than the product of their lengths."""
    if "*" not in pattern and "?" not in pattern:
        return pattern == text
    at = mark = resume = 0
    star = -1
    while mark < len(text):
        if at < len(pattern) and pattern[at] == "*":
            star, at, resume = at, at + 1, mark
        elif at < len(pattern) and pattern[at] in ("?", text[mark]):
            at, mark = at + 1, mark + 1
        elif star >= 0:
            resume += 1
            at, mark = star + 1, resume
        else:
            return False
    return all(char == "*" for char in pattern[at:])


def any_of(patterns: list[str], text: str) -> bool:
    """Whether one of the patterns matches, and none that begins with `!` does. Case does not count."""
    found = False
    for pattern in patterns:
        negated = pattern.startswith("!")
        if wildcard(pattern.removeprefix("!").lower(), text.lower()):
            if negated:
                return False
            found = True
    return found


def host_names(host: str, port: int) -> tuple[str, ...]:
    """The names under which known_hosts may speak of a host: another port than 22 stands in them."""
    return (host,) if port == SSH_PORT else (f"[{host}]:{port}",)


def speaks_of(patterns: str, host: str, port: int) -> bool:
    """Whether a comma-separated list of known_hosts means the host; authorities of a host hold for its other ports, too."""
    listed = patterns.split(",")
    return any(any_of(listed, name) for name in {host, *host_names(host, port)})


def checked(text: str, field: str = "patterns") -> str:
    """The list as it is stored: lower case, without spaces. Raises Invalid."""
    patterns = [part.strip().lower() for part in text.replace(" ", ",").split(",") if part.strip()]
    if not patterns or len(text) > _MOST_TEXT:
        raise Invalid(
            field, "Say for which hosts, such as *.lan or nas.lan,backup.lan (1024 characters at most)."
        )
    for pattern in patterns:
        if not _ALLOWED.fullmatch(pattern):
            raise Invalid(field, f"{pattern!r} is no host pattern. Use names with * and ?, such as *.lan.")
    if all(pattern.startswith("!") for pattern in patterns):
        raise Invalid(field, "Only exceptions stand here. Add the hosts that are meant, such as *.lan.")
    return ",".join(patterns)
