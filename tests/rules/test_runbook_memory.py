"""How much memory is in use, read from /proc/meminfo and vm_stat."""

import pytest

from clawdbox.agents.runtimes.port import Status
from clawdbox.agents.runtimes.runbook import memory
from clawdbox.agents.runtimes.runbook.memory import Memory
from clawdbox.agents.runtimes.runbook.recipe import Sections

UBUNTU = """\
MemTotal:        4014156 kB
MemFree:          201840 kB
MemAvailable:     361274 kB
Buffers:           51236 kB
Cached:           512004 kB
SwapTotal:       2097148 kB
SwapFree:         524288 kB
SReclaimable:     102400 kB
"""
KERNEL_2_6_32 = """\
MemTotal:        1020176 kB
MemFree:          100000 kB
Buffers:           50000 kB
Cached:           300000 kB
SwapTotal:             0 kB
SwapFree:              0 kB
SReclaimable:      20000 kB
"""
MACOS = """\
17179869184
Mach Virtual Memory Statistics: (page size of 16384 bytes)
Pages free:                               20000.
Pages active:                            400000.
Pages inactive:                          300000.
Pages speculative:                         5000.
Pages throttled:                              0.
Pages wired down:                        150000.
Pages purgeable:                           1000.
"Translation faults":                 123456789.
total = 2048.00M  used = 1024.50M  free = 1023.50M  (encrypted)
"""


@pytest.mark.parametrize(
    "text, found",
    [
        (UBUNTU, Memory(4014156, 361274, 2097148, 1572860)),
        (KERNEL_2_6_32, Memory(1020176, 470000, 0, 0)),
        (MACOS, Memory(16777216, 5216000, 2097152, 1049088)),
        ("", None),
        ("sh: vm_stat: not found\n", None),
        ("MemTotal:        4014156 kB\n", None),
    ],
    ids=["ubuntu", "old kernel", "macos", "nothing", "no vm_stat", "cut"],
)
def test_memory(text: str, found: Memory | None) -> None:
    assert memory.memory(text.splitlines()) == found


@pytest.mark.parametrize(
    "text, rows",
    [
        ("190464 mysqld\n 20480 php-fpm8.1\n", [("mysqld", "186.0 MiB"), ("php-fpm8.1", "20.0 MiB")]),
        # BusyBox
        ("12345 nginx\n186m mysqld\n1.5g java\n", [("java", "1.5 GiB"), ("mysqld", "186.0 MiB"), ("nginx", "12.1 MiB")]),
        # macOS shows paths
        (
            " 524288 /Applications/A B.app/Contents/MacOS/A B\n",
            [("A B", "512.0 MiB")],
        ),
        ("ps: unrecognized option: e\n", []),
        ("", []),
    ],
)  # fmt: skip
def test_the_biggest_programs(text: str, rows: list[tuple[str, str]]) -> None:
    assert [(row.label, row.value) for row in memory.biggest(text.splitlines())] == rows


def test_the_card() -> None:
    found = Sections({"memory": UBUNTU.splitlines(), "biggest": ["190464 mysqld"]}, complete=True)
    card = memory.read(found)
    assert (card.status, card.summary) == (Status.WARN, "Memory is short: 91 % in use.")
    assert [(row.label, row.percent, row.status) for row in card.rows] == [
        ("Memory", 91.0, Status.WARN),
        ("Swap", 75.0, Status.WARN),
        ("mysqld", None, Status.INFO),
    ]


def test_without_swap_there_is_no_row_for_it() -> None:
    assert [row.label for row in memory.rows(KERNEL_2_6_32.splitlines())] == ["Memory"]


def test_without_an_answer_the_row_says_what_is_missing() -> None:
    card = memory.read(Sections({}, complete=False))
    assert card.rows[0].value == "unknown: neither /proc/meminfo nor vm_stat answered"
