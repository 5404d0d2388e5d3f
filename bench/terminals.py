"""Terminals in a browser: the box against webssh (PyPI), WeTTY (npm) and shellinabox (Debian), on one sshd.

Each is spoken to as its own page does, without the page: what xterm.js then does is the same for all of them.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx

from bench import web_peers as peers
from bench.boxes import ROOMY, a_session
from bench.figures import Figures, figures
from bench.processes import box, clawdbox
from bench.sections import Options
from bench.web_terminals import Clawdbox, Terminal, leave, open_terminal, pack, until
from tests.ssh.sshd import Sshd

OURS = "clawdbox"
# Every byte counts in `cat`: a client that lags further behind than the spill would be told of a gap instead.
_KEEPS_ALL = ("CLAWDBOX_TERMINAL_SPILL_BYTES=200000000", "CLAWDBOX_TERMINAL_SPILL_TOTAL_BYTES=900000000")
_BETWEEN_KEYS_S = 0.01  # so that a flood has time to build up between two of them
_SLOW = {"shellinabox": 20}  # takes minutes for what the others do in seconds: a twentieth of the bytes
Places = dict[str, dict[str, Any]]


def run(options: Options) -> None:
    asyncio.run(measure(options.work, options.n, 5 if options.quick else 100))


async def measure(work: Path, n: int, megabytes: int) -> None:
    """Print the tables. A peer that cannot be had is named, and left out."""
    with ExitStack() as stack:
        server = stack.enter_context(Sshd(work / "sshd-terminals", max_sessions=100))
        places = await _places(work, server, stack)
        await keystrokes(places, n)
        await bulk(work, places, megabytes)
        await attaching(places[OURS], max(10, n // 10))


def _key_file(folder: Path) -> Path:
    key = folder / "peer_key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    return key


async def _places(work: Path, server: Sshd, stack: ExitStack) -> Places:
    key = _key_file(work)
    server.authorize(key.with_suffix(".pub").read_text())
    login = {"host": server.host, "port": server.port, "username": server.username, "key": key.read_text()}
    places: Places = {OURS: await _box(work, server, stack)}
    for kind, start in (
        ("webssh", peers.webssh()),
        ("WeTTY", peers.wetty(server, key)),
        ("shellinabox", peers.shellinabox(server, key)),
    ):
        try:
            places[kind] = {"address": stack.enter_context(start), "server": login}
        except peers.Missing as reason:
            print(f"{kind} is left out: {reason}\n")
    return places


async def _box(work: Path, server: Sshd, stack: ExitStack) -> dict[str, Any]:
    data_dir = work / "box-terminals"
    token = clawdbox(data_dir, "token", "create", "--name", "bench")
    running = stack.enter_context(box(data_dir, "CLAWDBOX_ALLOW_LOOPBACK=true", *_KEEPS_ALL, *ROOMY))
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=f"{running.address}/api/v1", headers=headers, timeout=60) as api:
        session = await a_session(api, server)
    return {"address": running.address, "token": token, "session": session}


# a key and its echo


async def keystrokes(places: Places, n: int) -> None:
    """One key at a time into a terminal that echoes: idle in turn, then each while another terminal of it floods."""
    terminals = {kind: await open_terminal(kind, place) for kind, place in places.items()}
    for terminal in terminals.values():
        await terminal.send(b"exec cat >/dev/null\r")
        await until(terminal, b"dev/null")
        await _echo(terminal, b"\r")
    idle: dict[str, list[float]] = {kind: [] for kind in terminals}
    for index in range(n):
        for kind, terminal in terminals.items():
            idle[kind].append(await _echo(terminal, _key(index)))
    print(
        "| keystroke to echo | idle p50 ms | p99 | flooded p50 ms | p99 | flood MB/s | p99 flooded / idle |"
    )
    print("|---|---|---|---|---|---|---|")
    for kind, terminal in terminals.items():
        flooded, rate = await _while_flooded(kind, places[kind], terminal, n)
        print(_keystroke_row(kind, figures(idle[kind]), flooded, rate), flush=True)
    for terminal in terminals.values():
        await leave(terminal)
    print()


async def _while_flooded(
    kind: str, place: dict[str, Any], terminal: Terminal, n: int
) -> tuple[Figures | None, str]:
    async with _flood(kind, place) as said:
        if not said:
            return None, "–"
        times = [await _echo(terminal, _key(index)) for index in range(n)]
    return figures(times), said[-1]


def _keystroke_row(kind: str, idle: Figures, flooded: Figures | None, rate: str) -> str:
    start = f"| {kind} | {idle.p50:.2f} | {idle.p99:.2f} |"
    if flooded is None:
        return f"{start} – | – | does not flow | – |"
    return f"{start} {flooded.p50:.2f} | {flooded.p99:.2f} | {rate} | {flooded.p99 / idle.p99:.1f} |"


async def _echo(terminal: Terminal, key: bytes) -> float:
    await asyncio.sleep(_BETWEEN_KEYS_S)
    begun = time.perf_counter()
    await until(terminal, b"\n" if key == b"\r" else key, sends=key)
    return time.perf_counter() - begun


def _key(index: int) -> bytes:
    """Another letter than before, and now and then a new line: a terminal takes 4,095 letters in one."""
    return b"\r" if index % 50 == 49 else bytes([97 + index % 26])


@asynccontextmanager
async def _flood(kind: str, place: dict[str, Any]) -> AsyncIterator[list[str]]:
    """What the flooding process said; empty when nothing flowed within a minute."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.terminal_flood", kind, pack(place),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdin is not None
    said: list[str] = []
    try:
        async with asyncio.timeout(60):
            said.append((await process.stdout.readline()).decode().strip())
    except TimeoutError:
        pass
    try:
        yield said
    finally:
        process.stdin.close()
        if said:
            said.append((await process.stdout.readline()).decode().strip())
        process.terminate()
        await process.wait()


