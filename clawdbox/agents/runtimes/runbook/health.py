"""How the server is, on one card: load, memory, failed services, reboot, uptime, disks."""

import re

from clawdbox.agents.runtimes.port import Card, Row, Status, Suggestion
from clawdbox.agents.runtimes.runbook import disk, memory, services, updates
from clawdbox.agents.runtimes.runbook.recipe import Recipe, Sections, level, unknown, worst

LOAD = "cat /proc/loadavg || sysctl -n vm.loadavg || uptime"
CPUS = "nproc || getconf _NPROCESSORS_ONLN || sysctl -n hw.ncpu || grep -c ^processor /proc/cpuinfo"
# A hanging network mount can hold df up for ever: what may hang comes last, and the rest is told all the same.
_PROBE = {
    "system": "grep ^PRETTY_NAME= /etc/os-release || sw_vers -productVersion; uname -srm",
    "load": LOAD,
    "cpus": CPUS,
    "uptime": "cat /proc/uptime || { sysctl -n kern.boottime; date +%s; }",
    "memory": memory.MEMORY,
    "services": services.SERVICES,
    "reboot": updates.REBOOT,
    "disk": disk.DF,
    "inodes": "df -P -i",
}
_DISKS = 4
_DECIMAL = re.compile(r"\d+[.,]\d+")
_BOOT = re.compile(r"sec = (\d+)")


def load_row(load: list[str], cpus: list[str]) -> Row:
    numbers = [float(text.replace(",", ".")) for text in _DECIMAL.findall(" ".join(load[:1]))][:3]
    if len(numbers) < 3:
        return unknown("Load", "neither /proc/loadavg nor uptime answered")
    shown = " · ".join(f"{number:.2f}" for number in numbers)
    cores = int(cpus[0]) if cpus and cpus[0].strip().isdigit() else 0
    if cores < 1:
        return Row("Load", f"{shown} (1, 5, 15 min)")
    percent = 100 * numbers[1] / cores
    noun = "core" if cores == 1 else "cores"
    return Row("Load", f"{shown} on {cores} {noun}", level("load", percent), round(min(percent, 100.0), 1))


def uptime_row(lines: list[str]) -> Row:
    seconds = _uptime_s(lines)
    return Row("Up", _duration(seconds)) if seconds is not None else unknown("Up", "the server did not say")


def _uptime_s(lines: list[str]) -> float | None:
    text = lines[0] if lines else ""
    boot = _BOOT.search(text)
    if boot and len(lines) > 1 and lines[-1].strip().isdigit():
        return max(0.0, float(lines[-1]) - float(boot[1]))
    match = re.match(r"(\d+(?:\.\d+)?)(?:\s|$)", text)
    return float(match[1]) if match else None


def _duration(seconds: float) -> str:
    minutes = int(seconds // 60)
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"


def system_row(lines: list[str]) -> Row:
    named = [line.partition("=")[2].strip('"') or line for line in lines]
    return Row("System", " · ".join(named)) if named else unknown("System", "the server did not say")


def disk_rows(found: Sections) -> list[Row]:
    """The fullest few, and every one that is short of room."""
    everything = disk.rows(found.of("disk"))
    if not everything:
        return [unknown("Disk", "df did not answer")]
    tight = [row for row in everything[_DISKS:] if row.status is not Status.OK]
    return [*everything[:_DISKS], *tight, *disk.inode_rows(found.of("inodes"))]


def read(found: Sections) -> Card:
    load = load_row(found.of("load"), found.of("cpus"))
    rows = (
        load,
        *memory.rows(found.of("memory")),
        *disk_rows(found),
        services.row(found.of("services")),
        updates.reboot_row(found.of("reboot")),
        uptime_row(found.of("uptime")),
        system_row(found.of("system")),
    )
    status = worst(tuple(row.status for row in rows))
    return Card("Health", status, _summary(rows), rows)


def _summary(rows: tuple[Row, ...]) -> str:
    trouble = [_trouble(row) for row in rows if row.status in (Status.WARN, Status.BAD)]
    if trouble:
        return f"Look at: {'; '.join(trouble)}."
    missing = [row.label.lower() for row in rows if row.value.startswith("unknown")]
    if missing:
        return f"Nothing wrong in what could be read; unknown: {', '.join(missing)}."
    return "All is well."


def _trouble(row: Row) -> str:
    if row.label == "Load":
        return f"load {row.value}"
    if row.percent is not None:
        return (
            f"{row.label} {row.percent:.0f} % full"
            if row.label.startswith("/")
            else f"{row.label.lower()} {row.percent:.0f} %"
        )
    return f"{row.label.lower()} {row.value}"


def further(card: Card) -> tuple[Suggestion, ...]:
    """The recipe that says more about what is wrong."""
    more = {
        "Memory": memory.RECIPE,
        "Swap": memory.RECIPE,
        "Services": services.RECIPE,
        "Reboot": updates.RECIPE,
    }
    wrong = [row for row in card.rows if row.status in (Status.WARN, Status.BAD)]
    recipes = [disk.RECIPE if row.label.startswith("/") else more.get(row.label) for row in wrong]
    return tuple(dict.fromkeys(Suggestion(recipe.name, recipe.label) for recipe in recipes if recipe))


RECIPE = Recipe(
    name="health",
    label="Health",
    title="How the server is",
    words=(
        "health", "healthy", "status", "how is it", "how is the server", "how are you", "how are things", "overview",
        "check", "load", "cpu", "uptime", "slow", "alive",
    ),
    probe=_PROBE,
    read=read,
    further=further,
)  # fmt: skip
