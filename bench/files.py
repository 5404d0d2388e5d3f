"""Files through the box's API, there and back, against OpenSSH's own `sftp` over its master."""

import asyncio
import os
from pathlib import Path
from time import perf_counter

import httpx
import uvloop

from bench.boxes import a_session, posted, running_box
from bench.bulk import row
from bench.peers import OpenSsh, key_for, side_process
from bench.sections import Options
from bench.ssh import ROUND_TRIP_MS
from tests.ssh.sshd import Sshd

_PIECE = 4_194_304


def run(options: Options) -> None:
    uvloop.run(files(options))


async def files(options: Options) -> None:
    size = 10_000_000 if options.quick else 200_000_000
    times = 1 if options.quick else 5
    source = _Source(options.work / "source", size)
    print(f"| {size // 10**6} MB, median of {times} | peer | MB/s, box / peer | ratio | at least | |")
    print("|---|---|---|---|---|---|")
    with Sshd(options.work / "sshd") as server:
        await _measure("loopback", options.work / "near", server, source, times)
        with side_process("bench.delay", str(server.port), str(ROUND_TRIP_MS / 2)) as port:
            server.port = port
            await _measure(f"{ROUND_TRIP_MS} ms", options.work / "far", server, source, min(times, 3))


async def _measure(where: str, work: Path, server: Sshd, source: "_Source", times: int) -> None:
    await asyncio.to_thread(work.mkdir)
    _, key = key_for(server, work)
    peer = OpenSsh(server.port, server.username, key, work)
    size = source.size
    up, down, their_up, their_down = [], [], [], []
    async with running_box(work / "box") as (_, api):
        at = f"/sessions/{await a_session(api, server)}/files"
        there = str(server.home / "there")
        with peer.master():
            for _ in range(times):
                up.append(size / 1e6 / await _sent(api, at, source, there))
                down.append(size / 1e6 / await _fetched(api, at, there, size))
                their_up.append(size / 1e6 / await asyncio.to_thread(peer.sftp, f"put {source.path} {there}"))
                back = f"get {there} {work / 'back'}"
                their_down.append(size / 1e6 / await asyncio.to_thread(peer.sftp, back))
    row(f"upload, {where}", up, "OpenSSH's sftp, aes128-gcm", their_up, 0.7)
    row(f"download, {where}", down, "OpenSSH's sftp, aes128-gcm", their_down, 0.7)


class _Source:
    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self.size = size
        path.write_bytes(os.urandom(1_000_000) * (size // 1_000_000))


async def _sent(api: httpx.AsyncClient, at: str, source: "_Source", there: str) -> float:
    """Seconds of an upload, piece after piece, as the page sends it."""
    octets = {"Content-Type": "application/octet-stream"}
    begun = perf_counter()
    order = {"path": there, "size": source.size, "existing": "replace", "fingerprint": f"{begun}"}
    upload = (await posted(api, f"{at}/uploads", order))["upload"]
    with source.path.open("rb") as file:
        while piece := file.read(_PIECE):
            place = f"{at}/uploads/{upload['id']}?offset={file.tell() - len(piece)}"
            (await api.patch(place, content=piece, headers=octets)).raise_for_status()
    await posted(api, f"{at}/uploads/{upload['id']}/finish", {"existing": "replace"})
    return perf_counter() - begun


async def _fetched(api: httpx.AsyncClient, at: str, there: str, size: int) -> float:
    begun, got = perf_counter(), 0
    async with api.stream("GET", f"{at}/content", params={"path": there}) as answer:
        answer.raise_for_status()
        async for piece in answer.aiter_raw():
            got += len(piece)
    assert got == size
    return perf_counter() - begun
