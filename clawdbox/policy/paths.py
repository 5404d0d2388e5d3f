"""Paths on a server: which hold secrets, and what it means to change one. Names only: links are not followed here."""

import re
import unicodedata
from functools import cache

import msgspec

from clawdbox.policy.model import Class
from clawdbox.policy.patterns import Parts, compiled, meet, split, under
from clawdbox.policy.places import CHANGES, DEVICES, PRIVATE, PUBLIC, SECRETS

_HOME = re.compile(r"~[^/]*|/(?:home|Users|export/home)/[^/]+|/root|/var/root")
_THROUGH = re.compile(r"^/proc/[^/]+(?:/task/[^/]+)?/root(?=/|$)")
_CWD = re.compile(r"^/proc/[^/]+(?:/task/[^/]+)?/cwd(?=/|$)")
_WILD = re.compile(r"[*?\[]")
_LITERAL = re.compile(r"[^*?\[\]]")
# What a wildcard is asked about when both it and the secret's name are open: `cat privkey*` for `*.pem`.
_HINT = re.compile(r"key|priv|secret|cred|pem|token|passw|\.env|id_", re.IGNORECASE)


# Links that every system has, and those that lead out of the folders of a process.
_LINKS: dict[Parts, Parts] = {
    ("var", "run"): ("run",),
    ("var", "lock"): ("run", "lock"),
    ("dev", "fd"): ("proc", "self", "fd"),
}
_KERNEL = frozenset({"proc", "dev", "sys"})
_PROCESS = r"proc/[^/]+(?:/task/[^/]+)?"
_ROOT = re.compile(rf"{_PROCESS}/root")
_OWN = re.compile(
    rf"{_PROCESS}/(?:cwd|fd/[^/]+/.+|map_files/.+)|proc/(?!self/fd/)[^/]+(?:/task/[^/]+)?/fd/[^/]+"
)
# What is put behind the name of a file that is kept: a copy is as secret.
_COPY = re.compile(
    r"(?:~|\.(?:bak|old|orig|save|sw[op]|tmp|new|backup|copy|dpkg-[a-z]+|ucf-[a-z]+|rpmsave|rpmnew|gz|bz2|xz|zst|\d{1,8}))+$"
)

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
    """What a path may mean: more than one place where it climbs out of a folder that is not known, or of a link."""
    text = _joined(path, cwd)
    spots = _spots(text)
    rooted = text if text.startswith("/") else f"/{text.partition('/')[2]}" if len(spots) > 1 else None
    more = _spots(_followed(rooted)[0]) if rooted else ()
    return tuple(dict.fromkeys((*spots, *more)))


def _joined(path: str, cwd: str | None) -> str:
    text = unicodedata.normalize("NFKC", path)
    if not text.startswith(("/", "~")):
        text = f"{cwd or '.'}/{text}"
    return re.sub(r"/(?:\.?/)+", "/", text)


def _followed(text: str) -> tuple[str, bool]:
    """An absolute path with the links resolved that every system has; and whether nobody can tell where it leads."""
    stack: Parts = ()
    lost = False
    for part in split(text):
        lost = lost or _strays(stack, part)
        stack = stack[:-1] if part == ".." else (*stack, part)
        stack = () if _ROOT.fullmatch("/".join(stack)) else _LINKS.get(stack, stack)
    return "/" + "/".join(stack), lost


def _strays(stack: Parts, part: str) -> bool:
    """Whether the next part goes through a link of which only the server knows."""
    if part == "..":
        return bool(stack) and (bool(_WILD.search(stack[-1])) or (len(stack) > 1 and stack[0] in _KERNEL))
    whole = (*stack, part)
    if _OWN.fullmatch("/".join(whole)):
        return True
    wild = any(_WILD.search(one) for one in whole)
    return wild and (bool(_WILD.search(whole[0])) or whole[0] == "proc") and len(whole) > 3


def _is_lost(path: str, cwd: str | None) -> bool:
    text = _joined(path, cwd)
    return text.startswith("/") and _followed(text)[1]


def _spots(text: str) -> tuple[Place, ...]:
    while _THROUGH.match(text):
        text = _THROUGH.sub("", text) or "/"
    if _CWD.match(text):
        rest = _CWD.sub("", text)
        return (*_climb((".",), rest), *_climb((), rest))
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
    if not found and _is_lost(path, cwd):
        return Sight(path, sure=False)
    return next((sight for sight in found if sight.sure), found[0] if found else None)


def too_long(path: str) -> bool:
    parts = path.split("/")
    return len(path) > _LONGEST or len(parts) > _DEEPEST or any(len(part) > _LONGEST_NAME for part in parts)


def _secret(spot: Place) -> Sight | None:
    parts = _lower(spot)
    copies = _copies(parts)
    private = any(_means(one, PRIVATE) for one in copies)
    if not any(_WILD.search(part) for part in parts):
        public = not private and any(_means(one, PUBLIC) for one in copies)
        named = not public and any(_means(one, SECRETS) for one in copies)
        return Sight(spot.text, sure=True) if named or _is_device(parts) else None
    if _is_device(parts):
        return Sight(spot.text, sure=True)
    sights = [_sure(one, pattern) for one in copies for pattern in _table(SECRETS) if meet(one, pattern)]
    public = any(meet(parts, pattern) and _ends_alike(parts, pattern) for pattern in _table(PUBLIC))
    if public and not private:
        return None
    known = [sure for sure in sights if sure is not None]
    return Sight(spot.text, sure=any(known)) if known else None


def _copies(parts: Parts) -> tuple[Parts, ...]:
    """A path, and what it would be without `.bak` and its like; vim puts a dot before the name, too."""
    bare = tuple(_COPY.sub("", part) or part for part in parts)
    if bare == parts:
        return (parts,)
    return parts, bare, (*bare[:-1], bare[-1].removeprefix(".") or bare[-1])


def _is_device(parts: Parts) -> bool:
    return parts[:1] == ("dev",) and len(parts) > 1 and not _means(parts, DEVICES)


def ends_as_secret(ending: str) -> bool:
    """Whether a file whose name has this ending may be one of the secrets."""
    known = any(pattern[-1].endswith(ending.casefold()) for pattern in _table(SECRETS))
    return known or secret(f"/x/x{ending}") is not None


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
    if _is_lost(path, cwd):
        found.append(Change(Class.UNKNOWN, f"It changes {path}, and the box cannot tell where that leads."))
    return max(found, key=lambda one: one.klass.rank)


def _change(spot: Place, *, tree: bool) -> Change:
    parts = _lower(spot)
    for klass, sentence, text in CHANGES:
        patterns = _table(text)
        root = parts in _ROOTS and klass is Class.LOCK_OUT
        holds = klass in (Class.LOCK_OUT, Class.PRIVILEGED) and _holds(spot, patterns)
        inside = tree and (root or holds)
        device = klass is Class.DESTRUCTIVE and _is_device(parts)
        if inside or device or _means(parts, text):
            return Change(klass, sentence.format(path=spot.text))
    return Change(Class.CHANGE, f"It changes {spot.text}.")


_ROOTS: tuple[Parts, ...] = ((), ("~",), ("home",), ("users",), ("etc",), ("usr",), ("var",), ("boot",))


def _lower(spot: Place) -> Parts:
    return tuple(part.casefold() for part in spot.parts)
