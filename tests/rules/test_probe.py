"""What the probe says is understood, whatever system it comes from, and whatever comes instead."""

import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawdbox.ssh.rules import probe, shell_start

AT = datetime(2026, 11, 21, 7, 0, tzinfo=UTC)
ALPINE = b"""@@uname
Linux
6.6.8
aarch64
pi
@@cpu
cpu 100 0 50 800 50 0 0 0 0 0
@@load
5.10 4.50 3.00 1/100 42
@@uptime
3600.50 7000.00
@@memory
MemTotal:        1000000 kB
MemFree:          100000 kB
MemAvailable:      50000 kB
SwapTotal:        500000 kB
SwapFree:         400000 kB
@@cores
0-1,4
@@temperature
48312 cpu-thermal
91000 soc
0 dead
-40000 cold
@@disk
Filesystem           1024-blocks    Used Available Capacity Mounted on
/dev/mmcblk0p2          1000000  960000     40000  96% /
/dev/sda1             900000000  10      890000000   1% /mnt/a b
/dev/mmcblk0p2          1000000  960000     40000  96% /var
@@os
PRETTY_NAME="Alpine Linux v3.19"
ID=alpine
@@cpuinfo
@@v4
Main:
|-- 192.168.1.5
/32 host LOCAL
|-- 192.168.1.255
/32 link BROADCAST
|-- 127.0.0.1
/32 host LOCAL
@@v6
fe80000000000000021122fffe334455 02 40 20 80 eth0
20010db8000000000000000000000005 02 40 00 80 eth0
@@users
bob      pts/0        2026-11-21 05:00
bob      pts/1        2026-11-21 05:01
@@reboot
@@end
"""
MACOS = b"""@@uname
Darwin
23.1.0
arm64
mac.local
@@bsd
 7:00  up 3 days, 2 users, load averages: 1.52 1.71 1.60
8
17179869184
Mac14,2
@@boottime
{ sec = 1795240800, usec = 0 } Sat Nov 21 06:00:00 2026
@@disk
Filesystem   1024-blocks      Used Available Capacity  Mounted on
/dev/disk3s1   482797652 9000000 100000000    9%    /
devfs                200       200         0   100%    /dev
/dev/disk3s6   482797652 20 100000000     1%    /System/Volumes/VM
@@os
@@end
"""


def test_a_small_linux() -> None:
    reading = probe.parse(ALPINE, AT)
    sample, facts = reading.sample, reading.facts
    assert (facts.os, facts.machine, facts.cores) == ("Alpine Linux v3.19", "aarch64", 3)
    assert facts.addresses == ["192.168.1.5", "2001:db8::5"]
    assert facts.users == ["bob"]
    assert facts.pending_reboot is None, "Alpine does not say"
    assert sample.memory is not None
    assert (sample.memory.percent, sample.memory.level, sample.memory.swap_used) == (
        95.0,
        "warn",
        102_400_000,
    )
    assert sample.load is not None
    assert (sample.load.one, sample.load.level) == (5.1, "warn")
    assert [(disk.mount, disk.percent, disk.level) for disk in sample.disks] == [
        ("/", 96.0, "bad"), ("/mnt/a b", 1.0, "ok")
    ]  # fmt: skip
    assert [(t.label, t.celsius, t.level) for t in sample.temperatures] == [
        ("cpu-thermal", 48.3, "ok"), ("soc", 91.0, "bad")
    ]  # fmt: skip
    assert sample.uptime_s == 3600.5


def test_a_mac_tells_what_it_can() -> None:
    reading = probe.parse(MACOS, AT)
    assert (reading.facts.os, reading.facts.cores, reading.facts.memory_total) == ("macOS", 8, 17_179_869_184)
    assert reading.sample.memory is None
    assert reading.sample.load is not None
    assert reading.sample.load.five == 1.71
    assert [disk.mount for disk in reading.sample.disks] == ["/"]
    assert reading.sample.uptime_s == AT.timestamp() - 1_795_240_800


