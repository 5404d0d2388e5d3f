"""Forwards to the box's loopback over a real server: bytes whole, halves on their own, and an end that leaves nothing."""

import asyncio
import os
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from clawdbox.app import Box
from clawdbox.errors import Conflict, Invalid, NotFound
from clawdbox.settings import Settings
from clawdbox.ssh.model import Lease, MasterState
from clawdbox.ssh.model.forwards import Forward, ForwardKind, ForwardWish
from clawdbox.ssh.rules.forwards import MAX_PER_LEASE
from clawdbox.ssh.service import live_forward
from tests.clocks import HandClock
from tests.ssh.sshd import Sshd
from tests.ssh.targets import echo, flood, listening, upper_at_the_end
from tests.ssh.world import World, problem_of
from tests.waiting import eventually


async def forward(world: World, lease: Lease, port: int, bound: int | None = None) -> Forward:
    wish = ForwardWish(ForwardKind.LOCAL, port, bound_port=bound)
    return await world.box.forwards.open(world.me, world.owner, lease.id, wish)


async def connect(one: Forward) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", one.bound_port)


async def talk(one: Forward, data: bytes) -> bytes:
    reader, writer = await connect(one)
    writer.write(data)
    writer.write_eof()
    try:
        return await reader.read(-1)
    finally:
        writer.close()


async def hears_its_echo(one: Forward, data: bytes = b"hello") -> bool:
    try:
        return await talk(one, data) == data
    except OSError:
        return False


async def now(world: World, one: Forward) -> Forward:
    return await world.box.forwards.get(world.owner, one.session_lease_id, one.id)


def sockets() -> list[str]:
    return Path("/proc/net/tcp").read_text().splitlines()[1:]


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def test_bytes_arrive_whole_and_are_counted(world: World) -> None:
    lease = await world.ready()
    async with listening(echo) as port:
        one = await forward(world, lease, port)
        data = os.urandom(3_000_000)
        assert await talk(one, data) == data
        seen = await now(world, one)
        assert (seen.connections, seen.bytes_in, seen.bytes_out) == (1, len(data), len(data))
        assert one.target == f"localhost:{port}"


async def test_only_the_boxs_own_loopback_listens(world: World) -> None:
    async with listening(echo) as port:
        one = await forward(world, await world.ready(), port)
    rows = [line.split()[1] for line in sockets()]
    assert [row for row in rows if row.endswith(f":{one.bound_port:04X}")] == [
        f"0100007F:{one.bound_port:04X}"
    ]


async def test_each_half_ends_on_its_own(world: World) -> None:
    lease = await world.ready()
    async with listening(upper_at_the_end) as port:
        one = await forward(world, lease, port)
        assert await talk(one, b"said to the end") == b"SAID TO THE END"


async def test_two_hundred_connections_at_once_all_get_their_answer(world: World) -> None:
    lease = await world.ready()
    async with listening(echo) as port:
        one = await forward(world, lease, port)
        texts = [os.urandom(20_000) for _ in range(200)]
        assert await asyncio.gather(*(talk(one, text) for text in texts)) == texts
        await eventually(lambda: not live(world, one).channels, what="the end of all channels")
    assert (await now(world, one)).connections == 200


def live(world: World, one: Forward) -> live_forward.LiveForward:
    found = world.box.forwards.live(one.id)
    assert found is not None
    return found


async def test_more_than_a_forward_serves_wait_in_line(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_forward, "MAX_CONNECTIONS", 3)
    lease = await world.ready()
    async with listening(echo) as port:
        one = await forward(world, lease, port)
        held = [await connect(one) for _ in range(3)]
        for _, writer in held:
            writer.write(b"x")
        await asyncio.gather(*(reader.readexactly(1) for reader, _ in held))
        waiting = asyncio.ensure_future(talk(one, b"the fourth"))
        assert len(live(world, one).channels) == 3
        assert not waiting.done()
        held[0][1].close()
        assert await waiting == b"the fourth"
        for _, writer in held:
            writer.close()


async def test_a_reader_who_stops_holds_the_sender_instead_of_memory(world: World) -> None:
    lease = await world.ready()
    async with listening(flood) as port:
        one = await forward(world, lease, port)
        readers = [await connect(one) for _ in range(20)]
        seen: list[int] = []

        async def stands_still() -> bool:
            seen.append((await now(world, one)).bytes_in)
            return len(seen) > 50 and seen[-1] == seen[-50] > 0

        await eventually(stands_still, timeout=30, what="a flood that stands still")
        # What each may hold: sockets' buffers on both ends, the stream's, and the channel's window twice.
        assert (await now(world, one)).bytes_in < 20 * 8 * 1_048_576
        for _, writer in readers:
            writer.transport.abort()
        await eventually(lambda: not live(world, one).channels, what="the end of all channels")


async def test_nothing_listens_there_and_the_client_is_told_by_a_reset(world: World) -> None:
    lease = await world.ready()
    async with listening(echo) as port:
        pass
    one = await forward(world, lease, port)
    reader, writer = await connect(one)
    with pytest.raises(ConnectionResetError):
        await reader.read(1)
    writer.close()
    said = live(world, one).last_refusal
    assert said is not None
    assert f"port {port}" in said
    async with listening(echo, port):
        assert await hears_its_echo(one)
    assert live(world, one).last_refusal is None


