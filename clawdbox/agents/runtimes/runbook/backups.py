"""How old the newest backup is, as far as the server itself shows: timers, snapshots, Proxmox, what tools left behind."""

import re
from calendar import timegm
from time import strptime

import msgspec

from clawdbox.agents.runtimes.port import Card, Row, Status, Suggestion
from clawdbox.agents.runtimes.runbook.recipe import (
    Recipe,
    Sections,
    age,
    in_order,
    level,
    some,
    unknown,
    worst,
)

_TOOLS = "restic borg borgmatic rsnapshot timeshift zfs sanoid zrepl vzdump proxmox-backup-client duplicity kopia snapper btrbk rclone pgbackrest"
_KIND = "backup|restic|borg|rsnapshot|timeshift|snapshot|sanoid|zrepl|vzdump|duplicity|kopia|snapper|btrbk|rclone|pgbackrest"
# The times of systemd are local ones, and so is this clock.
TIMERS = (
    'date "+now %Y-%m-%d %H:%M:%S"; date +%s; for u in $(systemctl list-units --all --plain --type=timer --no-legend --no-pager'
    f' | grep -oiE "^[^ ]*({_KIND})[^ ]*[.]timer" | grep -v ^dpkg- | head -n 15); do echo timer $u;'
    " systemctl show -p LastTriggerUSec $u; systemctl show -p Result -p ActiveState -p ExecMainStatus"
    " -p ExecMainExitTimestamp $(systemctl show -p Unit $u | cut -d = -f 2); done"
)
_AGED = "while read -r f; do echo $(stat -c %Y $f || stat -f %m $f)"
_LEFT = (
    "for t in restic borg; do d=$HOME/.cache/restic; [ $t = borg ] && d=$HOME/.config/borg/security;"
    " ls -td $d/*/snapshots/*/* $d/*/manifest-timestamp | head -n 1 | " + _AGED + " $t; done; done;"
    " r=$(grep -E ^snapshot_root /etc/rsnapshot.conf | grep -oE /[^[:space:]]+);"
    " ls -td ${r:-/nowhere}/*.0 | head -n 1 | " + _AGED + " rsnapshot; done;"
    " ls -td /timeshift/snapshots/* /run/timeshift/*/backup/timeshift/snapshots/* | head -n 1 | "
    + _AGED
    + " timeshift; done;"
    " ls -td /.snapshots/*/info.xml | head -n 1 | " + _AGED + " snapper; done"
)
_ZFS = "zfs list -Hp -t snapshot -o creation,name -S creation | head -n 400"
_PROXMOX = "cat /var/log/pve/tasks/index.1 /var/log/pve/tasks/index | grep :vzdump: | tail -n 60"
_FOUND = (
    f"for t in {_TOOLS}; do command -v $t >/dev/null && echo tool $t; done;"
    f' grep -lriE "{_KIND}" /etc/crontab /etc/cron.d /etc/cron.daily /etc/cron.hourly /etc/cron.weekly /var/spool/cron'
    ' | grep -vE "/(dpkg|passwd)$" | head -n 10 | sed s/^/cron:/'
)
_STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
_TASK = re.compile(r"UPID:[^:]*:[^:]*:[^:]*:([0-9A-F]{8}):vzdump:([^:]*):[^:]*:\s+([0-9A-F]{8})\s+(.+)")
_SHOWN = 12


class Backup(msgspec.Struct, frozen=True):
    """`seconds` is the age of the newest one; None when none is known to have been made."""

    name: str
    seconds: float | None
    failed: str = ""

    @property
    def row(self) -> Row:
        if self.failed:
            when = f", {age(self.seconds)} ago" if self.seconds is not None else ""
            return Row(self.name, f"failed{when}: {self.failed}", Status.BAD)
        if self.seconds is None:
            return Row(self.name, "has not run yet, as far as is known", Status.WARN)
        return Row(self.name, f"{age(self.seconds)} ago", level("backup_hours", self.seconds / 3600))


def timers(lines: list[str]) -> list[Backup]:
    """Each timer that is named like a backup, with what became of its service the last time."""
    now = next((_local(line) for line in lines if line.startswith("now ")), None)
    found: list[Backup] = []
    said: dict[str, str] = {}
    for line in [*lines, "timer "]:
        if not line.startswith("timer"):
            key, _, value = line.partition("=")
            said[key] = value.strip()
            continue
        if said.get("name"):
            found.append(_of_timer(said, now))
        said = {"name": line.removeprefix("timer").strip()}
    return found


def _of_timer(said: dict[str, str], now: int | None) -> Backup:
    last = _local(said.get("ExecMainExitTimestamp", "")) or _local(said.get("LastTriggerUSec", ""))
    seconds = float(max(0, now - last)) if now and last else None
    if said.get("ActiveState") in ("activating", "active") and seconds is not None:
        return Backup(said["name"], seconds)
    result = said.get("Result", "success")
    bad = result not in ("success", "") or said.get("ActiveState") == "failed"
    return Backup(said["name"], seconds, f"{result}, exit {said.get('ExecMainStatus', '?')}" if bad else "")


