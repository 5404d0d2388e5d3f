"""Bulk output of a command, against OpenSSH with the same cipher and paramiko."""

import statistics
from collections.abc import Sequence
from time import perf_counter

import uvloop

from bench.figures import verdict
from bench.peers import OpenSsh, key_for, paramiko, side_process
from bench.sections import Options
from bench.ssh import ROUND_TRIP_MS, a_link
from clawdbox.ssh.wire.execs import run as run_command
from clawdbox.ssh.wire.link import Link
from tests.ssh.sshd import Sshd


def run(options: Options) -> None:
    uvloop.run(bulk(options))


async def bulk(options: Options) -> None:
    size = 20_000_000 if options.quick else 500_000_000
    times = 1 if options.quick else 7
    command = f"head -c {size} /dev/zero"
    with Sshd(options.work / "sshd") as server:
        key, file = key_for(server, options.work)
        peer = OpenSsh(server.port, server.username, file, options.work)
        link = await a_link(server, key, server.port)
        with peer.master(), paramiko(server.port, server.username, file) as other:
            ours, ssh, para = [], [], []
            for _ in range(times):
                ours.append(size / 1e6 / await ours_once(link, command, size))
                ssh.append(size / 1e6 / peer.warm(command))
                seconds, got = other.bulk(command)
                assert got == size
                para.append(size / 1e6 / seconds)
        await link.close()
        print(
            f"| {size // 10**6} MB of output, median of {times} | peer | MB/s, box / peer | ratio | at least | |"
        )
        print("|---|---|---|---|---|---|")
        row("loopback", ours, "OpenSSH's master, aes128-gcm", ssh, 0.85)
        row("loopback", ours, "paramiko", para, 2.0)
        with side_process("bench.delay", str(server.port), str(ROUND_TRIP_MS / 2)) as port:
            link = await a_link(server, key, port)
            far = OpenSsh(port, server.username, file, options.work)
            less = size // 5
            with far.master():
                there = [
                    less / 1e6 / await ours_once(link, f"head -c {less} /dev/zero", less) for _ in range(3)
                ]
                theirs = [less / 1e6 / far.warm(f"head -c {less} /dev/zero") for _ in range(3)]
            row(
                f"{less // 10**6} MB at {ROUND_TRIP_MS} ms",
                there,
                "OpenSSH's master, aes128-gcm",
                theirs,
                0.85,
            )
            await link.close()


async def ours_once(link: Link, command: str, size: int) -> float:
    got = 0

    async def count(_stream: str, data: bytes) -> None:
        nonlocal got
        got += len(data)

    begun = perf_counter()
    await run_command(
        link, command, timeout_s=300, max_output_bytes=1000, on_output=count, flood_bytes=2 * size
    )
    return perf_counter() - begun


def row(what: str, ours: Sequence[float], peer: str, theirs: Sequence[float], target: float) -> None:
    mine, other = statistics.median(ours), statistics.median(theirs)
    ratio = mine / other
    print(
        f"| {what} | {peer} | {mine:.0f} / {other:.0f} | {ratio:.2f} | {target:g} | {verdict(ratio, target)} |"
    )
