"""Who is logged in, also where there is no utmp."""

import pytest

from clawdbox.agents.runtimes.port import Status
from clawdbox.agents.runtimes.runbook import who
from clawdbox.agents.runtimes.runbook.recipe import Sections

GNU = """\
ada      pts/0        2026-11-21 03:08 (192.168.1.5)
root     tty1         2026-11-20 09:12
"""
BUSYBOX = """\
USER\t\tTTY\t\tIDLE\tTIME\t\t HOST
root            pts/0           00:00   Nov 21 03:08:11  10.0.2.2
"""
MACOS = "ada      console      Nov 20 09:12 \nada      ttys000      Nov 20 09:13 (10.0.0.2)\n"
SSHD = """\
sshd: ada@pts/0
sshd: ada@notty
sshd-session: bob@pts/3
sshd: root@pts/0
sshd: root@pts/0
"""


@pytest.mark.parametrize(
    "text, served, rows",
    [
        (GNU, SSHD, [("ada", "pts/0, 2026-11-21 03:08 (192.168.1.5)"), ("root", "tty1, 2026-11-20 09:12")]),
        (BUSYBOX, "", [("root", "pts/0, 00:00 Nov 21 03:08:11 10.0.2.2")]),
        (MACOS, "", [("ada", "console, Nov 20 09:12"), ("ada", "ttys000, Nov 20 09:13 (10.0.0.2)")]),
        ("", SSHD, [("ada", "pts/0, over SSH"), ("bob", "pts/3, over SSH"), ("root", "pts/0, over SSH")]),
        ("", "", []),
    ],
    ids=["gnu", "busybox", "macos", "no utmp", "nobody"],
)
def test_logins(text: str, served: str, rows: list[tuple[str, str]]) -> None:
    found = Sections({"who": text.splitlines(), "served": served.splitlines()}, complete=True)
    assert [(row.label, row.value) for row in who.logins(found)] == rows


def test_the_card_tells_the_last_logins_too() -> None:
    last = (
        "ada      pts/0        192.168.1.5      Sat Nov 21 03:08   still logged in\n"
        "reboot   system boot  6.1.0-18-amd64   Fri Nov 20 09:10   still running\n"
        "wtmp begins Sun Nov  1 00:00:01 2026\n"
    )
    parts = {"who": GNU, "last": last, "me": "deploy\n"}
    card = who.read(Sections({name: part.splitlines() for name, part in parts.items()}, complete=True))
    assert (card.status, card.summary) == (Status.OK, "2 logins: ada, root.")
    assert [row.label for row in card.rows] == ["ada", "root", "The box", "before: ada"]


def test_nobody() -> None:
    card = who.read(Sections({"who": [], "served": [], "me": ["deploy"]}, complete=True))
    assert card.summary == "Nobody is logged in on a terminal."


def test_without_an_answer_it_is_unknown() -> None:
    card = who.read(Sections({"me": ["x"]}, complete=False))
    assert card.rows[0].value == "unknown: no answer"