# a large file


async def bulk(work: Path, places: Places, megabytes: int) -> None:
    """`cat` of a text file to its last byte, MB/s; the box and each peer in turn, three times, the median."""
    size = megabytes * 1_000_000
    rates: dict[str, list[float]] = {kind: [] for kind in places}
    for _ in range(3):
        for kind, place in places.items():
            part = size // _SLOW.get(kind, 1)
            with _text(work / "large", part) as file:
                rates[kind].append(await _cat(await open_terminal(kind, place), file, part))
    print(f"| `cat` of {megabytes} MB | MB/s | box / peer |\n|---|---|---|")
    ours = sorted(rates[OURS])[1]
    for kind, found in rates.items():
        print(f"| {kind} | {sorted(found)[1]:.1f} | {ours / sorted(found)[1]:.2f} |")
    print()


@contextmanager
def _text(path: Path, size: int) -> Iterator[Path]:
    path.write_bytes((b"0123456789abcdef" * 5 + b"\n") * (size // 81 + 1))
    try:
        yield path
    finally:
        path.unlink()


async def _cat(terminal: Terminal, file: Path, size: int) -> float:
    begun = time.perf_counter()
    count = await until(terminal, b"done-1", sends=f"cat {file}; echo done-$((0+1))\r".encode(), patience=600)
    took = time.perf_counter() - begun
    await leave(terminal)
    assert count >= size, f"{count} of {size} bytes came"
    return count / 1e6 / took


# coming back


async def attaching(place: dict[str, Any], n: int) -> None:
    """To the first byte: of a living terminal with 1 MB behind it, and of a new one."""
    filler = await Clawdbox.open(place["address"], place["token"], place["session"])
    await until(filler, b"done-1", sends=b"head -c 1000000 /dev/zero | tr '\\0' 'x'; echo done-$((0+1))\r")
    back, new = [], []
    for _ in range(n):
        begun = time.perf_counter()
        again = await Clawdbox.attach(
            place["address"], place["token"], place["session"], filler.terminal, after=""
        )
        await again.receive()
        back.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        fresh = await Clawdbox.open(place["address"], place["token"], place["session"])
        await fresh.receive()
        new.append(time.perf_counter() - begun)
        await again.close()
        await fresh.end()
    mine, other = figures(back), figures(new)
    print("| to the first byte | p50 ms | p99 | faster (target 10) |\n|---|---|---|---|")
    print(
        f"| attach to a terminal with 1 MB behind it | {mine.p50:.2f} | {mine.p99:.2f} | {other.p50 / mine.p50:.1f} |"
    )
    print(f"| open a new one | {other.p50:.2f} | {other.p99:.2f} | |\n")
    await filler.end()
