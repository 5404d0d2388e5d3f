"""Patterns of paths: whether two of them can mean the same file, in parts between slashes; `**` stands for any parts."""

import re
from functools import lru_cache

Parts = tuple[str, ...]
_SET = re.compile(r"\[[!^]?\]?[^\]]*\]")


def split(pattern: str) -> Parts:
    return tuple(part for part in pattern.split("/") if part)


def meet(path: Parts, pattern: Parts) -> bool:
    """Whether a path, which may have wildcards itself, can be what the pattern means."""
    reached = {0}  # how many parts of the pattern are used up
    for part in path:
        reached = _past_any(reached, pattern)
        if part == "**":
            reached = set(range(min(reached, default=len(pattern) + 1), len(pattern) + 1))
        else:
            stay = {at for at in reached if at < len(pattern) and pattern[at] == "**"}
            step = {at + 1 for at in reached if at < len(pattern) and same(part, pattern[at])}
            reached = stay | step
        if not reached:
            return False
    return len(pattern) in _past_any(reached, pattern)


def compiled(patterns: tuple[Parts, ...]) -> re.Pattern[str]:
    """One expression for paths without wildcards, with a slash before each of their parts: the quick way to `meet`."""
    return re.compile("|".join(map(_expression, patterns)))


def _expression(pattern: Parts) -> str:
    return "".join("(?:/[^/]+)*" if part == "**" else f"/{_part(part)}" for part in pattern)


def _part(part: str) -> str:
    return "".join({"*": "[^/]*", "?": "[^/]"}.get(char) or re.escape(char) for char in part)


def under(path: Parts, pattern: Parts) -> bool:
    """Whether something that the pattern means lies inside of the path."""
    for end in range(len(pattern)):
        if pattern[end] == "**":
            return meet(path, pattern[:end]) if end else False
        if meet(path, pattern[: end + 1]) and end + 1 < len(pattern):
            return True
    return not path


def _past_any(reached: set[int], pattern: Parts) -> set[int]:
    found = set(reached)
    for at in reached:
        while at < len(pattern) and pattern[at] == "**":
            at += 1  # noqa: PLW2901 - one after the other
            found.add(at)
    return found


@lru_cache(4096)
def same(mine: str, theirs: str) -> bool:
    """Whether one name can match both: each may have `*`, `?` and `[…]`, where a set counts as any letter."""
    if theirs == "**":
        return False
    if theirs.startswith(".") and mine[:1] in ("*", "?"):
        return False  # a shell's wildcard leaves hidden files out
    a, b = _SET.sub("?", mine), _SET.sub("?", theirs)
    if not ("*" in a or "?" in a or "*" in b or "?" in b):
        return a == b
    row = [True, *([False] * len(b))]
    for at, char in enumerate(b):
        row[at + 1] = row[at] and char == "*"
    for char in a:
        row = _next(row, char, b)
    return row[-1]


def _next(row: list[bool], char: str, other: str) -> list[bool]:
    fresh = [row[0] and char == "*"]
    for at, theirs in enumerate(other):
        if "*" in (char, theirs):
            fresh.append(fresh[at] or row[at + 1] or row[at])
        else:
            fresh.append(row[at] and (char == theirs or "?" in (char, theirs)))
    return fresh
