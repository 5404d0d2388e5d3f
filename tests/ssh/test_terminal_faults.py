"""A cable between the box and a real server that is pulled under terminals: what goes on, what ends, and what it says."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest

from clawdbox.app import Box
from clawdbox.settings import Settings
from clawdbox.ssh.model import CloseReason, MasterState
from clawdbox.ssh.service.live_terminal import LiveTerminal
from tests.clocks import HandClock
from tests.e2e.cut import Cable
from tests.ssh.sshd import Sshd
from tests.ssh.test_kept_terminals import keep, kept_of, resume, server, waiting
from tests.ssh.test_terminal_life import ends, says, whole
from tests.ssh.world import World, problem_of
from tests.waiting import eventually

__all__ = ["server"]
pytestmark = pytest.mark.sshd


@pytest.fixture
def cable(server: Sshd) -> Iterator[Cable]:
    with Cable(server.port) as laid:
        yield laid


@pytest.fixture
async def world(tmp_path: Path, clock: HandClock, server: Sshd, cable: Cable) -> AsyncIterator[World]:
    """A box that reaches its server by the cable, and asks after it every second."""
    settings = Settings(allow_loopback=True, keepalive_interval_s=1, keepalive_count=2)
    box = Box(tmp_path / "box", settings, clock)
    await box.start()
    port, server.port = server.port, cable.port
    try:
        met = await World.meet(box, clock, server)
    finally:
        server.port = port
    yield met
    cable.plug()
    await box.stop()


async def shell_of(live: LiveTerminal, client: str = "a", seq: int = 1) -> bytes:
    await live.type(client, seq, b"echo p''id=$$.\n")
    return (await says(live, b"pid=")).rpartition(b"pid=")[2].partition(b".")[0]


async def turn(world: World, command: str) -> None:
    """One turn of the conversation, to its end."""
    conversation = await world.box.conversations.of_connection(world.owner, world.connection.id)
    await world.box.conversations.send(world.me, world.owner, conversation.id, f"$ {command}")

    async def over() -> bool:
        return (await world.box.conversations.facts(conversation)).running_turn_id is None

    await eventually(over, timeout=30, what="the end of the turn")


async def test_a_server_that_falls_silent_is_noticed_in_seconds_and_the_kept_terminal_comes_back(
    world: World, cable: Cable
) -> None:
    lease = await world.ready()
    plain, live = await world.open_terminal(lease), await keep(world, lease)
    pid = await shell_of(live)
    cable.pull()
    await eventually(lambda: live.is_away, timeout=20, what="a kept terminal that is away")
    assert (await ends(plain)).end_reason == "link_lost"
    assert await live.type("a", 2, b"echo $$ >> $HOME/typed\n") == 1, "not taken while away"
    cable.plug()
    await eventually(lambda: not live.is_away, timeout=60, what="a kept terminal that is back")
    assert await live.type("a", 2, b"echo $$ >> $HOME/typed; echo n=$(wc -l < $HOME/typed).\n") == 2
    await says(live, b"n=1.")
    assert (world.server.folder.parent / "home" / "typed").read_bytes().strip() == pid


async def test_beyond_the_grace_the_lease_ends_saying_why_and_the_next_one_goes_on_where_it_was(
    world: World, cable: Cable
) -> None:
    lease = await world.ready()
    plain, live = await world.open_terminal(lease), await keep(world, lease)
    pid = await shell_of(live)
    await turn(world, "echo before")
    cable.pull()
    await world.master_is(lease, MasterState.LOST)
    world.clock.turn(301)
    await world.janitor.sweep()
    ended = await world.ended(lease)
    assert ended.close_reason is CloseReason.SERVER_CLOSED
    assert ended.error_detail
    assert (await ends(live)).end_reason == "kept"
    assert (await ends(plain)).end_reason == "link_lost"
    assert (await problem_of(turn(world, "echo too-late"))).code == "session_not_active"
    cable.plug()
    second = await world.start()
    again = await resume(world, second.id, kept_of(live))
    assert await shell_of(again) == pid
    assert await waiting(world) == [live.kept_id]
    await turn(world, "echo after")
    conversation = await world.box.conversations.of_connection(world.owner, world.connection.id)
    events = await world.box.conversations.events(world.owner, conversation.id, 0, 200)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    leases = [
        (event.type, event.payload["session_id"]) for event in events if event.type.startswith("lease.")
    ]
    assert leases == [("lease.started", lease.id), ("lease.ended", lease.id), ("lease.started", second.id)]
    told = msgspec.json.encode(events)
    assert b"echo before" in told
    assert b"echo after" in told
    assert b"echo too-late" not in told


async def test_a_connection_process_killed_in_a_flood_ends_the_plain_one_and_the_kept_one_comes_back(
    world: World,
) -> None:
    lease = await world.ready()
    plain, live = await world.open_terminal(lease), await keep(world, lease)
    for flooded in (plain, live):
        await flooded.type("a", 1, b"yes fl''ood &\n")
        await eventually(lambda one=flooded: one.ring.end > 1_000_000, what="a flood")  # type: ignore[misc]
    seq = 1
    while seq < 30:  # as a page does: again from the one that was not taken
        seq = await live.type("a", seq + 1, b"echo n-%d >> $HOME/typed\n" % (seq + 1))
        if seq == 10:
            world.server.kill_connections()
            await eventually(lambda: live.is_away, what="a kept terminal that is away")
            assert await live.type("a", 11, b"never\n") == 10, "not taken while away"
            await eventually(lambda: not live.is_away, timeout=60, what="a kept terminal that is back")
    assert (await ends(plain)).end_reason == "link_lost"
    assert len(await whole(plain)) == plain.ring.end - plain.ring.start, "what came is kept, and readable"
    await live.type("a", 31, b"kill %1; echo last >> $HOME/typed; echo ca''lm\n")
    await eventually(lambda: b"calm" in live.ring.recent(live.ring.end - 5000, 5000), timeout=60, what="calm")
    lines = (world.server.folder.parent / "home" / "typed").read_text().split()
    assert len(lines) == len(set(lines)), "nothing is typed twice"
    assert lines[-21:] == [*(f"n-{seq}" for seq in range(11, 31)), "last"]
    assert live.view.state == "open"


@pytest.mark.parametrize("seconds", [5, pytest.param(60, marks=pytest.mark.long)])
async def test_a_cut_that_nobody_noticed_loses_no_byte(
    tmp_path: Path, clock: HandClock, server: Sshd, cable: Cable, seconds: int
) -> None:
    box = Box(tmp_path / "patient", Settings(allow_loopback=True, keepalive_count=10), clock)
    await box.start()
    port, server.port = server.port, cable.port
    world = await World.meet(box, clock, server)
    server.port = port
    try:
        live = await world.open_terminal(await world.ready())
        await live.type(
            "a", 1, b"stty -echo; for i in $(seq 1 300); do echo n-$i; sleep 0.01; done; echo fin''ished\n"
        )
        await says(live, b"n-20")
        cable.pull()
        await asyncio.sleep(seconds)
        cable.mend()
        await says(live, b"finished")
        assert b"".join(b"n-%d\r\n" % n for n in range(1, 301)) in await whole(live)
        assert live.view.state == "open"
    finally:
        await box.stop()
