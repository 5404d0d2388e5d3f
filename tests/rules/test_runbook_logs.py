"""What logs complain of, read from the journal, from syslogd of Debian and BusyBox, and from the kernel's own words."""

import pytest

from clawdbox.agents.runtimes.port import Row, Status
from clawdbox.agents.runtimes.runbook import logs
from clawdbox.agents.runtimes.runbook.logs import Complaint
from clawdbox.agents.runtimes.runbook.recipe import sections

UBUNTU = """\
@@sees
groups root
@@kernel
2026-11-28T03:12:44+0000 web kernel: Out of memory: Killed process 2211 (mysqld) total-vm:2514360kB, anon-rss:803220kB
2026-11-28T04:12:44+0000 web kernel: Out of memory: Killed process 9120 (mysqld) total-vm:2514360kB, anon-rss:803220kB
2026-11-28T04:12:44+0000 web kernel: oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0
2026-11-28T05:00:01+0000 web kernel: blk_update_request: I/O error, dev sdb, sector 1953525160 op 0x0:(READ) flags 0x80700
2026-11-28T05:00:02+0000 web kernel: Buffer I/O error on dev sdb1, logical block 244190645, async page read
2026-11-28T05:00:09+0000 web kernel: EXT4-fs error (device dm-0): ext4_find_entry:1455: inode #2: comm ls: reading directory
@@auth
    612 from 203.0.113.7
     80 from 2001:db8::1
      2 Accepted password for root
      1 Accepted password for anna
@@errors
source journal
    214 nginx: connect() failed (N: Connection refused) while connecting to upstream
     12 nginx: open() failed (N: No such file or directory)
      1 systemd: Failed to start Rotate log files.
@@end
"""
ALPINE = """\
@@sees
groups anna wheel
@@kernel
up 400000
[  300.123456] I/O error, dev mmcblk0, sector 8192
@@auth
@@errors
source /var/log/messages
      3 daemon.err chronyd: Could not open IPv6 NTP socket
      1 user.crit my-app: out of cheese
@@end
"""


def test_what_is_grave_comes_first_then_what_is_loud() -> None:
    card = logs.read(sections(UBUNTU))
    assert (card.status, card.summary) == (Status.BAD, "Out of memory: mysqld was killed, 2 times.")
    assert card.rows == (
        Row("Out of memory", "mysqld was killed, 2 times", Status.BAD),
        Row("Disk errors", "sdb, 2 times", Status.BAD),
        Row("Disk errors", "dm-0", Status.BAD),
        Row("Failed logins", "692 attempts, most from 203.0.113.7", Status.WARN),
        Row("root", "logged in with a password, 2 times", Status.WARN),
        Row(
            "nginx",
            "226 × connect() failed (N: Connection refused) while connecting to upstream",
            Status.WARN,
        ),
        Row("systemd", "Failed to start Rotate log files.", Status.INFO),
    )
    assert [item.text for item in logs.further(card)] == ["$ dmesg -T | tail -n 60"]


def test_an_old_complaint_of_the_kernel_is_not_told_again() -> None:
    assert logs.kernel_rows(["up 400000", "[  300.1] I/O error, dev sda, sector 1"]) == []
    fresh = [
        "up 400000",
        "[399000.1] I/O error, dev sda, sector 1",
        "[ 399001.1] I/O error, dev sda, sector 2",
    ]
    assert logs.kernel_rows(fresh) == [Row("Disk errors", "sda, 2 times", Status.BAD)]
    assert logs.kernel_rows(["[  300.1] I/O error, dev sda, sector 1"]) != [], "without a clock it is told"


@pytest.mark.parametrize(
    "line, device",
    [
        ("kernel: nvme nvme0: I/O 52 QID 3 timeout, reset controller", "nvme0"),
        ("kernel: I/O error, dev nvme0n1, sector 128 op 0x1:(WRITE)", "nvme0n1"),
        ("kernel: XFS (sda3): metadata I/O error in xfs_da_read_buf", "sda"),
        ("kernel: BTRFS error (device vdb1): bdev /dev/vdb1 errs: wr 0, rd 12", "vdb"),
        ("kernel: critical medium error, dev sdc, sector 7", "sdc"),
        ("kernel: I/O error", "a disk"),
    ],
)
def test_the_disk_is_named(line: str, device: str) -> None:
    assert logs.kernel_rows([line]) == [Row("Disk errors", device, Status.BAD)]


def test_of_busybox_the_level_is_no_program() -> None:
    card = logs.read(sections(ALPINE))
    assert card.summary == "2 programs complained within a day, most of all chronyd."
    assert card.rows == (
        Row("chronyd", "3 × Could not open IPv6 NTP socket", Status.INFO),
        Row("my-app", "out of cheese", Status.INFO),
    )
    assert logs.complaints(["  12 a[N]: x", " 3 a: y", "garbage", " x: y"]) == [Complaint("a", 15, "x")]


@pytest.mark.parametrize(
    "text, summary, label",
    [
        (
            "@@sees\ngroups anna\n@@errors\nsource journal\n@@end\n",
            "Nothing was logged as an error within a day.",
            "Part of it",
        ),
        (
            "@@sees\ngroups root\n@@errors\nsource journal\n@@end\n",
            "Nothing was logged as an error within a day.",
            None,
        ),
        (
            "@@sees\ngroups anna\n@@errors\ndenied /var/log/syslog\n@@end\n",
            "The logs could not be read.",
            "Not readable",
        ),
        ("@@end\n", "The logs could not be read.", "Logs"),
        (
            "@@auth\n  9 from 1.2.3.4\n@@errors\nsource journal\n@@end\n",
            "Nothing but failed logins within a day.",
            "Failed logins",
        ),
    ],
    ids=["part", "all", "denied", "nothing", "logins"],
)
def test_a_quiet_card(text: str, summary: str, label: str | None) -> None:
    card = logs.read(sections(text))
    assert card.summary == summary
    assert card.status is Status.INFO
    assert next((row.label for row in card.rows), None) == label
    assert logs.further(card) == ()