def test_processors_are_compared_between_two_readings() -> None:
    later = probe.parse(
        ALPINE.replace(b"cpu 100 0 50 800 50", b"cpu 190 0 50 805 55"), AT + timedelta(seconds=4)
    )
    cpu = probe.between(probe.parse(ALPINE, AT), later).cpu
    assert cpu is not None
    assert (cpu.percent, cpu.level) == (90.0, "warn")
    assert probe.between(later, probe.parse(ALPINE, AT)).cpu is None, "the machine was started anew"


@pytest.mark.parametrize("file, expected", [(b"yes\n", True), (b"", False)])
def test_debian_says_whether_a_restart_is_due(file: bytes, expected: bool) -> None:
    debian = ALPINE.replace(b"ID=alpine", b"ID=debian").replace(b"@@reboot\n", b"@@reboot\n" + file)
    assert probe.parse(debian, AT).facts.pending_reboot is expected


@given(
    st.one_of(st.binary(max_size=2000), st.text(max_size=800).map(lambda text: text.encode(errors="replace")))
)
def test_garbage_is_no_error_and_nothing_in_it_reaches_a_terminal(junk: bytes) -> None:
    for output in (junk, ALPINE + junk, ALPINE.replace(b"\n", b"\n" + junk, 3)):
        reading = probe.parse(output, AT)
        told = f"{reading.facts}{reading.sample}"
        assert "\x1b" not in told
    assert not probe.understood(probe.parse(b"\x00\x1b[2J" * 100, AT))
    shell_start.parse(junk)


@given(st.sampled_from([b"nan", b"inf", b"-1", b"1e999", b"9" * 400, "٣".encode()]))
def test_numbers_that_are_none_are_left_out(number: bytes) -> None:
    output = (
        ALPINE.replace(b"5.10", number).replace(b"1000000 kB", number + b" kB").replace(b"3600.50", number)
    )
    reading = probe.parse(output, AT)
    assert reading.sample.load is None
    assert reading.sample.memory is None
    assert reading.sample.uptime_s is None


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_the_script_runs_in_a_plain_shell_and_any_login_shell_hands_it_on(shell: str) -> None:
    script = probe.script(full=True)
    inside = script.removeprefix("exec sh -c '").removesuffix("'")
    assert not set("'\"\\!\n`") & set(inside)
    ran = subprocess.run([shell, "-c", script], capture_output=True, check=False, timeout=30)
    reading = probe.parse(ran.stdout, AT)
    assert ran.stderr == b""
    assert probe.understood(reading)
    assert reading.sample.memory is not None
    assert reading.sample.disks


def test_what_a_login_shell_costs_is_the_time_between_its_start_and_its_commands() -> None:
    ran = subprocess.run(
        ["bash", "-c", f"sleep 0.3; {shell_start.COMMAND}"], capture_output=True, check=True, timeout=30
    )
    ms, shell = shell_start.parse(b"Welcome!\n" + ran.stdout)
    assert ms is not None
    assert 290 <= ms < 5000
    assert shell == "bash"


@pytest.mark.parametrize(
    "runs, level, words",
    [
        ([(10.0, "bash")] * 5, "ok", "Nothing to mend"),
        ([(400.0, "bash"), (20.0, "bash"), (410.0, "bash")], "bad", "~/.bashrc"),
        ([(120.0, "zsh")], "warn", "~/.zshenv"),
        ([(120.0, "fish")], "warn", "config.fish"),
        ([(120.0, "ksh")], "warn", "120 ms"),
        ([(None, None)], "ok", "Linux only"),
    ],
)
def test_the_advice_fits_the_shell(
    runs: list[tuple[float | None, str | None]], level: str, words: str
) -> None:
    found = shell_start.verdict(runs)
    assert found.level == level
    assert words in found.advice
