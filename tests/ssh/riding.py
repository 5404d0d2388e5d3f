"""Programs of OpenSSH, and what calls them, run as a person would: over a control socket."""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.ssh.world import World
from tests.waiting import eventually


class Said(NamedTuple):
    code: int | None
    out: bytes
    err: bytes


async def begin(*argv: str | Path, env: Mapping[str, str] | None = None, **more: Any) -> Process:
    """Its streams are pipes, unless `more` says otherwise."""
    streams = {"stdin": DEVNULL, "stdout": PIPE, "stderr": PIPE, **more}
    return await asyncio.create_subprocess_exec(*map(str, argv), env={**os.environ, **(env or {})}, **streams)


async def run(
    *argv: str | Path,
    stdin: bytes | None = None,
    timeout: float = 60,
    env: Mapping[str, str] | None = None,
    **more: Any,
) -> Said:
    """`stdin` None is /dev/null, bytes come through a pipe."""
    given = {"stdin": PIPE if stdin is not None else DEVNULL, **more}
    process = await begin(*argv, env=env, **given)
    try:
        out, err = await asyncio.wait_for(process.communicate(stdin), timeout)
    except BaseException:
        process.kill()
        raise
    return Said(process.returncode, out or b"", err or b"")


class Ride:
    """How to reach one server without logging in: `ssh -F config host`."""

    def __init__(self, config: Path, host: str) -> None:
        self.config = config
        self.host = host

    @property
    def ssh(self) -> tuple[str, ...]:
        return ("ssh", "-F", str(self.config))

    async def __call__(
        self, *command: str, stdin: bytes | None = None, options: tuple[str, ...] = (), **more: Any
    ) -> Said:
        return await run(*self.ssh, *options, self.host, *command, stdin=stdin, **more)

    async def control(self, verb: str, *options: str) -> Said:
        return await run(*self.ssh, "-O", verb, *options, self.host)

    @classmethod
    def over(cls, path: Path | str, folder: Path) -> "Ride":
        """Over any control socket; nothing else is dialled."""
        config = folder / "ssh_config"
        config.write_text(f"Host there\n ControlMaster no\n ControlPath {path}\n ProxyCommand /bin/false\n")
        return cls(config, "there")


async def ride(world: World, folder: Path, **switches: bool) -> Ride:
    """Over the control socket of the world's connection, with these switches changed."""
    if switches:
        await world.box.control_sockets.choose(world.me, world.owner, world.connection.id, switches)
    view = await world.box.control_sockets.view(world.owner, world.connection.id)
    assert view.path is not None
    return Ride.over(view.path, folder)


async def stopped(process: Process, by: signal.Signals) -> int:
    process.send_signal(by)
    return await asyncio.wait_for(process.wait(), 10)


async def executions(world: World, count: int, *, state: str = "") -> list[dict[str, Any]]:
    """So many rows that have ended (in `state`), in the order in which they began."""

    async def found() -> list[dict[str, Any]] | None:
        rows = await world.rows("SELECT * FROM executions ORDER BY id")
        ended = [row for row in rows if row["state"] != "started" and (not state or row["state"] == state)]
        return ended if len(ended) >= count else None

    return await eventually(found, what=f"{count} executions") or []


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names alone
