"""What a command line is taken for, and what follows from it."""

from enum import StrEnum

import msgspec


class Class(StrEnum):
    """What a command does, in rising order: a line has the worst class of its parts."""

    READ = "read"
    CHANGE = "change"
    PRIVILEGED = "privileged"
    DESTRUCTIVE = "destructive"
    LOCK_OUT = "lock_out"
    UNKNOWN = "unknown"

    @property
    def rank(self) -> int:
        return _ORDER.index(self)


_ORDER = list(Class)


def worst(classes: "list[Class]") -> Class:
    """READ when there is none."""
    return max(classes, key=lambda klass: klass.rank, default=Class.READ)


def words(text: str) -> frozenset[str]:
    """A set of names, written so that people can read it."""
    return frozenset(text.split())


class Tier(StrEnum):
    """What a connection is, as its owner says."""

    PRODUCTION = "production"
    STAGING = "staging"
    LAB = "lab"


class Mode(StrEnum):
    """How much an account lets agents do without asking."""

    ASK_EVERYTHING = "ask_everything"
    READ_FREELY = "read_freely"
    UNATTENDED = "unattended"


class Verdict(StrEnum):
    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"


class Judgement(msgspec.Struct, frozen=True):
    """What a command line is taken for. `why` are sentences for a person, the most important first.

    `programs` are all it would run, as far as known. `secret` is a path that nobody's agent reads. `egress`: it may send
    something over the network. `credentials`: it shows settings in which passwords often stand.
    """

    klass: Class
    why: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    cannot_be_undone: str | None = None
    secret: str | None = None
    egress: bool = False
    credentials: bool = False


class Decision(msgspec.Struct, frozen=True):
    verdict: Verdict
    why: str


class Finding(msgspec.Struct, frozen=True):
    """What one part of a command line adds to the judgement."""

    klass: Class = Class.READ
    why: str = ""
    programs: tuple[str, ...] = ()
    undo: str | None = None
    secret: str | None = None
    egress: bool = False
    credentials: bool = False


class Word(msgspec.Struct, frozen=True):
    """One word of a command as its program gets it; `~` stands for $HOME.

    `start` and `end` are bytes of the line. `bare`: written without quotes or backslashes. `glob`: the shell replaces it
    by names of files. `known` is False when only a running shell can tell what it becomes.
    """

    text: str
    start: int = 0
    end: int = 0
    bare: bool = True
    glob: bool = False
    known: bool = True


class Redirect(msgspec.Struct, frozen=True):
    """`op` as it stands, with its number: `2>`, `>>`, `<`, `<<`, `2>&1` (which has no target)."""

    op: str
    target: Word | None = None


class Step(msgspec.Struct, frozen=True):
    """One simple command. `join` is what stands between it and the one before."""

    words: tuple[Word, ...] = ()
    assigned: tuple[tuple[str, Word], ...] = ()
    redirects: tuple[Redirect, ...] = ()
    join: str = ""
    fed: bool = False
