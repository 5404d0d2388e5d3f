"""The probe: one script of a POSIX shell that only reads, and what its answer means.

The script has no quote, no backslash, no `!` and no line break in it, so that any login shell (fish and csh among them)
hands it to `sh` as it stands. It reads /proc and /sys with `cat` and the shell's own `read`; it asks `df` only about
file systems of this machine, since one network share that does not answer would hang it. Where there is no /proc, what
`uname`, `uptime`, `df` and `sysctl` tell has to do. Whatever comes back is foreign text: bounded, and shown as text.
"""

import ipaddress
import re
from collections.abc import Iterator
from datetime import datetime

import msgspec

from clawdbox.names import printable
from clawdbox.ssh.model.stats import (
    CpuTimes,
    Disk,
    Facts,
    Gauge,
    Level,
    Load,
    Memory,
    Reading,
    Sample,
    Temperature,
)

MOST = 32  # disks, sensors, addresses, users
OUTPUT_BYTES = 262_144
_MOST_BYTES = 1 << 60
_LOCAL = "ext2|ext3|ext4|xfs|btrfs|zfs|f2fs|vfat|exfat|ntfs3|fuseblk|overlay|jfs|reiserfs|bcachefs|ubifs|simfs|rootfs"
_NO_DISKS = frozenset({"devfs", "fdescfs", "procfs", "devtmpfs"})
_NO_MOUNT = re.compile(r"/System/Volumes/(?!Data$)|/dev(/|$)")
_STATS = (
    "LC_ALL=C; export LC_ALL; PATH=$PATH:/usr/bin:/bin:/usr/sbin:/sbin; s() { echo @@$1; }",
    "s uname; uname -s; uname -r; uname -m; uname -n",
    "if [ -r /proc/stat ]; then s cpu; read -r l </proc/stat; echo $l",
    "s load; cat /proc/loadavg; s uptime; cat /proc/uptime; s memory; cat /proc/meminfo",
    "s cores; cat /sys/devices/system/cpu/online",
    (
        "s temperature; for f in /sys/class/thermal/thermal_zone*; do if [ -r $f/temp ]; then read -r v <$f/temp;"
        " read -r n <$f/type; echo $v $n; fi; done"
    ),
    (
        "for f in /sys/class/hwmon/hwmon*/temp1_input; do if [ -r $f ]; then read -r v <$f;"
        " read -r n <${f%/*}/name; echo $v $n; fi; done"
    ),
    (
        f"s disk; set --; while read -r d m t o; do case $t in {_LOCAL}) [ $# -lt {MOST} ] && set -- $@ $m;; esac;"
        " done </proc/mounts; [ $# -gt 0 ] && df -Pk $@"
    ),
    "else s bsd; uptime; sysctl -n hw.ncpu hw.memsize hw.physmem hw.model; s boottime; sysctl -n kern.boottime; s disk; df -Pkl; fi",
)
_FACTS = (
    (
        "s os; cat /etc/os-release; s cpuinfo; while read -r l; do case $l in model?name*|Model*|Hardware*) echo $l; break;; esac;"
        " done </proc/cpuinfo"
    ),
    "s v4; n=0; while read -r a; do [ $n -lt 4000 ] || break; n=$((n+1)); echo $a; done </proc/net/fib_trie",
    (
        "s v6; cat /proc/net/if_inet6; s users; who; s reboot; [ -e /run/reboot-required ] || [ -e /var/run/reboot-required ]"
        " && echo yes; s end"
    ),
)


def script(*, full: bool) -> str:
    """The command to run. `full` asks for what hardly changes, too."""
    text = "; ".join((*_STATS, *_FACTS) if full else _STATS)
    return f"exec sh -c '{{ {text}; }} 2>/dev/null'"


def parse(output: bytes, at: datetime) -> Reading:
    """Never raises: what cannot be understood is not there."""
    parts = _parts(output)
    uname = ([*parts.get("uname", []), "", "", "", ""])[:4]
    bsd = parts.get("bsd", [])
    cores = _cores(parts) or _bsd_cores(bsd)
    load = _load(parts.get("load", []), cores) or _bsd_load(bsd, cores)
    memory = _memory(parts.get("memory", []))
    uptime = _uptime(parts, at)
    sample = Sample(
        at=at,
        cpu=None,
        memory=memory,
        load=load,
        disks=_disks(parts.get("disk", [])),
        temperatures=_temperatures(parts.get("temperature", [])),
        uptime_s=uptime,
    )
    facts = Facts(
        at=at,
        system=uname[0] or None,
        os=_os(parts.get("os", [])) or _named(uname),
        kernel=uname[1] or None,
        hostname=uname[3] or None,
        machine=uname[2] or None,
        cores=cores,
        cpu_model=_cpu_model(parts.get("cpuinfo", [])),
        memory_total=memory.total if memory else _bsd_memory(bsd),
        addresses=_addresses(parts),
        users=_users(parts.get("users", [])),
        pending_reboot=_reboot(parts),
        uptime_s=uptime,
    )
    return Reading(sample, facts, _cpu_times(parts.get("cpu", [])))


