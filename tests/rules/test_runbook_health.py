"""How a server is, on one card."""

import pytest

from clawdbox.agents.runtimes.port import Status
from clawdbox.agents.runtimes.runbook import health
from clawdbox.agents.runtimes.runbook.recipe import sections

DEBIAN = """\
@@system
PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
Linux 6.1.0-18-amd64 x86_64

@@load
0.08 0.03 0.05 1/180 1234

@@cpus
4

@@uptime
1123200.67 4567890.12

@@memory
MemTotal:        4014156 kB
MemFree:         2201840 kB
MemAvailable:    3061274 kB
SwapTotal:             0 kB
SwapFree:              0 kB

@@services
manager systemd
state running
running 21

@@reboot
kernel:6.1.0-18-amd64

@@disk
Filesystem     1024-blocks     Used Available Capacity Mounted on
/dev/sda1         40453048 12312144  26053480      33% /

@@inodes
Filesystem      Inodes   IUsed   IFree IUse% Mounted on
/dev/sda1      2588672  162785 2425887    7% /

@@end
"""
ALPINE_IN_TROUBLE = """\
@@system
PRETTY_NAME="Alpine Linux v3.19"
Linux 6.6.10-0-virt x86_64
@@load
9.50 4.40 2.05 3/180 1234
@@cpus
2
@@uptime
3540.67 4567.12
@@memory
MemTotal:         512000 kB
MemFree:           10000 kB
MemAvailable:      20000 kB
SwapTotal:             0 kB
SwapFree:              0 kB
@@services
manager openrc
 nginx                                                             [  crashed  ]
@@reboot
kernel:6.6.10-0-virt
modules-gone
@@disk
Filesystem           1024-blocks    Used Available Capacity Mounted on
/dev/vda3              9230308   9000000    230308  98% /
@@inodes
Filesystem              Inodes      Used Available Capacity Mounted on
@@end
"""
MACOS = """\
@@system
14.3
Darwin 23.3.0 arm64
@@load
{ 1.85 1.90 1.88 }
@@cpus
8
@@uptime
{ sec = 1700000000, usec = 0 } Tue Nov 14 22:13:20 2023
1700090000
@@memory
17179869184
Mach Virtual Memory Statistics: (page size of 16384 bytes)
Pages free:                               20000.
Pages inactive:                          300000.
total = 0.00M  used = 0.00M  free = 0.00M  (encrypted)
@@services
manager launchd
PID	Status	Label
@@reboot
kernel:23.3.0
@@disk
Filesystem     1024-blocks      Used Available Capacity  Mounted on
/dev/disk3s5     482797652 260000000 200000000    57%    /System/Volumes/Data
@@inodes
@@end
"""


def test_a_server_that_is_well() -> None:
    card = health.read(sections(DEBIAN))
    assert (card.status, card.summary) == (Status.OK, "All is well.")
    assert [(row.label, row.value, row.percent) for row in card.rows] == [
        ("Load", "0.08 · 0.03 · 0.05 on 4 cores", 0.8),
        ("Memory", "2.9 GiB available of 3.8 GiB", 23.7),
        ("/", "24.8 GiB free of 38.6 GiB", 32.1),
        ("Services", "none failed, 21 running", None),
        ("Reboot", "no sign that one is needed", None),
        ("Up", "13 d 0 h", None),
        ("System", "Debian GNU/Linux 12 (bookworm) · Linux 6.1.0-18-amd64 x86_64", None),
    ]
    assert health.further(card) == ()


def test_trouble_is_named_and_what_tells_more_is_offered() -> None:
    card = health.read(sections(ALPINE_IN_TROUBLE))
    assert card.status is Status.BAD
    assert card.summary == (
        "Look at: load 9.50 · 4.40 · 2.05 on 2 cores; memory 96 %; / 98 % full; services 1 failed: nginx;"
        " reboot required: the modules of the running kernel 6.6.10-0-virt are gone."
    )
    assert [item.text for item in health.further(card)] == ["memory", "disk", "services", "updates"]
    assert card.rows[0].percent == 100.0


def test_macos() -> None:
    card = health.read(sections(MACOS))
    values = {row.label: row.value for row in card.rows}
    assert values["Load"] == "1.85 · 1.90 · 1.88 on 8 cores"
    assert values["Up"] == "1 d 1 h"
    assert values["System"] == "14.3 · Darwin 23.3.0 arm64"
    assert card.status is Status.OK


@pytest.mark.parametrize(
    "load, cpus, value, status",
    [
        (["0.50 0.40 0.30 1/2 3"], ["1"], "0.50 · 0.40 · 0.30 on 1 core", Status.OK),
        (["0.50 1.40 0.30 1/2 3"], ["1"], "0.50 · 1.40 · 0.30 on 1 core", Status.WARN),
        (["0.50 0.40 0.30 1/2 3"], [], "0.50 · 0.40 · 0.30 (1, 5, 15 min)", Status.INFO),
        ([" 03:08:11 up 1:02,  1 user,  load average: 0,50, 0,40, 0,30"], ["2"], "0.50 · 0.40 · 0.30 on 2 cores", Status.OK),
        (["3:08  up 10 days, 2 users, load averages: 1.85 1.90 1.88"], ["2"], "1.85 · 1.90 · 1.88 on 2 cores", Status.OK),
        ([], ["2"], "unknown: neither /proc/loadavg nor uptime answered", Status.INFO),
    ],
)  # fmt: skip
def test_load(load: list[str], cpus: list[str], value: str, status: Status) -> None:
    row = health.load_row(load, cpus)
    assert (row.value, row.status) == (value, status)


@pytest.mark.parametrize(
    "lines, value",
    [
        (["59.9 1"], "0 min"),
        (["3660.5 1"], "1 h 1 min"),
        (["{ sec = 100, usec = 0 } x", "90100"], "1 d 1 h"),
        (["{ sec = 100, usec = 0 } x"], "unknown: the server did not say"),
        ([], "unknown: the server did not say"),
    ],
)
def test_uptime(lines: list[str], value: str) -> None:
    assert health.uptime_row(lines).value == value


def test_every_part_may_be_missing_alone() -> None:
    whole = sections(DEBIAN)
    for name in whole.lines:
        lines = {key: value for key, value in whole.lines.items() if key != name}
        card = health.read(type(whole)(lines, complete=True))
        assert card.status in (Status.OK, Status.INFO), name
        if name not in ("inodes", "cpus"):
            assert "unknown: " in card.summary, name


def test_of_many_disks_the_fullest_and_all_tight_ones_are_shown() -> None:
    disks = [f"/dev/sd{letter}1 1000000 {used} {1000000 - used} 1% /{letter}" for letter, used in
             zip("abcdefg", (100, 980000, 970000, 960000, 990000, 200, 955000), strict=True)]  # fmt: skip
    text = DEBIAN.replace(
        "/dev/sda1         40453048 12312144  26053480      33% /\n", "\n".join(disks) + "\n"
    )
    labels = [row.label for row in health.read(sections(text)).rows if row.label.startswith("/")]
    assert labels == ["/e", "/b", "/c", "/d", "/g"]