async def test_a_server_that_forbids_forwarding_is_told_in_so_many_words(
    tmp_path: Path, box: Box, clock: HandClock
) -> None:
    with Sshd(tmp_path / "strict", options={"AllowTcpForwarding": "no"}) as server:
        world = await World.meet(box, clock, server)
        lease = await world.ready()
        one = await forward(world, lease, 3000)
        reader, writer = await connect(one)
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
        writer.close()
        assert "AllowTcpForwarding" in (live(world, one).last_refusal or "")


async def test_a_port_that_is_taken_is_a_conflict_and_leaves_nothing_open(world: World) -> None:
    lease = await world.ready()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        problem = await problem_of(forward(world, lease, 3000, port))
    assert isinstance(problem, Conflict)
    assert (problem.code, problem.detail["port"]) == ("port_in_use", port)
    assert [(one.state, one.end_reason) for one in await world.box.forwards.list(world.owner, lease.id)] == [
        ("ended", "refused")
    ]
    assert (await forward(world, lease, 3000, port)).bound_port == port


async def test_ports_of_the_system_are_refused(world: World) -> None:
    problem = await problem_of(forward(world, await world.ready(), 3000, 80))
    assert isinstance(problem, Invalid)
    assert (problem.code, problem.field) == ("port_privileged", "bound_port")


async def test_a_lease_has_its_most(world: World) -> None:
    lease = await world.ready()
    made = [await forward(world, lease, 3000) for _ in range(MAX_PER_LEASE)]
    assert (await problem_of(forward(world, lease, 3000))).code == "forward_limit_reached"
    await world.box.forwards.close(world.me, world.owner, lease.id, made[0].id)
    assert (await forward(world, lease, 3000)).is_open


async def test_the_end_of_the_session_ends_it_and_what_runs_through_it(world: World) -> None:
    lease = await world.ready()
    before = descriptors()
    async with listening(echo) as port:
        one = await forward(world, lease, port)
        reader, writer = await connect(one)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        await world.close(lease)
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await connect(one)
    ended = await now(world, one)
    assert (ended.state, ended.end_reason, ended.connections, ended.bytes_in) == (
        "ended",
        "session_closed",
        1,
        1,
    )
    await eventually(lambda: descriptors() <= before, what="no more descriptors than before")


async def test_closing_it_is_written_once_with_events_and_audit_rows(world: World) -> None:
    lease = await world.ready()
    one = await forward(world, lease, 3000)
    for _ in range(2):
        ended = await world.box.forwards.close(world.me, world.owner, lease.id, one.id)
        assert (ended.state, ended.end_reason) == ("ended", "closed")
    events = await world.rows("SELECT type FROM events WHERE subject_type = 'forward' ORDER BY seq")
    assert [row["type"] for row in events] == ["forward.opened", "forward.ended"]
    assert len(await world.audit("forward.open")) == len(await world.audit("forward.close")) == 1
    assert await world.chain_is_whole()


async def test_after_a_cut_link_it_works_again_and_what_was_under_way_ends(world: World) -> None:
    lease = await world.ready()
    async with listening(echo) as port:
        one = await forward(world, lease, port)
        reader, writer = await connect(one)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        world.server.kill_connections()
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
        writer.close()
        await world.master_is(lease, MasterState.UP)
        await eventually(lambda: hears_its_echo(one), timeout=20, what="an echo over the new link")


async def test_the_target_dies_and_the_client_hears_of_it(world: World) -> None:
    lease = await world.ready()
    async with listening(echo) as port:
        one = await forward(world, lease, port)
        reader, writer = await connect(one)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
    with suppress(ConnectionResetError):
        assert await asyncio.wait_for(reader.read(1), 10) == b""
    writer.close()
    await eventually(lambda: not live(world, one).channels, what="the end of its channel")


async def test_many_short_lives_leave_no_descriptor_behind(world: World) -> None:
    lease = await world.ready()
    async with listening(echo) as port:
        one = await forward(world, lease, port)
        assert await hears_its_echo(one)
        before = descriptors()
        for _ in range(5):
            gone = [await connect(one) for _ in range(20)]
            for _, writer in gone:
                writer.write(b"and away")
                writer.transport.abort()
        await eventually(lambda: not live(world, one).channels, what="the end of all channels")
        await eventually(lambda: descriptors() <= before, what="no more descriptors than before")


async def test_another_account_finds_nothing(world: World) -> None:
    lease = await world.ready()
    one = await forward(world, lease, 3000)
    other = await world.box.accounts.create(world.me, "Somebody else")
    for attempt in (
        world.box.forwards.list(other.id, lease.id),
        world.box.forwards.get(other.id, lease.id, one.id),
        world.box.forwards.close(world.me, other.id, lease.id, one.id),
        world.box.forwards.open(world.me, other.id, lease.id, ForwardWish(ForwardKind.LOCAL, 3000)),
    ):
        assert isinstance(await problem_of(attempt), NotFound)
    assert (await now(world, one)).is_open


async def test_what_a_crash_left_open_has_ended_at_the_next_start(
    world: World, tmp_path: Path, clock: HandClock
) -> None:
    lease = await world.ready()
    one = await forward(world, lease, 3000)
    again = Box(world.box.data_dir, Settings(allow_loopback=True), clock)
    await again.open()
    await again.leases.recover()
    ended = await again.forwards.get(world.owner, lease.id, one.id)
    assert (ended.state, ended.end_reason) == ("ended", "box_crashed")
    await again.store.close()


async def test_what_listens_on_the_server_is_found(world: World) -> None:
    lease = await world.ready()
    async with listening(echo) as port:
        found = await world.box.forwards.find_listening(world.me, world.owner, lease.id)
    mine = next(one for one in found if one.port == port)
    assert (mine.host, mine.public) == ("localhost", False)
