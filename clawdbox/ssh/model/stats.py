"""What a probe finds out about a server. None means that it could not be found out there, which is no fault."""

from datetime import datetime
from typing import Literal

import msgspec

Level = Literal["ok", "warn", "bad"]


class Disk(msgspec.Struct, frozen=True):
    """Sizes in bytes; `percent` of what an ordinary user may fill, as df counts it."""

    mount: str
    size: int
    used: int
    percent: float
    level: Level


class Temperature(msgspec.Struct, frozen=True):
    label: str
    celsius: float
    level: Level


class Gauge(msgspec.Struct, frozen=True):
    """A share of something, 0 to 100."""

    percent: float
    level: Level


class Memory(msgspec.Struct, frozen=True):
    """In bytes. `available` is what programs can still have without swapping."""

    total: int
    available: int
    swap_total: int
    swap_used: int
    percent: float
    level: Level


class Load(msgspec.Struct, frozen=True):
    """Programs that run or wait, on average over 1, 5 and 15 minutes; `level` compares them with the cores."""

    one: float
    five: float
    fifteen: float
    level: Level


class Sample(msgspec.Struct, frozen=True):
    at: datetime
    cpu: Gauge | None
    memory: Memory | None
    load: Load | None
    disks: list[Disk]
    temperatures: list[Temperature]
    uptime_s: float | None


class Facts(msgspec.Struct, frozen=True):
    """`pending_reboot` is None where the system does not say."""

    at: datetime
    system: str | None
    os: str | None
    kernel: str | None
    hostname: str | None
    machine: str | None
    cores: int | None
    cpu_model: str | None
    memory_total: int | None
    addresses: list[str]
    users: list[str]
    pending_reboot: bool | None
    uptime_s: float | None


class CpuTimes(msgspec.Struct, frozen=True):
    """Counters since the start of the machine, in its own ticks."""

    busy: int
    total: int


class Reading(msgspec.Struct, frozen=True):
    """One answer of the probe, before two of them are compared."""

    sample: Sample
    facts: Facts
    cpu_times: CpuTimes | None


class ShellStart(msgspec.Struct, frozen=True):
    """Milliseconds that the login shell takes before it runs a command; None where it cannot be measured.

    Linux counts them in steps of 10 ms. `advice` says what to do about them.
    """

    median_ms: float | None
    samples_ms: list[float]
    shell: str | None
    level: Level
    advice: str
