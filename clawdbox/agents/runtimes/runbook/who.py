"""Who is logged in."""

import re

from clawdbox.agents.runtimes.port import Card, Row, Status
from clawdbox.agents.runtimes.runbook.recipe import Recipe, Sections, count, some, unknown

_PROBE = {
    "who": "who",
    # where there is no utmp (musl, newer systemd): the processes that sshd runs for each login
    "served": "{ ps -eo args || ps -axo args || ps -o args || ps w; } | grep [s]shd | grep @",
    "last": "{ last -n 5 -w || last -n 5 || last -5; } | head -n 5",
    "me": "id -un",
}
_SSHD = re.compile(r"sshd(?:-session)?: (\S+?)(?:@(\S+))")
_LAST_SKIPPED = ("wtmp begins", "utmp begins", "reboot ", "shutdown ", "/var/log/wtmp")
_SHOWN = 15


def logins(found: Sections) -> list[Row]:
    """Those that `who` names, else those that sshd serves on a terminal."""
    named = [_who_row(line) for line in found.of("who") if not line.startswith("USER")]
    seen = [row for row in named if row]
    if seen:
        return seen
    matches = (_SSHD.search(line) for line in found.of("served"))
    served = dict.fromkeys((match[1], match[2]) for match in matches if match)
    return [Row(user, f"{tty}, over SSH") for user, tty in served if tty != "notty"]


def _who_row(line: str) -> Row | None:
    parts = line.split(None, 2)
    if len(parts) < 2:
        return None
    rest = " ".join(parts[2].split()) if len(parts) > 2 else ""
    return Row(parts[0], f"{parts[1]}, {rest}" if rest else parts[1])


def _last_rows(lines: list[str]) -> list[Row]:
    useful = [line for line in lines if not line.startswith(_LAST_SKIPPED)]
    split = (line.split(None, 1) for line in useful)
    return [Row(f"before: {parts[0]}", " ".join(parts[1].split())) for parts in split if len(parts) == 2]


def read(found: Sections) -> Card:
    if not found.lines.keys() & {"who", "served"}:
        return Card(
            "Logged in", Status.INFO, "Who is logged in could not be read.", (unknown("Logins", "no answer"),)
        )
    present = logins(found)
    me = [
        Row("The box", f"as {name}, without a terminal of its own in this list")
        for name in found.of("me")[:1]
    ]
    rows = (*some(present, _SHOWN, "logins"), *me, *_last_rows(found.of("last")))
    people = ", ".join(dict.fromkeys(row.label for row in present))
    summary = (
        f"{count(len(present), 'login')}: {people}." if present else "Nobody is logged in on a terminal."
    )
    return Card("Logged in", Status.OK, summary, rows)


RECIPE = Recipe(
    name="who",
    label="Who",
    title="Who is logged in",
    words=("who", "users", "logins", "logged in", "logged on", "signed in", "last", "people"),
    probe=_PROBE,
    read=read,
)
