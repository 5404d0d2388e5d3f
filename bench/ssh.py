"""A command on a warm lease: in the process, at 40 ms, in the kept shell and through the HTTP API."""

import contextlib
import json
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from time import perf_counter
from urllib.parse import urlsplit

import uvloop

from bench.boxes import a_session, running_box
from bench.figures import FASTER_HEAD, Once, faster_row, in_turn
from bench.peers import OpenSsh, key_for, paramiko, side_process
from bench.sections import Options
from clawdbox.ssh.wire.dial import dial
from clawdbox.ssh.wire.execs import run as run_command
from clawdbox.ssh.wire.link import Link
from clawdbox.ssh.wire.model import Target
from tests.ssh.keys import Keypair, pin_of
from tests.ssh.sshd import Sshd

ROUND_TRIP_MS = 40


def run(options: Options) -> None:
    uvloop.run(commands(options))


async def commands(options: Options) -> None:
    with Sshd(options.work / "sshd") as server:
        key, file = key_for(server, options.work)
        print(FASTER_HEAD)
        await near(options, server, key, file)
        await through_the_api(options, server, OpenSsh(server.port, server.username, file, options.work))
        with side_process("bench.delay", str(server.port), str(ROUND_TRIP_MS / 2)) as port:
            far_peer = OpenSsh(port, server.username, file, options.work)
            with far_peer.master(), paramiko(port, server.username, file) as other:
                link = await a_link(server, key, port)
                n = max(options.n // 3, 5)
                ours, ssh, para = await in_turn(
                    n,
                    [
                        fresh(link),
                        blocking(lambda: far_peer.warm("true")),
                        blocking(lambda: other.exec("true")),
                    ],
                )
                what = f"`true` on a warm link, {ROUND_TRIP_MS} ms of round trip"
                print(faster_row(what, ours, "`ssh -S`", ssh, 1.9))
                print(faster_row(what, ours, "paramiko warm", para, 1.7))
                await link.close()


async def near(options: Options, server: Sshd, key: Keypair, file: Path) -> None:
    peer = OpenSsh(server.port, server.username, file, options.work)
    link = await a_link(server, key, server.port)
    with peer.master(), paramiko(server.port, server.username, file) as other:
        ours, ssh, para, kept = await in_turn(
            options.n,
            [
                fresh(link),
                blocking(lambda: peer.warm("true")),
                blocking(lambda: other.exec("true")),
                in_kept_shell(link),
            ],
        )
    (cold,) = await in_turn(max(options.n // 10, 5), [blocking(lambda: peer.cold("true"))])
    what = "`true` on a warm link, in the process"
    print(faster_row(what, ours, "`ssh -S`", ssh, 2.2))
    print(faster_row(what, ours, "cold `ssh`", cold, 45))
    print(faster_row(what, ours, "paramiko warm", para, 0.95))
    print(faster_row("the same in the kept shell", kept, "`ssh -S`", ssh, 8))
    print(faster_row("the same in the kept shell", kept, "paramiko warm", para, 3.5))
    await link.close()


async def through_the_api(options: Options, server: Sshd, peer: OpenSsh) -> None:
    async with running_box(options.work / "box") as (ours, api):
        path = f"/api/v1/sessions/{await a_session(api, server)}/exec"
        headers = {"Authorization": api.headers["Authorization"], "Content-Type": "application/json"}
        client = HTTPConnection(urlsplit(ours.address).netloc)

        def post(body: dict[str, str]) -> float:
            """The standard library's client, for httpx takes a millisecond of its own."""
            begun = perf_counter()
            client.request("POST", path, json.dumps(body), headers)
            answer = client.getresponse()
            text = answer.read()
            seconds = perf_counter() - begun
            assert json.loads(text)["exit_status"] == 0
            return seconds

        with peer.master(), contextlib.closing(client):
            fresh_one, ssh, kept = await in_turn(
                options.n,
                [
                    blocking(lambda: post({"command": "true"})),
                    blocking(lambda: peer.warm("true")),
                    blocking(lambda: post({"command": "true", "shell": "kept"})),
                ],
            )
    print(faster_row("`POST /sessions/{id}/exec` of `true`, intent first", fresh_one, "`ssh -S`", ssh, 1.5))
    print(faster_row("the same with `shell: kept`", kept, "`ssh -S`", ssh, 1.5))


async def a_link(server: Sshd, key: Keypair, port: int) -> Link:
    """As a master has it: with one channel ahead."""
    target = Target("127.0.0.1", port, server.username, allow_loopback=True)
    link = await dial(target, pin_of(server), key.private)
    link.keep_one_ahead()
    return link


def fresh(link: Link) -> Once:
    async def once() -> None:
        assert (await run_command(link, "true", timeout_s=30, max_output_bytes=1000)).exit_status == 0

    return once


def in_kept_shell(link: Link) -> Once:
    async def once() -> None:
        answer = await run_command(link, "true", timeout_s=30, max_output_bytes=1000, kept=True)
        assert answer.exit_status == 0

    return once


def blocking(measure: Callable[[], float]) -> Once:
    """A peer that measures itself; nothing else runs meanwhile."""

    async def once() -> float:
        return measure()

    return once
