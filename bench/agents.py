"""What judging and writing down cost an agent's command, and how soon what a model says is shown."""

import asyncio
from pathlib import Path
from time import perf_counter
from typing import Any

import httpx
import msgspec
import uvloop
from websockets.asyncio.client import connect

from bench.boxes import a_session, posted, running_box
from bench.figures import Figures, figures
from bench.sections import Options
from clawdbox import logs
from clawdbox.agents.model import Context
from clawdbox.agents.runtimes.port import Hands, Offer
from clawdbox.app import Box
from clawdbox.settings import Settings
from tests.agents.model_server.parts import reply
from tests.agents.model_server.server import ModelServer
from tests.clocks import HandClock
from tests.ssh.sshd import Sshd
from tests.ssh.world import World

COMMAND = "true"
MANY = 50
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
    uvloop.run(first_words(options))


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


async def first_words(options: Options) -> None:
    """From the first word that leaves the model's server to the page that shows it, over the box's WebSocket."""
    pieces = tuple(f"word {index} " for index in range(20))
    with Sshd(Path(options.work, "sshd-2")) as server, ModelServer(lambda _asked: reply(*pieces)) as model:
        async with running_box(options.work / "box-2") as (ours, api):
            session_id = await a_session(api, server)
            session = (await api.get(f"/sessions/{session_id}")).json()["session"]
            given: dict[str, object] = {
                "label": "Scripted",
                "kind": "openai",
                "base_url": model.openai_url,
                "model": "scripted-1",
            }
            provider = await posted(api, "/model-providers", given)
            options_of = {"provider_id": provider["model_provider"]["id"]}
            path = f"/connections/{session['connection']['id']}/conversations"
            body: dict[str, object] = {"runtime": "model", "runtime_options": options_of}
            many = 5 if options.quick else MANY
            ids = [str((await posted(api, path, body))["conversation"]["id"]) for _ in range(many)]
            page = Page(ours.address, api, model)
            alone = [await page.turn(ids[0], f"alone {index}") for index in range(max(5, options.n // 3))]
            together: list[float] = []
            for round_ in range(1 if options.quick else 5):
                turns = (page.turn(one, f"{round_} of {one}") for one in ids)
                together += await asyncio.gather(*turns)
    print(f"\n{HEAD}")
    for what, seconds in (
        ("first word: shown after it was sent, one conversation", alone),
        (f"the same with {many} conversations at once", together),
    ):
        found = figures(seconds)
        print(f"| {what} | {found.n} | {found.p50:.2f} | {found.p99:.2f} |")
    p99 = figures(alone).p99
    print(f"\nAt most 20 ms at p99: {'met' if p99 <= 20 else f'missed by {p99 - 20:.1f} ms'}.")


class Page:
    """What an open page of the app does: it sends, and follows the conversation's socket."""

    def __init__(self, address: str, api: httpx.AsyncClient, model: ModelServer) -> None:
        self._socket = address.replace("http", "ws", 1) + "/api/v1/conversations/"
        self._api = api
        self._model = model

    async def turn(self, conversation_id: str, text: str) -> float:
        """Seconds from the first word that the model sent for it to the first that came over the socket."""
        headers = {"Authorization": self._api.headers["Authorization"]}
        async with connect(
            f"{self._socket}{conversation_id}/live", additional_headers=headers, proxy=None, compression=None
        ) as socket:
            await socket.recv()
            await posted(self._api, f"/conversations/{conversation_id}/turns", {"text": text})
            shown = 0.0
            while True:
                told = msgspec.json.decode(await socket.recv())
                kind = told.get("event", {}).get("type")
                if kind == "text" and not shown:
                    shown = perf_counter()
                if kind == "turn.finished":
                    break
        (asked,) = [one for one in self._model.asked if one.said == text]
        assert asked.first_sent is not None
        return shown - asked.first_sent


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
