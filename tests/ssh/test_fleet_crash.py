"""kill -9 in the middle of a fleet run: nothing is run again, and the next start says of each server what is known."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from clawdbox.app import Box
from clawdbox.settings import Settings
from tests.clocks import HandClock
from tests.ssh.sshd import Sshd
from tests.ssh.world import World

pytestmark = pytest.mark.sshd
SETTINGS = Settings(allow_loopback=True, fleet_parallel=1)
BOX = """
import asyncio, sys
from pathlib import Path
from clawdbox.app import Box
from clawdbox.clock import Clock
from clawdbox.events import Actor
from clawdbox.settings import Settings

async def main(folder, home, *connections):
    box = Box(Path(folder), Settings(allow_loopback=True, fleet_parallel=1), Clock())
    await box.start()
    command = "echo run >> ~/runs; sleep 300; echo end >> ~/runs"
    run = await box.fleet.start(Actor(box.owner.id), box.owner.id, command, list(connections), timeout_s=600)
    while not Path(home, "runs").exists():
        await asyncio.sleep(0.02)
    print("HELD " + run.id, flush=True)
    await asyncio.sleep(600)

asyncio.run(main(*sys.argv[1:]))
"""


def killed_once_it_runs(*arguments: str | Path) -> str:
    process = subprocess.Popen(
        [sys.executable, "-c", BOX, *arguments],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        line = next((line for line in process.stdout if line.startswith("HELD ")), "")
        process.send_signal(signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL
    return line.removeprefix("HELD ").strip()


async def test_after_kill_9_the_run_is_interrupted_and_nothing_is_sent_again(
    tmp_path: Path, sshd: Sshd
) -> None:
    clock, folder = HandClock(), tmp_path / "box"
    box = Box(folder, SETTINGS, clock)
    await box.start()
    world = await World.meet(box, clock, sshd)
    first = await world.pin()
    second = await box.connections.create(
        world.me, world.owner, label="Other", host=sshd.host, port=sshd.port, username=sshd.username, keypair_id=None
    )  # fmt: skip
    await box.stop()
    run_id = await asyncio.to_thread(killed_once_it_runs, folder, sshd.home, first.id, second.id)

    box = Box(folder, SETTINGS, clock)
    await box.start()
    try:
        run, answers = await box.fleet.get(box.owner.id, run_id)
        states = {answer.label: str(answer.outcome.state) for answer in answers}
        assert run.state == "interrupted"
        assert states == {"Server": "lost", "Other": "cancelled"}
        assert {answer.outcome.cause for answer in answers} == {"box_ended"}
        assert (sshd.home / "runs").read_text() == "run\n"
        told = await box.store.read(
            lambda r: r.all("SELECT type FROM events WHERE subject_id = ? ORDER BY seq", (run_id,))
        )
        assert [row["type"] for row in told][-1] == "fleet.ended"
    finally:
        await box.stop()
