"""`ssh -S` over the box's control socket against OpenSSH's own master, interleaved."""

import asyncio
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from bench.boxes import ROOMY, a_session
from bench.figures import HEAD, figures, ratio_row
from bench.processes import Running, box, clawdbox
from bench.sections import Options
from tests.ssh.sshd import Sshd

_BULK = 200_000_000


def run(options: Options) -> None:
    data_dir = options.work / "box"
    token = clawdbox(data_dir, "token", "create", "--name", "bench")
    with (
        Sshd(options.work / "sshd") as server,
        box(data_dir, "CLAWDBOX_ALLOW_LOOPBACK=true", *ROOMY) as ours,
        openssh_master(options.work, server) as theirs,
    ):
        print(HEAD)
        section(ours, token, data_dir, server, theirs, options.n)


def section(ours: Running, token: str, data_dir: Path, server: Sshd, theirs: list[str], n: int) -> None:
    """A running box of its own in `data_dir`, and the argv of `ssh` over a master of OpenSSH."""
    asyncio.run(_session(ours, token, server))
    config = data_dir / "ssh_config"
    config.write_text(clawdbox(data_dir, "ssh-config"))
    mine = ["ssh", "-F", str(config), "bench"]
    for what, command in (
        ("true", "true"),
        (f"{_BULK // 1_000_000} MB of output", f"head -c {_BULK} /dev/zero"),
    ):
        times = interleaved(n if command == "true" else max(n // 60, 3), [*mine, command], [*theirs, command])
        print(ratio_row(f"`ssh -S`: {what}", figures(times[0]), "OpenSSH's own master", figures(times[1])))


def interleaved(n: int, ours: list[str], theirs: list[str]) -> tuple[list[float], list[float]]:
    """Seconds of each run; the first of each warms up and is not counted."""
    found: tuple[list[float], list[float]] = ([], [])
    for turn in range(n + 1):
        pair = [(ours, found[0]), (theirs, found[1])]
        for argv, times in pair if turn % 2 else reversed(pair):
            begun = time.perf_counter()
            subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            if turn:
                times.append(time.perf_counter() - begun)
    return found


@contextmanager
def openssh_master(work: Path, server: Sshd) -> Iterator[list[str]]:
    key, socket = work / "key", work / "master"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    server.authorize(key.with_suffix(".pub").read_text())
    base = ["ssh", "-F", "none", "-S", str(socket), "-o", "Ciphers=aes128-gcm@openssh.com"]
    trust = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
    to = ["-p", str(server.port), f"{server.username}@{server.host}"]
    with subprocess.Popen(
        [*base, *trust, "-i", str(key), "-N", "-M", *to], stdin=subprocess.DEVNULL
    ) as master:
        try:
            deadline = time.monotonic() + 20
            while not socket.exists() and time.monotonic() < deadline:
                time.sleep(0.02)
            yield [*base, *to]
        finally:
            master.kill()  # a master in its poll may miss a TERM


async def _session(ours: Running, token: str, server: Sshd) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=f"{ours.address}/api/v1", headers=headers, timeout=60) as api:
        await a_session(api, server)
