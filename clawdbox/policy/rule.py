"""How a program's tables are written, and how a command is held against them.

A rule lists every option that keeps its class. Options are words of a text: `-abc` are three letters that may be
bundled, `-n=` takes a value (joined or as the next word), `--color=?` one that must be joined, `-f=read` the path of a
file that it reads, `-o=write` of one that it writes, `-NUM` a number. An option that is not listed, or abbreviated, is
not known, and so is the command. With `style=WORDS` every option is exactly one word (`find`, `ip`, `openssl`).
"""

import re
from collections.abc import Callable
from enum import Enum
from functools import cache

import msgspec

from clawdbox.policy.model import Class, Finding, Word


class Operands(Enum):
    """What the words are that are no options."""

    NONE = "none"
    TEXT = "text"
    READ = "read"  # paths whose content is shown or copied
    LIST = "list"  # paths of which only names, sizes and the like are shown
    WRITE = "write"  # paths that are changed
    DELETE = "delete"  # paths that go, with all that is in them


class Style(Enum):
    LETTERS = "letters"
    WORDS = "words"


class Takes(Enum):
    NOTHING = ""
    VALUE = "="
    JOINED = "=?"
    READ = "=read"
    WRITE = "=write"


class Call(msgspec.Struct, frozen=True):
    """A command that is looked at. `words` stand behind the program's name.

    `fed`: something is sent to its standard input. `inner` judges a command made of words, `line` one written as text.
    """

    program: str
    words: tuple[Word, ...]
    cwd: str | None
    fed: bool
    inner: Callable[[tuple[Word, ...]], list[Finding]]
    line: Callable[[str], list[Finding]]


class Given(msgspec.Struct, frozen=True):
    """The words of a command, sorted. `odd` is the first option that is not known."""

    options: tuple[tuple[str, Word | None], ...] = ()
    operands: tuple[Word, ...] = ()
    odd: str | None = None

    def has(self, *names: str) -> bool:
        return any(name in names for name, _ in self.options)

    def values(self, *names: str) -> list[str]:
        """All of them: which one counts where an option stands twice, programs do not agree on."""
        return [word.text for name, word in self.options if name in names and word]


Check = Callable[[Call, Given], list[Finding]]


class Raise(msgspec.Struct, frozen=True):
    """An option that makes it worse. `does` goes on as "It runs `x -y`, which …"."""

    options: str
    klass: Class
    does: str = ""
    undo: str | None = None


class Rule(msgspec.Struct, frozen=True):
    """A program, or a command of one. `does` goes on as "It runs `x`, which …".

    `loose`: it has this class whatever its options are. `tame`: no option that it could be given would do harm, so a
    name of a file that looks like one is none, either. `helpers` are programs that it starts itself. `needs`: one of these
    options must be there. `otherwise` is what it is with other words, where that is known.
    """

    klass: Class
    does: str
    options: str = ""
    operands: Operands = Operands.NONE
    most: int | None = None
    raises: tuple[Raise, ...] = ()
    undo: str | None = None
    egress: bool = False
    credentials: bool = False
    loose: bool = False
    tame: bool = False
    style: Style = Style.LETTERS
    helpers: tuple[str, ...] = ()
    check: Check | None = None
    needs: frozenset[str] = frozenset()
    otherwise: tuple[Class, str] | None = None


Special = Callable[[Call], list[Finding]]


class Group(msgspec.Struct, frozen=True):
    """A program with commands of its own (`git log`), where `*` stands for all others.

    `options` may stand before them; `alone` is the program without one.
    """

    commands: dict[str, "Entry"]
    options: str = ""
    alone: Rule | None = None
    style: Style = Style.LETTERS


Entry = Rule | Group | Special


@cache
def parsed(options: str, style: Style) -> dict[str, Takes]:
    found: dict[str, Takes] = {}
    for token in options.split():
        name, mark, rest = token.partition("=")
        takes = Takes(mark + rest)
        if style is Style.WORDS or name.startswith("--") or name == "-NUM" or takes is not Takes.NOTHING:
            found[name] = takes
        else:
            found.update({f"-{letter}": takes for letter in name[1:]})
    return found


_NUMBER = re.compile(r"-\d+")


def sort(words: tuple[Word, ...], options: dict[str, Takes], style: Style, *, stop: bool = False) -> Given:
    """Sort words into options and operands; with `stop`, options end at the first operand."""
    return _Sorter(words, options, style, stop=stop).sort()


class _Sorter:
    def __init__(self, words: tuple[Word, ...], known: dict[str, Takes], style: Style, *, stop: bool) -> None:
        self._words = words
        self._known = known
        self._style = style
        self._stop = stop
        self._at = 0
        self._options: list[tuple[str, Word | None]] = []
        self._operands: list[Word] = []
        self._odd: str | None = None

    def sort(self) -> Given:
        while self._at < len(self._words):
            word = self._words[self._at]
            self._at += 1
            text = word.text
            if text == "--":
                self._operands += self._words[self._at :]
                break
            if not text.startswith("-") or text == "-":
                self._operands.append(word)
                if self._stop:
                    self._operands += self._words[self._at :]
                    break
            else:
                self._option(word)
        return Given(tuple(self._options), tuple(self._operands), self._odd)

    def _option(self, word: Word) -> None:
        text = word.text
        name, equals, value = text.partition("=")
        takes = self._known.get(text)
        if self._style is Style.WORDS or text.startswith("--"):
            if takes is not None and not equals:
                self._add(text, takes)
            elif equals and self._known.get(name, Takes.NOTHING) is not Takes.NOTHING:
                self._options.append((name, _part(word, value)))
            else:
                self._unknown(text)
        elif _NUMBER.fullmatch(text) and "-NUM" in self._known:
            self._options.append(("-NUM", None))
        elif takes is not None and len(text) > 2:
            self._add(text, takes)
        else:
            self._letters(word)

    def _letters(self, word: Word) -> None:
        for at, letter in enumerate(word.text[1:], 2):
            name = f"-{letter}"
            takes = self._known.get(name)
            if takes is None:
                return self._unknown(word.text)
            rest = word.text[at:]
            if takes is Takes.NOTHING:
                self._options.append((name, None))
                continue
            if rest or takes is Takes.JOINED:
                self._options.append((name, _part(word, rest)))
            else:
                self._add(name, takes)
            return None
        return None

    def _add(self, name: str, takes: Takes) -> None:
        if takes in (Takes.NOTHING, Takes.JOINED):
            self._options.append((name, None))
            return
        value = self._words[self._at] if self._at < len(self._words) else None
        if value is None or (
            value.text.startswith("-") and value.text != "-" and not _NUMBER.fullmatch(value.text)
        ):
            self._unknown(name)
            return
        self._options.append((name, value))
        self._at += 1

    def _unknown(self, text: str) -> None:
        self._odd = self._odd or text


def _part(word: Word, text: str) -> Word:
    return Word(text, word.start, word.end, word.bare, word.glob, word.known)
