"""`make bench`: the box against bare peers on this machine, now. Trust the ratios, not the milliseconds."""

import argparse
import asyncio
import platform
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncssh
import httpx

from bench.figures import HEAD, Figures, figures, ratio_row
from bench.processes import Running, bare_app, box, clawdbox, started_in
from tests.ssh.sshd import Sshd

ROOMY = ("CLAWDBOX_RATE_REQUEST_PER_MINUTE=1000000", "CLAWDBOX_RATE_TEST_PER_MINUTE=1000")
Once = Callable[[], Awaitable[object]]


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    options.add_argument("-n", type=int, default=300, help="measurements of each thing (default 300)")
    options.add_argument("--starts", type=int, default=5, help="starts of each server (default 5)")
    args = options.parse_args()
    print(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}\n")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        starts(work, args.starts)
        asyncio.run(requests(work, args.n))


def starts(work: Path, n: int) -> None:
    """Start both in turn, a fresh process each time; the first of each warms the disk and is not counted."""
    ours, theirs = [], []
    for index in range(n + 1):
        pair = started_in("box", work / "starts"), started_in("bare", work)
        if index:
            ours.append(pair[0])
            theirs.append(pair[1])
    mine, peer = statistics.median(ours), statistics.median(theirs)
    print("| what | box | bare Litestar app | ratio |\n|---|---|---|---|")
    print(
        f"| start to a healthy `/health`, median of {n} | {mine:.2f} s | {peer:.2f} s | {mine / peer:.2f} |"
    )


async def requests(work: Path, n: int) -> None:
    data_dir = work / "box"
    token = clawdbox(data_dir, "token", "create", "--name", "bench")
    with (
        Sshd(work / "sshd") as server,
        box(data_dir, "CLAWDBOX_ALLOW_LOOPBACK=true", *ROOMY) as ours,
        bare_app() as bare,
    ):
        idle(ours, bare)
        print(f"\n{HEAD}")
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            httpx.AsyncClient(base_url=f"{ours.address}/api/v1", headers=headers, timeout=60) as api,
            httpx.AsyncClient(base_url=bare.address) as peer,
        ):
            session_id = await a_session(api, server)
            await fill(api)
            mine, theirs = await interleaved(n, listing(api), listing(peer))
            print(ratio_row("`GET /connections` (20 rows)", mine, "bare Litestar route", theirs))
            await commands(api, session_id, server, n)


def idle(ours: Running, bare: Running) -> None:
    mine, theirs = ours.memory_mb, bare.memory_mb
    print(f"| idle memory (PSS) | {mine:.0f} MB | {theirs:.0f} MB | {mine / theirs:.2f} |")


async def commands(api: httpx.AsyncClient, session_id: str, server: Sshd, n: int) -> None:
    """`true` over the HTTP API (intent and outcome committed, audited) against a bare asyncssh `run`."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    server.authorize(key.export_public_key().decode().strip())
    async with asyncssh.connect(
        server.host, server.port, username=server.username, client_keys=[key], known_hosts=None, config=None
    ) as bare:
        body = {"command": "true"}

        async def ours() -> None:
            (await api.post(f"/sessions/{session_id}/exec", json=body)).raise_for_status()

        async def theirs() -> None:
            await bare.run("true")

        mine, peer = await interleaved(n, ours, theirs)
    print(ratio_row("`POST /sessions/{id}/exec` of `true`", mine, "bare asyncssh `run`", peer))


async def a_session(api: httpx.AsyncClient, server: Sshd) -> str:
    keypair = (await api.get("/keys")).json()["keypairs"][0]
    server.authorize(keypair["public_key"])
    place = {"label": "bench", "host": server.host, "port": server.port, "username": server.username}
    connection = await posted(api, "/connections", place)
    path = f"/connections/{connection['connection']['id']}"
    fingerprint = (await api.post(f"{path}/test", json={})).json()["new_fingerprint"]
    await posted(api, f"{path}/test", {"accept_host_key": True, "fingerprint": fingerprint})
    session = await posted(api, "/sessions", {"connection_id": connection["connection"]["id"]})
    return str(session["session"]["id"])


async def fill(api: httpx.AsyncClient) -> None:
    for index in range(19):
        await posted(
            api,
            "/connections",
            {"label": f"Server {index}", "host": f"10.0.0.{index + 1}", "username": "root"},
        )


async def posted(api: httpx.AsyncClient, path: str, body: dict[str, object]) -> dict[str, Any]:
    answer = await api.post(path, json=body)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def listing(client: httpx.AsyncClient) -> Once:
    async def once() -> None:
        (await client.get("/connections")).raise_for_status()

    return once


async def interleaved(n: int, ours: Once, theirs: Once) -> tuple[Figures, Figures]:
    """The two in turn, so that a change in the machine's speed meets both; ten of each first, not counted."""
    mine, peer = [], []
    for index in range(n + 10):
        pair = await timed(ours), await timed(theirs)
        if index >= 10:
            mine.append(pair[0])
            peer.append(pair[1])
    return figures(mine), figures(peer)


async def timed(once: Once) -> float:
    begun = time.perf_counter()
    await once()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
