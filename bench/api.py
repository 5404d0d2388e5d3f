"""The HTTP API against a bare Litestar route and a bare asyncssh `run`."""

import asyncio

import asyncssh
import httpx

from bench.boxes import a_session, posted, running_box
from bench.figures import HEAD, Once, interleaved, ratio_row
from bench.processes import Running, bare_app
from bench.sections import Options
from tests.ssh.sshd import Sshd


def run(options: Options) -> None:
    asyncio.run(requests(options))


async def requests(options: Options) -> None:
    with Sshd(options.work / "sshd") as server, bare_app() as bare:
        async with (
            running_box(options.work / "box") as (ours, api),
            httpx.AsyncClient(base_url=bare.address, trust_env=False) as peer,
        ):
            idle(ours, bare)
            print(f"\n{HEAD}")
            session_id = await a_session(api, server)
            await fill(api)
            mine, theirs = await interleaved(options.n, listing(api), listing(peer))
            print(ratio_row("`GET /connections` (20 rows)", mine, "bare Litestar route", theirs))
            await commands(api, session_id, server, options.n)


def idle(ours: Running, bare: Running) -> None:
    mine, theirs = ours.memory_mb, bare.memory_mb
    print("| what | box | bare Litestar app | ratio |\n|---|---|---|---|")
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


async def fill(api: httpx.AsyncClient) -> None:
    for index in range(19):
        host = f"10.0.0.{index + 1}"
        await posted(api, "/connections", {"label": f"Server {index}", "host": host, "username": "root"})


def listing(client: httpx.AsyncClient) -> Once:
    async def once() -> None:
        (await client.get("/connections")).raise_for_status()

    return once
