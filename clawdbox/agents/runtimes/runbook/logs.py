"""What the logs of the last day complain of: errors by program, killed for want of memory, disks, failed logins."""

import re
from collections import Counter

import msgspec

from clawdbox.agents.runtimes.port import Card, Row, Status, Suggestion
from clawdbox.agents.runtimes.runbook.recipe import (
    Recipe,
    Sections,
    count,
    in_order,
    level,
    short,
    some,
    unknown,
    worst,
)

# Alike messages are counted on the server, numbers of two and more digits (ids, times, addresses) left aside.
_ALIKE = (
    'sed -E "s/[[][0-9]+[]]:/:/; s/0x[0-9a-f]+/N/g; s/[0-9]{2,}/N/g" | sort | uniq -c | sort -rn | head -n 60'
)
_YESTERDAY = "date -d @$(($(date +%s)-86400))"
_DAYS = f'$(date "+%b %e")|$({_YESTERDAY} "+%b %e")|$(date +%Y-%m-%d)|$({_YESTERDAY} +%Y-%m-%d)'
_HAS_JOURNAL = "[ -d /run/systemd/journal ] && command -v journalctl >/dev/null"
# systemd's journal; else what syslogd writes, where BusyBox names the level and others only what went wrong.
_ERRORS = (
    f"if {_HAS_JOURNAL}; then echo source journal;"
    f' journalctl -q --no-pager -o short-iso -p err --since -24h -n 5000 | cut -d " " -f 3- | {_ALIKE};'
    " else for f in /var/log/syslog /var/log/messages; do [ -f $f ] || continue; [ -r $f ] || { echo denied $f; continue; };"
    f' echo source $f; tail -n 20000 $f | grep -E "^({_DAYS})" | grep -E'
    ' "[.](err|crit|alert|emerg) |[Ee]rror|ERROR|[Ff]atal|segfault|panic"'
    f' | sed -E "s/^([A-Z][a-z]+ +[0-9]+ [0-9:]+|[^ ]+) [^ ]+ //" | {_ALIKE}; done; fi'
)
_KERNEL_WORDS = (
    "[Oo]ut of memory: Kill|I/O error|critical (medium|target) error|Unrecovered read|Medium Error"
    "|EXT4-fs error|XFS .*(error|orruption)|BTRFS.*(error|corrupt)|nvme.*(timeout|reset)|Remounting filesystem read-only"
)
# What the kernel itself holds has no date, only seconds since it was started.
KERNEL = (
    f"if {_HAS_JOURNAL}; then journalctl -q --no-pager -k -o short-iso --since -24h -n 20000; else"
    " echo up $(cut -d . -f 1 /proc/uptime); dmesg || tail -n 20000 /var/log/messages; fi"
    f' | grep -E "^up |{_KERNEL_WORDS}" | tail -n 60'
)
_AUTH_WORDS = "Failed (password|publickey)|Invalid user|authentication failure|Connection closed by authenticating|bad password attempt"
_AUTH = (
    f"{{ if {_HAS_JOURNAL}; then"
    " journalctl -q --no-pager -o short-iso --since -24h -n 50000 -t sshd -t sshd-session -t dropbear;"
    f' else tail -n 50000 /var/log/auth.log /var/log/secure /var/log/messages | grep -E "^({_DAYS})"; fi; }}'
    f' | grep -E "{_AUTH_WORDS}|Accepted password" | grep -oE "Accepted password for [^ ]+|from [0-9a-fA-F.:]+"'
    " | sort | uniq -c | sort -rn | head -n 200"
)
_SEES = "echo groups $(id -Gn)"
_COUNTED = re.compile(r"\s*(\d+) (.*)")
_PROGRAM = re.compile(r"([^\s:\[]+)(?:\[[^\]]*\])?:\s*(.*)")
_KILLED = re.compile(r"[Oo]ut of memory: Kill(?:ed)? process \d+ \(([^)]+)\)")
_DEVICE = re.compile(r"\b(sd[a-z]+|nvme\d+(?:n\d+)?|vd[a-z]+|xvd[a-z]+|mmcblk\d+|md\d+|dm-\d+)(?:p?\d+)?\b")
_LEVEL = re.compile(r"\w+\.(?:err|crit|alert|emerg)\s+")
_SINCE_START = re.compile(r"\[\s*(\d+\.\d+)\]")
_DAY_S = 86_400
_MAY_READ = {"root", "adm", "systemd-journal", "wheel"}
# Rows that are no program's
_OF_THE_CARD = {"Failed logins", "root", "Not readable", "Logs", "Part of it"}
_SHOWN = 8


class Complaint(msgspec.Struct, frozen=True):
    """What one program said most often, and how often it complained at all."""

    program: str
    times: int
    words: str


def complaints(lines: list[str]) -> list[Complaint]:
    """By program, the loudest first."""
    times: Counter[str] = Counter()
    words: dict[str, tuple[int, str]] = {}
    for line in lines:
        counted = _COUNTED.fullmatch(line)
        said = _PROGRAM.match(_LEVEL.sub("", counted[2])) if counted else None
        if counted and said and not said[1].isdigit():
            number = int(counted[1])
            times[said[1]] += number
            if number > words.get(said[1], (0, ""))[0]:
                words[said[1]] = (number, said[2])
    return [Complaint(program, number, words[program][1]) for program, number in times.most_common()]


