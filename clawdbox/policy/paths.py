"""Paths on a server: which hold secrets, and what it means to change one. Names only: links are not followed here."""

import re
import unicodedata
from functools import cache

import msgspec

from clawdbox.policy.model import Class
from clawdbox.policy.patterns import Parts, compiled, meet, split, under
from clawdbox.policy.places import CHANGES, PUBLIC, SECRETS

_HOME = re.compile(r"~[^/]*|/(?:home|Users|export/home)/[^/]+|/root|/var/root")
_THROUGH = re.compile(r"^/proc/[^/]+(?:/task/[^/]+)?/root(?=/|$)")
_CWD = re.compile(r"^/proc/[^/]+(?:/task/[^/]+)?/cwd(?=/|$)")
_WILD = re.compile(r"[*?\[]")
_LITERAL = re.compile(r"[^*?\[\]]")
# What a wildcard is asked about when both it and the secret's name are open: `cat privkey*` for `*.pem`.
_HINT = re.compile(r"key|priv|secret|cred|pem|token|passw|\.env|id_", re.IGNORECASE)


# Longer ones are nobody's, and cost time to look at.
_LONGEST, _DEEPEST, _LONGEST_NAME = 1024, 64, 128


class Place(msgspec.Struct, frozen=True):
    """A path in parts; the first is `~` for a home folder, `.` for a folder that is not known."""

    parts: Parts

    @property
    def text(self) -> str:
        first, rest = self.parts[:1], self.parts[1:]
        return "/".join(first + rest) if first in (("~",), (".",)) else "/" + "/".join(self.parts)


def place(path: str, cwd: str | None = None) -> tuple[Place, ...]:
    """What a path may mean: more than one place where it climbs out of a folder that is not known."""
    text = unicodedata.normalize("NFKC", path)
    if not text.startswith(("/", "~")):
        text = f"{cwd or '.'}/{text}"
    text = re.sub(r"/+", "/", text)
    while _THROUGH.match(text):
        text = _THROUGH.sub("", text) or "/"
    text = _CWD.sub(".", text)
    found = _HOME.match(text)
    if found and text[found.end() : found.end() + 1] in ("", "/"):
        return _climb(("~",), text[found.end() :])
    if text.startswith("./") or text == ".":
        return _climb((".",), text[1:])
    return _climb((), text)


def _climb(start: Parts, rest: str) -> tuple[Place, ...]:
    parts = list(start)
    lost = False
    for part in split(rest):
        if part == ".":
            continue
        if part != "..":
            parts.append(part)
        elif len(parts) > len(start):
            parts.pop()
        else:
            lost = lost or bool(start)
    places = [Place(tuple(parts))]
    if lost:  # above a folder whose own place is not known: anywhere
        places.append(Place(tuple(parts[len(start) :])))
    return tuple(places)


@cache
def _compiled(text: str) -> re.Pattern[str]:
    return compiled(_table(text))


def _means(parts: Parts, text: str) -> bool:
    """Whether one of the patterns of a table means this path."""
    if any(_WILD.search(part) for part in parts):
        return any(meet(parts, pattern) for pattern in _table(text))
    return bool(_compiled(text).fullmatch("".join(f"/{part}" for part in parts)))


class Sight(msgspec.Struct, frozen=True):
    """`sure`: the path names a secret. Otherwise it is a pattern, or a folder, that may."""

    path: str
    sure: bool


@cache
def _table(text: str) -> tuple[Parts, ...]:
    lines = (line.partition("#")[0].split() for line in text.splitlines())
    return tuple(split(word) for line in lines for word in line)


def secret(path: str, cwd: str | None = None) -> Sight | None:
    """Whether somebody who reads the path reads a secret."""
    if too_long(path):
        return Sight(f"{path[:60]}…", sure=False)
    found = [sight for spot in place(path, cwd) if (sight := _secret(spot))]
    return next((sight for sight in found if sight.sure), found[0] if found else None)


def too_long(path: str) -> bool:
    parts = path.split("/")
    return len(path) > _LONGEST or len(parts) > _DEEPEST or any(len(part) > _LONGEST_NAME for part in parts)


def _secret(spot: Place) -> Sight | None:
    parts = _lower(spot)
    if not any(_WILD.search(part) for part in parts):
        named = _means(parts, SECRETS) and not _means(parts, PUBLIC)
        return Sight(spot.text, sure=True) if named else None
    sights = [_sure(parts, pattern) for pattern in _table(SECRETS) if meet(parts, pattern)]
    if any(meet(parts, pattern) and _ends_alike(parts, pattern) for pattern in _table(PUBLIC)):
        return None
    known = [sure for sure in sights if sure is not None]
    return Sight(spot.text, sure=any(known)) if known else None


def _sure(parts: Parts, pattern: Parts) -> bool | None:
    """For a path with wildcards: True, False for "it may", None for "hardly"."""
    last, theirs = parts[-1], pattern[-1]
    if pattern[0] != "**" or (len(pattern) > 2 and theirs == "**"):
        return True
    if theirs != "**" and _WILD.search(theirs):
        return False if _HINT.search(last) else None
    if len(_LITERAL.findall(last)) > 1 or len(pattern) > 2:
        return True
    return False if parts[0] in ("~", ".") else None


def _ends_alike(parts: Parts, pattern: Parts) -> bool:
    """`*.pub` is public as a whole; `*` is not, although it can be `*.pub`."""
    end = pattern[-1].lstrip("*")
    return bool(end) and parts[-1].endswith(end)


def holds_secrets(path: str, cwd: str | None = None) -> bool:
    """Whether secrets lie somewhere inside of a folder."""
    return any(_holds(spot, _table(SECRETS)) for spot in place(path, cwd))


_HOMES = ((), ("home",), ("users",), ("~",), (".",))


def _holds(spot: Place, patterns: tuple[Parts, ...]) -> bool:
    parts = _lower(spot)
    if parts in _HOMES:
        return True
    if parts[:1] in (("~",), (".",)):
        # `**/.config/gh/hosts.yml` lies inside of ~/.config
        return any(under(parts[1:], pattern[1:]) for pattern in patterns if pattern[0] in ("**", "~"))
    return any(under(parts, pattern) for pattern in patterns if pattern[0] not in ("**", "~"))


class Change(msgspec.Struct, frozen=True):
    klass: Class
    why: str


def change(path: str, cwd: str | None = None, *, tree: bool = False) -> Change:
    """What it means to write to a path; with `tree`, to remove or move all that is in it."""
    if too_long(path):
        return Change(Class.UNKNOWN, "It changes a path that is too long to be looked at.")
    found = [_change(spot, tree=tree) for spot in place(path, cwd)]
    return max(found, key=lambda one: one.klass.rank)


def _change(spot: Place, *, tree: bool) -> Change:
    parts = _lower(spot)
    for klass, sentence, text in CHANGES:
        patterns = _table(text)
        inside = tree and (parts in _ROOTS or _holds(spot, patterns)) and klass is Class.LOCK_OUT
        if inside or _means(parts, text):
            return Change(klass, sentence.format(path=spot.text))
    return Change(Class.CHANGE, f"It changes {spot.text}.")


_ROOTS: tuple[Parts, ...] = ((), ("~",), ("home",), ("users",), ("etc",), ("usr",), ("var",), ("boot",))


def _lower(spot: Place) -> Parts:
    return tuple(part.casefold() for part in spot.parts)
