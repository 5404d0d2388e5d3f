"""What judging and writing down cost an agent's command, and how soon what a model says is shown."""

from pathlib import Path
from time import perf_counter
from typing import Any

import uvloop

from bench.figures import Figures, figures
from bench.sections import Options
from clawdbox import logs
from clawdbox.agents.model import Context
from clawdbox.agents.runtimes.port import Hands, Offer
from clawdbox.app import Box
from clawdbox.settings import Settings
from tests.clocks import HandClock
from tests.ssh.sshd import Sshd
from tests.ssh.world import World

COMMAND = "true"
HEAD = "| what | n | p50 ms | p99 ms |\n|---|---|---|---|"


class Probe:
    """A judged runtime that runs the same command again and again, in turn with the bare one."""

    name = "runbook"
    resumes = False
    judged = True

    def __init__(self, world: World, n: int) -> None:
        self._world = world
        self._n = n
        self.ours: list[float] = []
        self.bare: list[float] = []
        self.commits: list[float] = []

    async def offer(self, account_id: str, connection_id: str) -> Offer:
        return Offer()

    async def run(self, turn_text: str, context: Context, hands: Hands) -> None:
        lease = await self._world.box.leases.get(self._world.owner, context.session_lease_id)
        for index in range(self._n + 10):
            begun = perf_counter()
            await hands.run(COMMAND)
            between = perf_counter()
            await self._world.run(lease, COMMAND)
            after = perf_counter()
            await self._world.box.store.write(lambda tx: tx.run("UPDATE box_meta SET value = value"))
            if index >= 10:
                self.ours.append(between - begun)
                self.bare.append(after - between)
                self.commits.append(perf_counter() - after)

    async def stop(self, context: Context, hands: Hands) -> None:
        """Nothing runs elsewhere."""


def run(options: Options) -> None:
    logs.configure("error")
    uvloop.run(judged_commands(options))


async def judged_commands(options: Options) -> None:
    clock = HandClock()
    box = Box(options.work / "box", Settings(allow_loopback=True, turn_max_commands=1_000_000), clock)
    await box.start()
    try:
        with Sshd(Path(options.work, "sshd")) as server:
            world = await World.meet(box, clock, server)
            await world.ready()
            probe = Probe(world, options.n)
            box.conversations.runtimes[probe.name] = probe
            await told(world)
    finally:
        await box.stop()
    print(HEAD)
    ours, bare, commit = figures(probe.ours), figures(probe.bare), figures(probe.commits)
    for what, found in (
        (f"`{COMMAND}` of an agent: judged, written down, run", ours),
        ("the same command without an agent", bare),
        ("one commit", commit),
    ):
        print(f"| {what} | {found.n} | {found.p50:.2f} | {found.p99:.2f} |")
    print(f"\n{verdict(ours, bare, commit)}")


async def told(world: World) -> None:
    conversation = await world.box.conversations.of_connection(world.owner, world.connection.id)
    turn = await world.box.conversations.send(world.me, world.owner, conversation.id, "go")
    with world.box.hub.listen(f"turn:{turn.id}") as signal:
        while (await state(world, conversation.id, turn.id)) == "running":
            await signal.wait()
            signal.clear()


async def state(world: World, conversation_id: str, turn_id: str) -> Any:
    return (await world.box.conversations.turn(world.owner, conversation_id, turn_id)).state


def verdict(ours: Figures, bare: Figures, commit: Figures) -> str:
    allowed = bare.p50 * 1.1 + commit.p50
    met = "met" if ours.p50 <= allowed else f"missed by {(ours.p50 / allowed - 1) * 100:.0f} %"
    return f"Added at p50: {ours.p50 - bare.p50:.2f} ms; at most one commit and 10 % ({allowed - bare.p50:.2f} ms): {met}."