def kernel_rows(lines: list[str]) -> list[Row]:
    """Killed for want of memory, and disks that fail: nothing where the kernel had no complaint within a day."""
    recent = _recent(lines)
    killed = Counter(match[1] for line in recent if (match := _KILLED.search(line)))
    broken: Counter[str] = Counter()
    for line in recent:
        if "ut of memory" not in line and "oom-kill" not in line:
            device = _DEVICE.search(line)
            broken[device[1] if device else "a disk"] += 1
    return [
        *(
            Row("Out of memory", f"{name} was killed{_times(number)}", Status.BAD)
            for name, number in killed.most_common(3)
        ),
        *(
            Row("Disk errors", f"{name}{_times(number)}", Status.BAD)
            for name, number in broken.most_common(3)
        ),
    ]


def _recent(lines: list[str]) -> list[str]:
    up = next((int(line[3:]) for line in lines if line.startswith("up ") and line[3:].isdigit()), 0)
    stamped = ((_SINCE_START.match(line), line) for line in lines if not line.startswith("up "))
    return [line for match, line in stamped if not match or up - float(match[1]) < _DAY_S]


def _times(number: int) -> str:
    return f", {number} times" if number > 1 else ""


def login_rows(lines: list[str]) -> list[Row]:
    """A server on the internet is tried all day long: only many attempts are worth a warning."""
    counted = [(int(match[1]), match[2]) for line in lines if (match := _COUNTED.fullmatch(line))]
    failed = [(number, words.removeprefix("from ")) for number, words in counted if words.startswith("from ")]
    total = sum(number for number, _ in failed)
    rows = []
    if total:
        value = f"{count(total, 'attempt')}, most from {failed[0][1]}"
        rows.append(
            Row("Failed logins", value, level("failed_logins", total) if total >= 50 else Status.INFO)
        )
    for number, words in counted:
        if words.endswith(" root") and words.startswith("Accepted password"):
            rows.append(Row("root", f"logged in with a password{_times(number)}", Status.WARN))
    return rows


def error_rows(lines: list[str]) -> list[Row]:
    return [
        Row(
            one.program, short(f"{one.times} × {one.words}" if one.times > 1 else one.words), _tone(one.times)
        )
        for one in complaints(lines)
    ]


def _tone(times: int) -> Status:
    return Status.INFO if level("errors", times) is Status.OK else level("errors", times)


def _sees_little(found: Sections) -> bool:
    groups = set(" ".join(found.of("sees")).split()[1:])
    return bool(groups) and not groups & _MAY_READ


def read(found: Sections) -> Card:
    errors = found.of("errors")
    grave, logins, loud = kernel_rows(found.of("kernel")), login_rows(found.of("auth")), error_rows(errors)
    rows = [*grave, *in_order(logins), *some(in_order(loud), _SHOWN, "programs")]
    rows += [
        Row("Not readable", line.removeprefix("denied "), Status.INFO)
        for line in errors
        if line.startswith("denied ")
    ]
    told = any(line.startswith("source ") for line in errors)
    if not told:
        rows.append(unknown("Logs", "no journal and no log file that this user may read"))
    elif _sees_little(found):
        rows.append(
            Row(
                "Part of it",
                "this user sees only some of the logs (group adm or systemd-journal)",
                Status.INFO,
            )
        )
    return Card(
        "Logs",
        worst(tuple(each.status for each in rows)),
        _summary(grave, logins, loud, rows, told),
        tuple(rows),
    )


def _summary(grave: list[Row], logins: list[Row], loud: list[Row], rows: list[Row], told: bool) -> str:
    if grave:
        return f"{grave[0].label}: {grave[0].value}."
    if loud:
        return f"{count(len(loud), 'program')} complained within a day, most of all {loud[0].label}."
    if logins:
        return "Nothing but failed logins within a day." if told else "Failed logins within a day."
    if not told and rows:
        return "The logs could not be read."
    return "Nothing was logged as an error within a day."


def further(card: Card) -> tuple[Suggestion, ...]:
    labels = {each.label for each in card.rows}
    if "Disk errors" in labels:
        return (Suggestion("$ dmesg -T | tail -n 60", "The kernel's words"),)
    if "Out of memory" in labels:
        return (Suggestion("memory", "Memory"),)
    if labels - _OF_THE_CARD:
        return (Suggestion("$ journalctl -p err --since -24h -n 50 --no-pager", "All errors"),)
    return ()


RECIPE = Recipe(
    name="logs",
    label="Logs",
    title="What the logs complain of",
    words=(
        "logs",
        "log",
        "errors",
        "error",
        "journal",
        "journalctl",
        "syslog",
        "dmesg",
        "oom killer",
        "failed logins",
        "attacks",
        "brute force",
    ),
    probe={"sees": _SEES, "kernel": KERNEL, "auth": _AUTH, "errors": _ERRORS},
    read=read,
    further=further,
    timeout_s=60.0,
)
