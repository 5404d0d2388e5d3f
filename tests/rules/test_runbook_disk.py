"""How full the disks are, read from what the df of several systems prints."""

import pytest

from clawdbox.agents.runtimes.port import Row, Status
from clawdbox.agents.runtimes.runbook import disk
from clawdbox.agents.runtimes.runbook.recipe import Sections

UBUNTU = """\
Filesystem     1024-blocks     Used Available Capacity Mounted on
tmpfs               401416     1180    400236       1% /run
/dev/sda2         40453048 35312144   3053480      93% /
tmpfs              2007076        0   2007076       0% /dev/shm
tmpfs                 5120        0      5120       0% /run/lock
/dev/loop0           65536    65536         0     100% /snap/core20/2105
/dev/sda1           523244     6216    517028       2% /boot/efi
efivarfs               256       90       162      36% /sys/firmware/efi/efivars
10.0.0.4:/export 209715200 20971520 188743680      10% /mnt/nas
overlay           40453048 35312144   3053480      93% /var/lib/docker/overlay2/3f1c/merged
"""
FEDORA = """\
Filesystem     1024-blocks     Used Available Capacity Mounted on
/dev/nvme0n1p3   498426880 41943040 455000000       9% /
devtmpfs              4096        0      4096       0% /dev
tmpfs              8118956    84728   8034228       2% /tmp
/dev/nvme0n1p3   498426880 41943040 455000000       9% /home
/dev/nvme0n1p2      996780   412000    515968      45% /boot
composefs             8192     8192         0     100% /
"""
ALPINE = """\
Filesystem           1024-blocks    Used Available Capacity Mounted on
devtmpfs                 10240         0     10240   0% /dev
shm                     506764         0    506764   0% /dev/shm
/dev/vda3              9230308   1011832   7728016  12% /
tmpfs                   202708       116    202592   0% /run
/dev/vda1                93936     24984     61784  29% /boot
cgroup_root              10240         0     10240   0% /sys/fs/cgroup
"""
OLD_BUSYBOX = """\
Filesystem           1024-blocks    Used Available Capacity Mounted on
rootfs                   15104     15104         0 100% /rom
/dev/mapper/vg0-a-very-long-volume-name
                      10190136   9987000     30136 100% /overlay
"""
MACOS = """\
Filesystem     1024-blocks      Used Available Capacity  Mounted on
/dev/disk3s1s1   482797652  10012344 200000000     5%    /
devfs                  206       206         0   100%    /dev
/dev/disk3s6     482797652   2097192 200000000     2%    /System/Volumes/VM
/dev/disk3s5     482797652 260000000 200000000    57%    /System/Volumes/Data
map auto_home            0         0         0   100%    /System/Volumes/Data/home
/dev/disk5s1       1048576    104857    943718    11%    /Volumes/My Backup
"""
CONTAINER = """\
Filesystem     1024-blocks    Used Available Capacity Mounted on
overlay           61202244 7000000  51000000      13% /
tmpfs                65536       0     65536       0% /dev
shm                  65536       0     65536       0% /dev/shm
/dev/sdb1         61202244 7000000  51000000      13% /etc/hosts
"""
FREEBSD = """\
Filesystem         1024-blocks    Used    Avail Capacity  Mounted on
zroot/ROOT/default    18000000 2000000 16000000    11%    /
devfs                        1       1        0   100%    /dev
/dev/ada0p4             500000  520000   -20000   104%    /var
"""


def _read(text: str, inodes: str = "") -> Sections:
    return Sections({"disk": text.splitlines(), "inodes": inodes.splitlines()}, complete=True)


@pytest.mark.parametrize(
    "text, volumes",
    [
        (UBUNTU, [("/", 92.0), ("/mnt/nas", 10.0), ("/boot/efi", 1.2)]),
        (FEDORA, [("/boot", 44.4), ("/", 8.4)]),
        (ALPINE, [("/boot", 28.8), ("/", 11.6)]),
        (OLD_BUSYBOX, [("/overlay", 99.7)]),
        (MACOS, [("/System/Volumes/Data", 56.5), ("/Volumes/My Backup", 10.0), ("/", 4.8)]),
        (CONTAINER, [("/", 12.1), ("/etc/hosts", 12.1)]),
        (FREEBSD, [("/var", 100.0), ("/", 11.1)]),
        ("", []),
        ("sh: df: not found\n", []),
    ],
    ids=["ubuntu", "fedora", "alpine", "old busybox", "macos", "container", "freebsd", "nothing", "no df"],
)
def test_the_file_systems_that_hold_data_fullest_first(text: str, volumes: list[tuple[str, float]]) -> None:
    assert [(volume.mount, volume.percent) for volume in disk.volumes(text.splitlines())] == volumes


def test_a_full_disk_is_said_first_and_what_fills_it_is_offered() -> None:
    card = disk.read(_read(UBUNTU))
    assert card.status is Status.WARN
    assert card.summary == "Running out of room: /."
    assert card.rows[0] == Row("/", "2.9 GiB free of 38.6 GiB", Status.WARN, 92.0)
    (suggestion,) = disk.further(card)
    assert suggestion.text == "$ du -xk / 2>/dev/null | sort -rn | head -n 20"


def test_a_disk_beyond_95_percent_is_bad() -> None:
    assert disk.read(_read(OLD_BUSYBOX)).status is Status.BAD


def test_a_mount_point_is_quoted_in_what_is_offered() -> None:
    line = "/dev/sdb1 1000000 990000 10000 99% /Volumes/My $(Backup)"
    (suggestion,) = disk.further(disk.read(_read(line)))
    assert "'/Volumes/My $(Backup)'" in suggestion.text


def test_inodes_are_told_only_where_they_are_short() -> None:
    inodes = (
        "Filesystem      Inodes   IUsed   IFree IUse% Mounted on\n"
        "/dev/sda2      2588672 2562785   25887   99% /\n"
        "/dev/sda1            0       0       0     - /boot/efi\n"
        "/dev/sdb1      1000000  100000  900000   10% /srv\n"
    )
    card = disk.read(_read(ALPINE, inodes))
    assert card.status is Status.BAD
    assert [row.value for row in card.rows if row.status is Status.BAD] == [
        "99 % of its inodes in use: too many small files"
    ]


def test_without_an_answer_the_row_says_what_is_missing() -> None:
    card = disk.read(_read("df: unrecognized option\n"))
    assert card.status is Status.INFO
    assert card.rows[0].value.startswith("unknown: ")
