"""The tables of programs, as text that people can read and check.

A section `== read` says the class of what follows. A block is a command and the lines under it:

    git log|show: shows commits             what it does; `|` stands between names that share the block
      takes text, egress                    what its other words are, and marks of `rule.Rule`
      -a -n= --oneline --format=            every option that keeps its class, as in `rule`
      destructive --hard: throws away | …   options that make it worse, what it then does, and what cannot be undone
      needs -b --once                       one of these options, without which it is not known
      otherwise lock_out: changes …         what it is with other words than these
      undo …                                what cannot be undone
      starts gzip                           programs that it starts itself
      check name                            a function that looks closer

`podman: as docker` has the table of another one; `ufw *` are all commands of it that are not named. In the section
`== before` stand options that may precede the command of a program (`git -C folder log`), in `== shared` options that
several blocks name by `@word`.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import product

from clawdbox.policy.model import Class
from clawdbox.policy.rule import Check, Entry, Group, Operands, Raise, Rule, Style

_WORDS = {kind.value: kind for kind in Operands}
_MARKS = frozenset({"loose", "tame", "egress", "credentials"})
_CLASSES = {klass.value: klass for klass in Class}


def table(text: str, checks: Mapping[str, Check] | None = None, **special: Entry) -> dict[str, Entry]:
    """The entries of a text, by program; `special` are those that are functions."""
    rules, before, alike = _sorted(_filled(text), checks or {})
    rules.update({tuple(name.split("__")): entry for name, entry in special.items()})
    found = _grouped(rules, before, alike)
    for name, other in alike.items():
        _put(found, name, _get(found, tuple(other.split())))
    return found


_Name = tuple[str, ...]


def _sorted(
    text: str, checks: Mapping[str, Check]
) -> tuple[dict[_Name, Entry], dict[_Name, tuple[str, Style]], dict[_Name, str]]:
    rules: dict[_Name, Entry] = {}
    before: dict[_Name, tuple[str, Style]] = {}
    alike: dict[_Name, str] = {}
    for section, block in _blocks(text):
        if section == "shared":
            continue
        head, _, does = block[0].rstrip(":").partition(": ")
        for name in _names(head):
            if does.startswith("as "):
                alike[name] = does.removeprefix("as ")
            elif section == "before":
                before[name] = " ".join(block[1:]), Style.WORDS if does == "whole words" else Style.LETTERS
            else:
                assert name not in rules, f"{name} stands twice in a table"
                rules[name] = _rule(_CLASSES[section], does, block[1:], checks)
    return rules, before, alike


def _filled(text: str) -> str:
    """With the shared options in their places; one may name another that stands before it."""
    shared: dict[str, str] = {}
    for section, block in _blocks(text):
        if section == "shared":
            shared[block[0].rstrip(":")] = " ".join(shared.get(line, line) for line in block[1:])
    for name, options in shared.items():
        text = re.sub(rf"(?m)^  {name}(?= |$)", f"  {options}", text)
    return text


def _blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    section = ""
    for block in text.strip().split("\n\n"):
        lines = [line for line in block.split("\n") if not line.startswith("#")]
        if lines and lines[0].startswith("== "):
            section = lines[0].removeprefix("== ")
        elif lines:
            yield section, [lines[0], *(line.strip() for line in lines[1:])]


def _names(head: str) -> list[_Name]:
    return list(product(*(word.split("|") for word in head.split())))


def _rule(klass: Class, does: str, lines: list[str], checks: Mapping[str, Check]) -> Rule:
    options: list[str] = []
    raises: list[Raise] = []
    more: dict[str, object] = {}
    for line in lines:
        first, _, rest = line.partition(" ")
        if first in _CLASSES:
            raises.append(_raise(_CLASSES[first], rest))
        elif first == "takes":
            more.update(_takes(rest))
        elif first == "undo":
            more["undo"] = rest
        elif first == "starts":
            more["helpers"] = tuple(rest.split())
        elif first == "check":
            more["check"] = checks[rest]
        elif first == "needs":
            more["needs"] = frozenset(rest.split())
        elif first == "otherwise":
            name, _, what = rest.partition(": ")
            more["otherwise"] = _CLASSES[name], what
        else:
            assert line.startswith(("-", "+")), f"{line} is no line of a table"
            options.append(line)
    return Rule(klass, does, " ".join(options), raises=tuple(raises), **more)  # type: ignore[arg-type]


def _takes(text: str) -> dict[str, object]:
    found: dict[str, object] = {}
    for mark in text.split(", "):
        if mark in _WORDS:
            found["operands"] = _WORDS[mark]
        elif mark in _MARKS:
            found[mark] = True
        elif mark == "whole words":
            found["style"] = Style.WORDS
        else:
            name, _, number = mark.partition(" ")
            assert name == "most", f"{mark} is no mark of a table"
            found["most"] = int(number)
    return found


def _raise(klass: Class, text: str) -> Raise:
    options, _, does = text.partition(": ")
    does, _, undo = does.partition(" | ")
    return Raise(options, klass, does, undo or None)


def _grouped(
    rules: dict[_Name, Entry], before: dict[_Name, tuple[str, Style]], alike: dict[_Name, str]
) -> dict[str, Entry]:
    """A name of several words becomes a command of a group; the group's own rule is what it is alone."""
    found: dict[str, Entry] = {}
    nodes = {name[:depth] for name in (*rules, *alike) for depth in range(1, len(name))}
    for name in sorted(nodes, key=len):
        options, style = before.get(name, ("", Style.LETTERS))
        alone = rules.get(name)
        assert alone is None or isinstance(alone, Rule)
        _put(found, name, Group({}, options, alone, style))
    for name, entry in rules.items():
        if name not in nodes:
            _put(found, name, entry)
    return found


def _get(found: dict[str, Entry], name: _Name) -> Entry:
    entry = found[name[0]]
    for word in name[1:]:
        assert isinstance(entry, Group)
        entry = entry.commands[word]
    return entry


def _put(found: dict[str, Entry], name: _Name, entry: Entry) -> None:
    at: dict[str, Entry] = found
    for word in name[:-1]:
        group = at[word]
        assert isinstance(group, Group)
        at = group.commands
    at[name[-1]] = entry
