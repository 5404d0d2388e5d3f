"""Many masters in one process: their memory, how fast they are dialled, and a command meanwhile."""

import asyncio
import gc
import os
from datetime import timedelta
from pathlib import Path
from time import perf_counter

import asyncssh
import uvloop

from bench.figures import figures, verdict
from bench.peers import key_for, side_process
from bench.sections import Options
from clawdbox.clock import Clock
from clawdbox.settings import Settings
from clawdbox.ssh.service.masters import Master
from clawdbox.ssh.wire.dial import DialFailure, dial
from clawdbox.ssh.wire.execs import run as run_command
from clawdbox.ssh.wire.link import Link
from clawdbox.ssh.wire.model import Pin, Target
from tests.ssh.keys import Keypair, pin_of
from tests.ssh.sshd import Sshd

_MOST_KIB = 64


def run(options: Options) -> None:
    uvloop.run(masters(options))


async def masters(options: Options) -> None:
    many, half, few = (20, 10, 5) if options.quick else (1000, 500, 100)
    print("| masters | server | dialled a second | KiB each | p50 / p99 ms of a command: dialling | held | |")
    print("|---|---|---|---|---|---|---|")
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    key = Keypair.make()
    (options.work / "host").write_bytes(host_key.export_private_key())
    (options.work / "client.pub").write_text(key.public)
    pin = Pin(host_key.get_fingerprint("sha256"), "ssh-ed25519")
    base = memory_kib()  # once, and then ever more of them: what was freed is taken again, not given back
    with Sshd(options.work / "sshd", options={"MaxStartups": "1000"}) as server:
        known, _ = key_for(server, options.work)
        target = Target(server.host, server.port, server.username, True)
        await hold(few, "OpenSSH's sshd", target, pin_of(server), known, base)
    with side_process(
        "bench.many_server", str(options.work / "host"), str(options.work / "client.pub")
    ) as port:
        for count in (half, many):
            await hold(
                count, "asyncssh, another process", Target("127.0.0.1", port, "me", True), pin, key, base
            )


async def hold(count: int, server: str, target: Target, pin: Pin, key: Keypair, base: int) -> None:
    first = await a_master(target, pin, key)
    for _ in range(3):
        await a_command(first)
    gc.collect()
    begun = perf_counter()
    meanwhile: list[float] = []
    measuring = asyncio.ensure_future(keep_measuring(first, meanwhile))
    slots = asyncio.Semaphore(Settings().max_dials)

    async def one() -> Master:
        async with slots:
            return await a_master(target, pin, key)

    held = await asyncio.gather(*(one() for _ in range(count)))
    took = perf_counter() - begun
    measuring.cancel()
    await asyncio.wait({measuring})
    gc.collect()
    each = (memory_kib() - base) / count
    quiet = [await a_command(held[index % count]) for index in range(min(count, 200))]
    assert all(master.is_up for master in held)
    dialling, still = figures(meanwhile), figures(quiet)
    print(
        f"| {count} | {server} | {count / took:.0f} | {each:.0f} (at most {_MOST_KIB}: {verdict(_MOST_KIB / each, 1)})"
        f" | {dialling.p50:.1f} / {dialling.p99:.1f} | {still.p50:.1f} / {still.p99:.1f} | all up |",
        flush=True,
    )
    await asyncio.gather(*(master.close() for master in [first, *held]))


async def a_master(target: Target, pin: Pin, key: Keypair) -> Master:
    async def dial_one() -> Link:
        return await dial(target, pin, key.private, connect_timeout=60, login_timeout=60)

    async def refused(_master: Master, failure: DialFailure) -> None:
        raise failure

    master = Master("lease", Clock(), timedelta(minutes=5), dial_one, lambda _master: None, refused)
    await master.connect()
    return master


async def a_command(master: Master) -> float:
    assert master.link is not None
    begun = perf_counter()
    answer = await run_command(master.link, "true", timeout_s=60, max_output_bytes=1000)
    assert answer.exit_status == 0
    return perf_counter() - begun


async def keep_measuring(master: Master, found: list[float]) -> None:
    while True:
        found.append(await a_command(master))
        await asyncio.sleep(0.01)  # as somebody who works, not as somebody who floods


def memory_kib() -> int:
    """What this process has in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024
