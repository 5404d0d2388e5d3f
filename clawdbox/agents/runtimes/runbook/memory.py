"""How much memory is in use, and by what."""

import re

import msgspec

from clawdbox.agents.runtimes.port import Card, Row, Status
from clawdbox.agents.runtimes.runbook.recipe import Recipe, Sections, level, size, unknown, worst

# Linux; else macOS
MEMORY = (
    'grep -E "^(MemTotal|MemFree|MemAvailable|Buffers|Cached|SReclaimable|SwapTotal|SwapFree):" /proc/meminfo'
    " || { sysctl -n hw.memsize; vm_stat; sysctl -n vm.swapusage; }"
)
# From about 10 MB on. Not sorted there: BusyBox writes 186m for what others write as 190464.
_BIGGEST = (
    "{ ps -eo rss= -o comm= || ps -axo rss= -o comm= || ps -o rss= -o comm=; }"
    ' | grep -E "^ *([0-9]{5,}|[0-9.]+[mg]) " | head -n 400'
)
_FIELD = re.compile(r"(\w+):\s+(\d+) kB")
_PAGES = re.compile(r"Pages (free|inactive|speculative|purgeable):\s+(\d+)\.")
_PAGE_SIZE = re.compile(r"page size of (\d+) bytes")
_SWAP_MAC = re.compile(r"total = ([\d.]+)M\s+used = ([\d.]+)M")
_PROCESS = re.compile(r"(\d+(?:\.\d+)?)([kmg]?)\s+(\S.*)", re.IGNORECASE)
_UNITS = {"": 1, "k": 1, "m": 1024, "g": 1024 * 1024}
_SHOWN = 5


class Memory(msgspec.Struct, frozen=True):
    """In KiB; `swap_total` 0 means there is none."""

    total: int
    available: int
    swap_total: int
    swap_used: int


def memory(lines: list[str]) -> Memory | None:
    text = "\n".join(lines)
    return _linux(dict(_FIELD.findall(text))) or _macos(lines, text)


def _linux(fields: dict[str, str]) -> Memory | None:
    values = {name: int(value) for name, value in fields.items()}
    total = values.get("MemTotal", 0)
    if not total or not {"MemAvailable", "MemFree"} & values.keys():
        return None
    spare = sum(values.get(name, 0) for name in ("MemFree", "Buffers", "Cached", "SReclaimable"))
    swap = values.get("SwapTotal", 0)
    return Memory(
        total,
        min(total, values.get("MemAvailable", spare)),
        swap,
        max(0, swap - values.get("SwapFree", swap)),
    )


def _macos(lines: list[str], text: str) -> Memory | None:
    page = _PAGE_SIZE.search(text)
    pages = {name: int(number) for name, number in _PAGES.findall(text)}
    if not page or not pages or not lines[0].isdigit():
        return None
    swap = _SWAP_MAC.search(text)
    swap_total, swap_used = (int(float(part) * 1024) for part in swap.groups()) if swap else (0, 0)
    available = sum(pages.values()) * int(page[1]) // 1024
    total = int(lines[0]) // 1024
    return Memory(total, min(total, available), swap_total, swap_used)


def rows(lines: list[str]) -> list[Row]:
    found = memory(lines)
    if found is None:
        return [unknown("Memory", "neither /proc/meminfo nor vm_stat answered")]
    percent = _percent(found.total - found.available, found.total)
    value = f"{size(found.available)} available of {size(found.total)}"
    made = [Row("Memory", value, level("memory", percent), percent)]
    if found.swap_total:
        swap = _percent(found.swap_used, found.swap_total)
        value = f"{size(found.swap_used)} used of {size(found.swap_total)}"
        made.append(Row("Swap", value, level("swap", swap), swap))
    return made


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 1)


def biggest(lines: list[str]) -> list[Row]:
    """The programs that hold most, as `ps` tells (shared pages count for each)."""
    matches = (_PROCESS.fullmatch(line.strip()) for line in lines)
    held = [(float(match[1]) * _UNITS[match[2].lower()], match[3]) for match in matches if match]
    held.sort(key=lambda entry: -entry[0])
    return [Row(name.rsplit("/", 1)[-1], size(kib)) for kib, name in held[:_SHOWN] if kib >= 1]


def read(found: Sections) -> Card:
    made = rows(found.of("memory"))
    status = worst(tuple(row.status for row in made))
    first = made[0]
    if first.percent is None:
        summary = "How much memory is in use could not be read."
    elif status in (Status.WARN, Status.BAD):
        summary = f"Memory is short: {first.percent:.0f} % in use."
    else:
        summary = f"{first.percent:.0f} % in use, {first.value.split(' of ')[0]}."
    return Card("Memory", status, summary, (*made, *biggest(found.of("biggest"))))


RECIPE = Recipe(
    name="memory",
    label="Memory",
    title="How much memory is in use",
    words=("memory", "mem", "ram", "swap", "free", "oom"),
    probe={"memory": MEMORY, "biggest": _BIGGEST},
    read=read,
)
