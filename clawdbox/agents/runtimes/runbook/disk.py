"""How full the file systems are."""

import re
import shlex

import msgspec

from clawdbox.agents.runtimes.port import Card, Row, Status, Suggestion
from clawdbox.agents.runtimes.runbook.recipe import Recipe, Sections, level, size, unknown, worst

DF = "df -P -k"
# GNU, BusyBox and macOS: device, 1024-blocks, used, available, percent, mount point (both ends may hold spaces)
_LINE = re.compile(r"(.+?)\s+(\d+)\s+(\d+)\s+(-?\d+)\s+(\d+)%\s+(/.*)")
_INODES = re.compile(r"(.+?)\s+\d+\s+\d+\s+-?\d+\s+(\d+)%\s+(/.*)")
_PSEUDO = {
    "tmpfs", "devtmpfs", "udev", "none", "shm", "devfs", "efivarfs", "proc", "sysfs", "dev", "run", "cgroup", "cgroup2",
    "cgroup_root", "fdescfs", "procfs", "linprocfs", "rootfs", "ramfs", "composefs", "map",
}  # fmt: skip
_ELSEWHERE = (
    "/proc",
    "/sys",
    "/dev",
    "/run",
    "/snap",
    "/var/lib/docker/overlay2",
    "/System/Volumes",
    "/var/snap",
)
_SMALLEST_KIB = 1024
_MAIN_ON_MACOS = "/System/Volumes/Data"


class Volume(msgspec.Struct, frozen=True):
    """A file system that holds data; sizes in KiB."""

    device: str
    mount: str
    total: int
    used: int
    free: int

    @property
    def percent(self) -> float:
        """As df reckons: of what anybody but root can use."""
        usable = self.used + self.free
        return round(100 * self.used / usable, 1) if usable > 0 else 100.0

    @property
    def status(self) -> Status:
        return level("disk", self.percent)


def volumes(lines: list[str]) -> list[Volume]:
    """The fullest first; one line for a device that is mounted several times."""
    found: dict[tuple[str, int, int], Volume] = {}
    for line in _unwrapped(lines):
        match = _LINE.fullmatch(line.strip())
        if match and _is_data(match[1], match[6]) and int(match[2]) >= _SMALLEST_KIB:
            volume = Volume(match[1], match[6], int(match[2]), int(match[3]), max(0, int(match[4])))
            key = (volume.device, volume.total, volume.used)
            if key not in found or len(volume.mount) < len(found[key].mount):
                found[key] = volume
    return sorted(found.values(), key=lambda volume: (-volume.percent, volume.mount))


def _unwrapped(lines: list[str]) -> list[str]:
    """Old BusyBox puts what follows a long device name on the next line."""
    joined: list[str] = []
    for line in lines:
        if joined and line[:1].isspace() and len(joined[-1].split()) == 1:
            joined[-1] += line
        else:
            joined.append(line)
    return joined


def _is_data(device: str, mount: str) -> bool:
    if device.split(maxsplit=1)[0] in _PSEUDO or device.startswith("/dev/loop"):
        return False
    if mount == _MAIN_ON_MACOS:
        return True
    if device == "overlay":
        return mount == "/"
    return not any(mount == place or mount.startswith(f"{place}/") for place in _ELSEWHERE)


def inode_rows(lines: list[str]) -> list[Row]:
    """Only file systems that are short of inodes: the rest is of no interest."""
    rows = []
    for line in lines:
        match = _INODES.fullmatch(line.strip())
        if match and _is_data(match[1], match[3]) and level("inodes", int(match[2])) is not Status.OK:
            value = f"{match[2]} % of its inodes in use: too many small files"
            rows.append(Row(match[3], value, level("inodes", int(match[2])), float(match[2])))
    return rows


def rows(lines: list[str]) -> list[Row]:
    return [
        Row(
            volume.mount,
            f"{size(volume.free)} free of {size(volume.total)}",
            volume.status,
            volume.percent,
        )
        for volume in volumes(lines)
    ]


def read(found: Sections) -> Card:
    spaces = rows(found.of("disk"))
    everything = [*spaces, *inode_rows(found.of("inodes"))]
    if not spaces:
        missing = unknown("File systems", "df named none that hold data")
        return Card("Disk", Status.INFO, "How full the disks are could not be read.", (missing, *everything))
    fullest = spaces[0]
    status = worst(tuple(row.status for row in everything))
    tight = [row for row in everything if row.status in (Status.WARN, Status.BAD)]
    summary = f"The fullest is {fullest.label}, at {fullest.percent:.0f} %."
    if tight:
        summary = f"Running out of room: {', '.join(dict.fromkeys(row.label for row in tight))}."
    return Card("Disk", status, summary, tuple(everything))


def further(card: Card) -> tuple[Suggestion, ...]:
    tight = [
        row for row in card.rows if row.status in (Status.WARN, Status.BAD) and row.label.startswith("/")
    ]
    return tuple(
        Suggestion(
            f"$ du -xk {shlex.quote(row.label)} 2>/dev/null | sort -rn | head -n 20",
            f"What fills {row.label}?",
        )
        for row in tight[:2]
    )


RECIPE = Recipe(
    name="disk",
    label="Disk",
    title="How full the file systems are",
    words=("disk", "disks", "df", "space", "storage", "full", "filesystem", "volume", "inodes", "room"),
    probe={"disk": DF, "inodes": "df -P -i"},
    read=read,
    further=further,
)
