"""How many dials are under way at once, in all and to one host."""

import asyncio
from pathlib import Path

import pytest

from clawdbox.app import Box
from clawdbox.events import Actor
from clawdbox.settings import Settings
from tests.clocks import HandClock
from tests.ssh.hostile import serving
from tests.waiting import eventually


class Slow:
    """Takes connections and says nothing until it is told to hang up on one."""

    def __init__(self) -> None:
        self.now = self.most = self.ever = 0
        self.hang_up = asyncio.Semaphore(0)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.now += 1
        self.ever += 1
        self.most = max(self.most, self.now)
        await self.hang_up.acquire()
        self.now -= 1


@pytest.mark.parametrize("in_all, to_one", [(16, 2), (3, 16)])
async def test_dials_beyond_the_limit_wait_for_a_place(
    tmp_path: Path, clock: HandClock, in_all: int, to_one: int
) -> None:
    limit = min(in_all, to_one)
    settings = Settings(allow_loopback=True, max_dials=in_all, max_dials_per_host=to_one)
    box = Box(tmp_path / "box", settings, clock)
    await box.start()
    slow = Slow()
    async with serving(slow) as port:
        tests = []
        for number in range(6):
            connection = await box.connections.create(
                Actor(box.owner.id), box.owner.id, label=f"Slow {number}", host="127.0.0.1", port=port,
                username="somebody", keypair_id=None,
            )  # fmt: skip
            tests.append(
                asyncio.ensure_future(
                    box.connections.test(
                        Actor(box.owner.id),
                        box.owner.id,
                        connection.id,
                        accept_host_key=False,
                        fingerprint=None,
                    )
                )
            )
        await eventually(lambda: slow.now == limit)
        for done in range(1, 7):
            slow.hang_up.release()
            await eventually(lambda done=done: sum(test.done() for test in tests) == done)  # type: ignore[misc]
        assert (slow.ever, slow.most) == (6, limit)
    await asyncio.gather(*tests, return_exceptions=True)
    await box.stop()
