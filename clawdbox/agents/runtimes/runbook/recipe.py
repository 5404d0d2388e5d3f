"""What a recipe is: a probe that only reads, in one round trip, and a reader that turns its answer into a card.

A probe is one line of POSIX sh, made of named sections. It has no quote, backslash, exclamation mark or line break in
it, so that every login shell (csh and fish too) hands it to `sh -c` unchanged.
"""

import shlex
from collections.abc import Callable, Mapping

import msgspec

from clawdbox.agents.model import CommandState
from clawdbox.agents.runtimes.port import Answer, Card, Row, Status, Suggestion

_MARK = "@@"
_END = "end"
_HEAD = 'LC_ALL=C; export LC_ALL; PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"; export PATH; exec </dev/null 2>/dev/null'


class Sections(msgspec.Struct, frozen=True):
    """A probe's answer: section → its lines, without empty ones. The last section of a cut answer may be incomplete."""

    lines: Mapping[str, list[str]]
    complete: bool

    def of(self, name: str) -> list[str]:
        """Nothing, also when the server's answer did not get that far."""
        return self.lines.get(name, [])


def nothing_further(_card: Card) -> tuple[Suggestion, ...]:
    return ()


class Recipe(msgspec.Struct, frozen=True):
    """`words` are the words and phrases that choose it; `further` suggests what the card's rows call for."""

    name: str
    label: str
    title: str
    words: tuple[str, ...]
    probe: Mapping[str, str]
    read: Callable[[Sections], Card]
    further: Callable[[Card], tuple[Suggestion, ...]] = nothing_further
    timeout_s: float = 25.0

    @property
    def command(self) -> str:
        return f"sh -c {shlex.quote(script(self.probe))}"


def script(probe: Mapping[str, str]) -> str:
    parts = [f"echo {_MARK}{name}; {commands}; echo" for name, commands in probe.items()]
    return "; ".join([_HEAD, *parts, f"echo {_MARK}{_END}"])


def sections(text: str) -> Sections:
    found: dict[str, list[str]] = {}
    name = ""
    for line in text.replace("\r", "").split("\n"):
        if line.startswith(_MARK):
            name = line.removeprefix(_MARK).strip()
            found[name] = []
        elif name and line.strip():
            found[name].append(line.rstrip())
    complete = _END in found
    return Sections({key: lines for key, lines in found.items() if key != _END}, complete)


def card_of(recipe: Recipe, answer: Answer) -> Card:
    """The card for whatever came of a recipe's command."""
    if answer.state is CommandState.LOST:
        why = "The link to the server was lost before it had answered. Nothing was changed: just ask again."
        return Card(recipe.label, Status.BAD, why)
    found = sections(answer.stdout)
    if not found.lines:
        return _no_answer(recipe, answer)
    card = recipe.read(found)
    if found.complete:
        return card
    late = answer.state is CommandState.TIMED_OUT
    why = f"no more came within {recipe.timeout_s:g} s" if late else "the answer broke off"
    row = Row("Incomplete", f"{why}; what is missing is shown as unknown", Status.WARN)
    return msgspec.structs.replace(card, status=worst((card.status, row.status)), rows=(*card.rows, row))


def _no_answer(recipe: Recipe, answer: Answer) -> Card:
    if answer.state is CommandState.TIMED_OUT:
        why = f"The server did not answer within {recipe.timeout_s:g} s. It may be very busy: ask again, or look with `$ uptime`."
        return Card(recipe.label, Status.BAD, why)
    why = "The server gave no answer that can be read. This needs a POSIX shell there (`sh`)."
    said = (answer.stderr.strip() or answer.stdout.strip())[:200]
    rows = (Row("It said", said or "nothing"), Row("Exit status", str(answer.exit_status)))
    return Card(recipe.label, Status.WARN, why, rows)


# building cards

_ORDER = (Status.INFO, Status.OK, Status.WARN, Status.BAD)

# what is measured → number from which it is a warning, and from which it is bad
THRESHOLDS: dict[str, tuple[float, float]] = {
    # percent
    "disk": (85, 95),
    "inodes": (85, 95),
    "memory": (85, 95),
    "swap": (60, 90),
    "load": (100, 200),
    # times
    "restarts": (3, 20),
    "errors": (10, 1_000),
    "failed_logins": (500, 20_000),
    # of age
    "image_days": (180, 730),
    "backup_hours": (36, 192),
}
# what runs out → days before that from which it is a warning, and from which it is bad
DAYS_LEFT: dict[str, tuple[float, float]] = {"certificate": (21, 7)}


def level(what: str, measured: float) -> Status:
    warn, bad = THRESHOLDS[what]
    if measured >= bad:
        return Status.BAD
    return Status.WARN if measured >= warn else Status.OK


def worst(statuses: tuple[Status, ...]) -> Status:
    return max(statuses, key=_ORDER.index, default=Status.INFO)


def unknown(label: str, missing: str) -> Row:
    return Row(label, f"unknown: {missing}", Status.INFO)


def size(kib: float) -> str:
    """1536 → 1.5 MiB"""
    for unit in ("KiB", "MiB", "GiB"):
        if abs(kib) < 1024:
            return f"{kib:.0f} {unit}" if unit == "KiB" else f"{kib:.1f} {unit}"
        kib /= 1024
    return f"{kib:.1f} TiB"


def count(number: int, one: str, many: str = "") -> str:
    """1 package, 2 packages"""
    return f"{number} {one if number == 1 else many or one + 's'}"


def age(seconds: float) -> str:
    """5400 → 90 min, 200000 → 55 h, 400000 → 4 days"""
    if seconds < 7200:
        return f"{max(0, seconds) // 60:.0f} min"
    return f"{seconds // 3600:.0f} h" if seconds < 72 * 3600 else count(int(seconds // 86_400), "day")


def short(text: str, most: int = 90) -> str:
    """In one line of at most that many characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def in_order(rows: list[Row]) -> list[Row]:
    """The worst first; alike ones stay in their order."""
    return sorted(rows, key=lambda row: -_ORDER.index(row.status))


def some(rows: list[Row], limit: int, what: str) -> tuple[Row, ...]:
    """At most `limit` rows, and a last one that says how many were left out."""
    left = len(rows) - limit
    if left <= 0:
        return tuple(rows)
    return (*rows[:limit], Row("…", f"and {left} more {what}"))
