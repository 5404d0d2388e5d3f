"""What listens in on a terminal hears all of it, and can neither break nor end it."""

import asyncio
from collections.abc import Awaitable, Callable

from clawdbox.ssh.service.terminals import LiveTerminal
from tests.ssh.test_terminal_life import ends, says
from tests.ssh.world import World
from tests.waiting import eventually


class Listener:
    def __init__(self, fails: str = "") -> None:
        self.heard = b""
        self.sizes: list[tuple[int, int]] = []
        self.over = asyncio.Event()
        self._fails = fails

    def output(self, data: bytes) -> None:
        self._may_fail("output")
        self.heard += data

    def resized(self, cols: int, rows: int) -> None:
        self._may_fail("resized")
        self.sizes.append((cols, rows))

    async def ended(self) -> None:
        self._may_fail("ended")
        self.over.set()

    def _may_fail(self, what: str) -> None:
        if self._fails == what:
            raise RuntimeError(what)


def brings(tap: Listener) -> Callable[[LiveTerminal], Awaitable[Listener]]:
    async def asked(_live: LiveTerminal) -> Listener:
        return tap

    return asked


async def test_a_tap_hears_every_byte_from_the_first_each_size_and_the_end(world: World) -> None:
    tap = Listener()
    world.box.terminals.tappers.append(brings(tap))
    live = await world.open_terminal(await world.ready())
    await live.resize(99, 33)
    await live.type("a", 1, b"seq 1 5000; exit\n")
    await ends(live)
    assert tap.heard == live.ring.recent(0, 1_000_000)
    assert b"\r\n5000\r\n" in tap.heard
    assert tap.sizes == [(99, 33)]
    assert tap.over.is_set()


async def test_a_tap_that_fails_is_dropped_and_the_terminal_goes_on(world: World) -> None:
    async def refuses(_live: LiveTerminal) -> Listener:
        raise RuntimeError("no tap")

    good = Listener()
    taps = [Listener("output"), Listener("resized"), Listener("ended"), good]
    world.box.terminals.tappers += [refuses, *[brings(tap) for tap in taps]]
    live = await world.open_terminal(await world.ready())
    await live.resize(99, 33)
    await live.type("a", 1, b"echo he''re; stty size\n")
    await says(live, b"33 99")
    assert live.taps == taps[2:]
    await live.type("a", 2, b"exit\n")
    await eventually(good.over.is_set, what="the end")
    assert b"here" in good.heard


async def test_a_living_terminal_takes_a_tap_and_lets_it_go(world: World) -> None:
    live = await world.open_terminal(await world.ready())
    await live.type("a", 1, b"echo be''fore\n")
    await says(live, b"before")
    tap = Listener()
    live.taps.append(tap)
    await live.type("a", 2, b"echo wi''th\n")
    await eventually(lambda: b"with" in tap.heard)
    live.taps.remove(tap)
    await live.type("a", 3, b"echo af''ter; exit\n")
    await ends(live)
    assert b"before" not in tap.heard
    assert b"after" not in tap.heard
    assert not tap.over.is_set()