def between(earlier: Reading, later: Reading) -> Sample:
    """The later sample, with how busy the processors were since the earlier one."""
    if earlier.cpu_times is None or later.cpu_times is None:
        return later.sample
    total = later.cpu_times.total - earlier.cpu_times.total
    busy = later.cpu_times.busy - earlier.cpu_times.busy
    if total <= 0 or not 0 <= busy <= total:
        return later.sample  # the machine was started anew, or two samples are too close together
    percent = round(100 * busy / total, 1)
    return msgspec.structs.replace(later.sample, cpu=Gauge(percent, "warn" if percent >= 90 else "ok"))


def understood(reading: Reading) -> bool:
    """Whether anything came back that a probe of ours could have said."""
    return bool(reading.facts.system or reading.sample.load or reading.sample.memory)


def _parts(output: bytes) -> dict[str, list[str]]:
    """Mark → lines of text below it. Of a mark that comes twice (forged or not) the first counts."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for raw in output[:OUTPUT_BYTES].decode(errors="replace").split("\n"):
        line = printable(raw[:500], 400)
        if line.startswith("@@"):
            lines = []
            found.setdefault(line[2:].strip(), lines)
        else:
            lines.append(line)
    return found


def _number(text: str) -> float | None:
    """A plain finite number of at most 20 digits; nothing that `float` would be generous with (`nan`, `1_0`, `٣`)."""
    return float(text) if re.fullmatch(r"-?[0-9]{1,20}(\.[0-9]{1,20})?", text) else None


def _whole(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def _level(value: float, warn: float, bad: float) -> Level:
    return "bad" if value >= bad else "warn" if value >= warn else "ok"


def _cpu_times(lines: list[str]) -> CpuTimes | None:
    """proc(5), /proc/stat: user nice system idle iowait irq softirq steal; guests are in user already."""
    fields = lines[0].split() if lines else []
    ticks = [_whole(field) for field in fields[1:9]]
    if len(ticks) < 4 or fields[0] != "cpu" or any(tick is None for tick in ticks):
        return None
    numbers = [tick or 0 for tick in ticks]
    idle = numbers[3] + (numbers[4] if len(numbers) > 4 else 0)
    return CpuTimes(busy=sum(numbers) - idle, total=sum(numbers))


def _load(lines: list[str], cores: int | None) -> Load | None:
    numbers = [_number(field) for field in (lines[0].split() if lines else [])[:3]]
    return _as_load(numbers, cores)


def _as_load(numbers: list[float | None], cores: int | None) -> Load | None:
    known = [number for number in numbers if number is not None and 0 <= number < 1e6]
    if len(known) != 3:
        return None
    per_core = known[1] / (cores or 1)
    return Load(known[0], known[1], known[2], _level(per_core, 1.0, 2.0))


def _memory(lines: list[str]) -> Memory | None:
    kib: dict[str, int] = {}
    for line in lines[:200]:
        name, _, rest = line.partition(":")
        fields = rest.split()
        value = _whole(fields[0]) if fields else None
        if value is not None and value * 1024 <= _MOST_BYTES:
            kib.setdefault(name, value * 1024)
    total = kib.get("MemTotal", 0)
    # MemAvailable is missing before Linux 3.14
    available = kib.get("MemAvailable", kib.get("MemFree", 0) + kib.get("Buffers", 0) + kib.get("Cached", 0))
    if total <= 0:
        return None
    available = min(available, total)
    swap = kib.get("SwapTotal", 0)
    percent = round(100 * (total - available) / total, 1)
    swap_used = max(0, swap - kib.get("SwapFree", 0))
    return Memory(total, available, swap, swap_used, percent, _level(percent, 90, 97))


def _disks(lines: list[str]) -> list[Disk]:
    """POSIX `df -P`: device, blocks of 1024 bytes, used, available, capacity, mount point. A device counts once."""
    found: dict[str, Disk] = {}
    for line in lines:
        match = re.fullmatch(
            r"(\S.*?)\s+([0-9]{1,15})\s+([0-9]{1,15})\s+-?([0-9]{1,15})\s+([0-9]{1,3})%\s+(/.*)", line
        )
        if not match or len(found) >= MOST:
            continue
        size, used, free = (int(match[i]) * 1024 for i in (2, 3, 4))
        if size <= 0 or match[1] in found or match[1] in _NO_DISKS or _NO_MOUNT.match(match[6]):
            continue
        percent = min(100.0, float(match[5]))
        level = _level(percent, 85, 95) if free < 50 * 1024**3 or percent >= 99 else "ok"
        found[match[1]] = Disk(match[6], size, used, percent, level)
    return sorted(found.values(), key=lambda disk: (disk.mount != "/", disk.mount))


def _temperatures(lines: list[str]) -> list[Temperature]:
    found: dict[str, Temperature] = {}
    for line in lines:
        value, _, label = line.partition(" ")
        celsius = (_number(value) or 0) / 1000
        if 0 < celsius < 150 and len(found) < MOST:  # sensors without anything behind them say 0, or nonsense
            name = label.strip()[:40] or "sensor"
            warm = Temperature(name, round(celsius, 1), _level(celsius, 75, 90))
            if name not in found or found[name].celsius < warm.celsius:
                found[name] = warm
    return list(found.values())


def _uptime(parts: dict[str, list[str]], at: datetime) -> float | None:
    first = next(iter(parts.get("uptime", [])), "")
    seconds = _number(first.split(" ")[0])
    if seconds is None:
        boot = re.search(r"sec = ([0-9]{1,12})", " ".join(parts.get("boottime", [])))
        seconds = at.timestamp() - int(boot[1]) if boot else None
    return round(seconds, 1) if seconds is not None and 0 <= seconds < 1e10 else None


def _cores(parts: dict[str, list[str]]) -> int | None:
    """`0-3,8` as in cpuset(7)."""
    count = 0
    for piece in "".join(parts.get("cores", [])[:1]).split(","):
        low, _, high = piece.partition("-")
        first, last = _whole(low), _whole(high or low)
        if first is None or last is None or not 0 <= last - first < 65_536:
            return None
        count += last - first + 1
    return count or None


def _os(lines: list[str]) -> str | None:
    """os-release(5)."""
    values = _assignments(lines)
    return (values.get("PRETTY_NAME") or values.get("NAME") or "")[:100] or None


def _assignments(lines: list[str]) -> dict[str, str]:
    pairs = (line.partition("=") for line in lines[:100])
    return {name: value.strip("\"'") for name, _, value in pairs}


def _named(uname: list[str]) -> str | None:
    return {"Darwin": "macOS"}.get(uname[0]) or (f"{uname[0]} {uname[1]}".strip() or None)


def _cpu_model(lines: list[str]) -> str | None:
    return lines[0].partition(":")[2].strip()[:100] or None if lines else None


def _addresses(parts: dict[str, list[str]]) -> list[str]:
    found = [*_ipv4(parts.get("v4", [])), *_ipv6(parts.get("v6", []))]
    return list(dict.fromkeys(found))[:MOST]


def _ipv4(lines: list[str]) -> Iterator[str]:
    """/proc/net/fib_trie: `|-- 192.168.1.5` and below it `/32 host LOCAL`."""
    address = ""
    for line in lines:
        if match := re.fullmatch(r"\|-- ([0-9]{1,3}(?:\.[0-9]{1,3}){3})", line):
            address = match[1]
        elif line == "/32 host LOCAL" and address and not address.startswith("127."):
            yield address


def _ipv6(lines: list[str]) -> Iterator[str]:
    """/proc/net/if_inet6: address, index, prefix, scope, flags, name. Link-local ones say nothing."""
    for line in lines[:200]:
        fields = line.split()
        if len(fields) == 6 and re.fullmatch(r"[0-9a-f]{32}", fields[0]) and fields[3] == "00":
            yield str(ipaddress.IPv6Address(int(fields[0], 16)))


def _users(lines: list[str]) -> list[str]:
    names = (line.split()[0] for line in lines if line.split())
    return list(dict.fromkeys(name[:32] for name in names))[:MOST]


def _reboot(parts: dict[str, list[str]]) -> bool | None:
    if "yes" in parts.get("reboot", []):
        return True
    like = _assignments(parts.get("os", []))
    knows = {"debian", "ubuntu"} & set(f"{like.get('ID', '')} {like.get('ID_LIKE', '')}".split())
    return False if knows and "end" in parts else None


def _bsd_cores(lines: list[str]) -> int | None:
    cores = _whole(lines[1]) if len(lines) > 1 else None
    return cores if cores and cores < 65_536 else None


def _bsd_load(lines: list[str], cores: int | None) -> Load | None:
    found = re.search(r"load averages?: ([0-9.]+),? ([0-9.]+),? ([0-9.]+)", lines[0] if lines else "")
    return _as_load([_number(text) for text in found.groups()], cores) if found else None


def _bsd_memory(lines: list[str]) -> int | None:
    sizes = [size for line in lines[2:4] if (size := _whole(line)) and size >= 1 << 20]
    return min(sizes[0], _MOST_BYTES) if sizes else None