def _local(text: str) -> int | None:
    found = _STAMP.search(text)
    return timegm(strptime(found[0], "%Y-%m-%d %H:%M:%S")) if found else None


def left_behind(lines: list[str], now: int) -> list[Backup]:
    """What tools write down on this server when they make one or look at one."""
    found = []
    for line in lines:
        stamp, _, name = line.partition(" ")
        if stamp.isdigit() and name:
            found.append(Backup(name, float(max(0, now - int(stamp)))))
    return found


def zfs(lines: list[str], now: int) -> list[Backup]:
    """The newest snapshot of each pool."""
    newest: dict[str, int] = {}
    for line in lines:
        stamp, _, name = line.partition("\t")
        if stamp.isdigit() and "@" in name:
            pool = name.split("@")[0].split("/")[0]
            newest[pool] = max(newest.get(pool, 0), int(stamp))
    return [Backup(f"snapshot of {pool}", float(max(0, now - stamp))) for pool, stamp in newest.items()]


def proxmox(lines: list[str], now: int) -> list[Backup]:
    """The last task of each guest (or job, which has no number)."""
    last: dict[str, tuple[int, str]] = {}
    for line in lines:
        if match := _TASK.search(line):
            last[match[2]] = max(last.get(match[2], (0, "")), (int(match[3], 16), match[4].strip()))
    return [
        Backup(
            f"vzdump {guest}".strip(),
            float(max(0, now - end)),
            "" if words == "OK" or words.startswith("WARNINGS") else words[:60],
        )
        for guest, (end, words) in sorted(last.items())
    ]


def all_of(found: Sections) -> list[Backup] | None:
    """None when the server did not tell its time."""
    lines = found.of("timers")
    now = next((int(line) for line in lines if line.isdigit()), None)
    if now is None:
        return None
    return [
        *timers(lines),
        *left_behind(found.of("left"), now),
        *zfs(found.of("zfs"), now),
        *proxmox(found.of("proxmox"), now),
    ]


def row(lines: list[str]) -> Row | None:
    """The worst of the timers; None where there are none."""
    rows = in_order([one.row for one in timers(lines)])
    return Row("Backups", f"{rows[0].label}: {rows[0].value}", rows[0].status) if rows else None


def read(found: Sections) -> Card:
    known = all_of(found)
    tools = [line.removeprefix("tool ") for line in found.of("found") if line.startswith("tool ")]
    cron = [line.removeprefix("cron:") for line in found.of("found") if line.startswith("cron:")]
    if known is None:
        return Card(
            "Backups", Status.INFO, "Backups could not be looked for.", (unknown("Backups", "no answer"),)
        )
    rows = [*some(in_order([one.row for one in known]), _SHOWN, "backups")]
    if cron:
        rows.append(Row("Planned by cron", ", ".join(cron[:3])))
    if tools:
        rows.append(Row("Installed", ", ".join(tools)))
    if not known:
        status = Status.INFO if cron else Status.WARN
        rows.insert(0, Row("Newest backup", "unknown: no timer, snapshot or trace of one", status))
    return Card("Backups", worst(tuple(each.status for each in rows)), _summary(known, cron), tuple(rows))


def _summary(known: list[Backup], cron: list[str]) -> str:
    failed = [one for one in known if one.failed]
    aged = [one for one in known if one.seconds is not None and not one.failed]
    if failed:
        return f"{failed[0].name} failed the last time."
    if not aged:
        return (
            "Planned by cron; whether it works does not show here."
            if cron
            else "No sign of a backup was found here."
        )
    newest = min(aged, key=lambda one: one.seconds or 0.0)
    return f"The newest is {age(newest.seconds or 0.0)} old ({newest.name})."


def further(card: Card) -> tuple[Suggestion, ...]:
    failed = [
        each.label
        for each in card.rows
        if re.fullmatch(r"[\w@.\-]+\.timer", each.label) and each.status is Status.BAD
    ]
    return tuple(
        Suggestion(f"$ journalctl -u {name.removesuffix('.timer')} -n 50 --no-pager", f"Log of {name}")
        for name in failed[:2]
    )


RECIPE = Recipe(
    name="backups",
    label="Backups",
    title="How old the newest backup is",
    words=(
        "backups",
        "backup",
        "restic",
        "borg",
        "rsnapshot",
        "timeshift",
        "snapshots",
        "snapshot",
        "vzdump",
        "zfs",
    ),
    probe={"timers": TIMERS, "left": _LEFT, "zfs": _ZFS, "proxmox": _PROXMOX, "found": _FOUND},
    read=read,
    further=further,
    timeout_s=40.0,
)
