"""A terminal over a real server: every byte by its offset, no input twice, any number of devices, and an end with a reason."""

import asyncio
from pathlib import Path

import pytest

from clawdbox.app import Box
from clawdbox.errors import Invalid, NotFound, Unavailable
from clawdbox.settings import Settings
from clawdbox.ssh.model import Terminal
from clawdbox.ssh.service.terminals import MAX_PER_LEASE, LiveTerminal
from clawdbox.ssh.wire.channels import PtyChannel
from clawdbox.ssh.wire.model import LinkLost
from tests.clocks import HandClock
from tests.ssh.sshd import Sshd
from tests.ssh.world import World, problem_of
from tests.waiting import eventually

ALL = 100_000_000


async def says(live: LiveTerminal, text: bytes, after: int = 0) -> bytes:
    """The output from `after` on, once it contains `text`."""
    await eventually(lambda: text in live.ring.recent(after, ALL), what=f"{text!r} on the terminal")
    return await whole(live, after)


async def whole(live: LiveTerminal, after: int = 0) -> bytes:
    """All that is kept from `after` on, in memory and on disk."""
    pieces, offset = [], max(after, live.ring.start)
    while piece := await live.ring.read(offset, ALL):
        pieces.append(piece)
        offset += len(piece)
    return b"".join(pieces)


async def ends(live: LiveTerminal) -> Terminal:
    assert live.pump is not None
    await asyncio.wait_for(live.pump, 15)
    return live.view


async def test_a_terminal_is_a_real_one_of_the_size_that_was_asked_for(world: World) -> None:
    live = await world.open_terminal(await world.ready())
    await live.type("a", 1, b"tty; stty size\n")
    output = await says(live, b"24 80")
    assert b"/dev/pts/" in output
    await live.resize(132, 43)
    await live.type("a", 2, b"stty size\n")
    await says(live, b"43 132")
    assert (live.view.cols, live.view.rows) == (132, 43)


async def test_every_byte_has_its_offset_however_it_is_read(world: World) -> None:
    live = await world.open_terminal(await world.ready())
    await live.type("a", 1, b"stty -echo; seq 1 20000; echo d''one\n")
    await says(live, b"done")
    end = live.ring.end
    everything = await whole(live)
    assert (live.view.start_offset, live.view.end_offset, len(everything)) == (0, end, end)
    assert b"\r\n".join(b"%d" % n for n in range(1, 20001)) in everything
    piecewise, offset = b"", 0
    while piece := await live.ring.read(offset, 777):
        piecewise += piece
        offset += len(piece)
    assert piecewise == (await whole(live))[:offset]


async def test_an_overflowed_ring_begins_where_it_says(
    tmp_path: Path, clock: HandClock, server: Sshd
) -> None:
    settings = Settings(allow_loopback=True, terminal_ring_bytes=10_000, terminal_spill_bytes=0)
    box = Box(tmp_path / "box", settings, clock)
    await box.start()
    try:
        world = await World.meet(box, clock, server)
        live = await world.open_terminal(await world.ready())
        await live.type("a", 1, b"stty -echo; seq 1 20000; echo d''one\n")
        await says(live, b"done")
        view = live.view
        assert 0 < view.start_offset < view.end_offset
        kept = await whole(live)
        assert 10_000 <= len(kept) == view.end_offset - view.start_offset
        assert b"19999\r\n20000\r\n" in kept
        assert b"\r\n1\r\n2\r\n" not in kept
    finally:
        await box.stop()


async def test_a_number_of_input_is_typed_once_per_client(world: World) -> None:
    live = await world.open_terminal(await world.ready())
    line = b"echo one >> $HOME/typed\n"
    assert [await live.type("phone", 1, line) for _ in range(3)] == [1, 1, 1]
    assert await live.type("phone", 3, line) == 3
    assert await live.type("phone", 2, line) == 3
    assert await live.type("laptop", 1, line) == 1
    await live.type("phone", 4, b"echo n=$(wc -l < $HOME/typed)\n")
    await says(live, b"n=3")
    assert (live.last_input("phone"), live.last_input("laptop"), live.last_input("new")) == (4, 1, 0)


async def test_many_writers_at_once_type_each_number_once(world: World) -> None:
    live = await world.open_terminal(await world.ready())
    await asyncio.gather(*(live.type("phone", 1, b"echo x >> $HOME/once\n") for _ in range(10)))
    await live.type("phone", 2, b"echo n=$(wc -l < $HOME/once)\n")
    await says(live, b"n=1")


async def test_two_devices_hear_the_same_terminal(world: World) -> None:
    live = await world.open_terminal(await world.ready())
    with live.listen() as phone, live.listen() as laptop:
        await live.type("phone", 1, b"echo $((6*7))\n")
        await asyncio.wait_for(asyncio.gather(phone.wait(), laptop.wait()), 10)
        await says(live, b"42")
        phone.clear()
        laptop.clear()
        await live.resize(100, 30)
        assert (phone.is_set(), laptop.is_set()) == (True, True)


async def test_a_device_that_comes_back_finds_the_same_terminal(world: World) -> None:
    lease = await world.ready()
    live = await world.open_terminal(lease)
    await live.type("phone", 1, b"echo be''fore\n")
    await says(live, b"before")
    again = await world.box.terminals.live(world.owner, lease.id, live.id)
    assert again is live
    listed = await world.box.terminals.list(world.owner, lease.id)
    assert [(view.id, view.state, view.end_offset > 0) for view in listed] == [(live.id, "open", True)]


async def test_a_shell_that_exits_tells_its_status(world: World) -> None:
    lease = await world.ready()
    live = await world.open_terminal(lease)
    await live.type("a", 1, b"exit 7\n")
    view = await ends(live)
    assert (view.state, view.exit_status, view.end_reason) == ("ended", 7, "exited")
    rows = await world.rows("SELECT state, exit_status, end_reason FROM terminals")
    assert rows == [{"state": "ended", "exit_status": 7, "end_reason": "exited"}]
    assert await live.type("a", 2, b"too late\n") == 2
    assert len(await world.rows("SELECT 1 FROM events WHERE type = 'terminal.ended'")) == 1


async def test_an_end_that_cannot_be_written_is_heard_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = await world.open_terminal(await world.ready())
    await live.type("a", 1, b"exit 7")

    async def full(_change: object) -> None:
        raise Unavailable("storage_full", "Full.")

    monkeypatch.setattr(world.box.terminals._store, "write", full)
    with live.listen() as signal:
        await live.type("a", 2, b"\n")
        view = await ends(live)
        assert signal.is_set()
    monkeypatch.undo()
    assert (view.state, view.exit_status, view.end_reason) == ("ended", 7, "exited")


async def test_closing_a_terminal_hangs_up_and_is_repeatable(world: World) -> None:
    lease = await world.ready()
    live = await world.open_terminal(lease)
    close = world.box.terminals.close
    first = await close(world.me, world.owner, lease.id, live.id)
    assert (first.state, first.end_reason) == ("ended", "closed")
    assert (await close(world.me, world.owner, lease.id, live.id)).end_reason == "closed"
    audit = await world.audit("terminal.close")
    assert [(row["account_id"], row["target_id"]) for row in audit] == [(world.owner, live.id)]
    assert (await world.run(lease, "echo on")).stdout == b"on\n"


async def test_a_terminal_ends_with_its_lease_and_its_bytes_stay_readable(world: World) -> None:
    lease = await world.ready()
    live = await world.open_terminal(lease)
    await live.type("a", 1, b"echo $$ > $HOME/shell; echo re''ady\n")
    await says(live, b"ready")
    await world.close(lease)
    view = live.view
    assert (view.state, view.end_reason) == ("ended", "session_closed")
    assert b"ready" in await whole(live)
    assert await world.box.terminals.live(world.owner, lease.id, live.id) is live
    shell = int((world.server.folder.parent / "home" / "shell").read_text())
    await eventually(lambda: not Path(f"/proc/{shell}").exists(), what="the end of the shell on the server")
    problem = await problem_of(world.box.terminals.open(world.me, world.owner, lease.id, 80, 24))
    assert problem.code == "session_not_active"


async def test_a_terminal_whose_link_breaks_says_so(world: World) -> None:
    lease = await world.ready()
    live = await world.open_terminal(lease)
    world.server.kill_connections()
    assert (await ends(live)).end_reason == "link_lost"
    rows = await world.rows("SELECT state, end_reason FROM terminals")
    assert rows == [{"state": "ended", "end_reason": "link_lost"}]


async def test_one_terminal_too_many_is_refused(world: World) -> None:
    lease = await world.ready()
    await world.box.store.write(
        lambda tx: [
            tx.insert(
                "terminals",
                {
                    "id": f"t{n}",
                    "account_id": world.owner,
                    "connection_id": world.connection.id,
                    "session_lease_id": lease.id,
                    "cols": 80,
                    "rows": 24,
                    "created_at": tx.now,
                },
            )
            for n in range(MAX_PER_LEASE)
        ]
    )
    problem = await problem_of(world.box.terminals.open(world.me, world.owner, lease.id, 80, 24))
    assert problem.code == "terminal_limit_reached"


@pytest.mark.parametrize("size", [(0, 24), (80, 0), (1001, 24), (80, -1)])
async def test_an_impossible_size_is_refused_by_name(world: World, size: tuple[int, int]) -> None:
    lease = await world.ready()
    problem = await problem_of(world.box.terminals.open(world.me, world.owner, lease.id, *size))
    assert isinstance(problem, Invalid)
    assert problem.field == ("cols" if size[1] == 24 else "rows")
    live = await world.open_terminal(lease)
    assert isinstance(await problem_of(live.resize(*size)), Invalid)


@pytest.mark.parametrize("error", [LinkLost("gone"), OSError("odd")])
async def test_a_terminal_that_never_opened_is_not_left_open(
    world: World, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = await world.ready()
    link = world.box.leases.held[lease.id].link
    assert link is not None

    async def refuse(*_: object) -> PtyChannel:
        raise error

    monkeypatch.setattr(link, "open_terminal", refuse)
    with pytest.raises(Exception, match=r"gone|odd"):
        await world.box.terminals.open(world.me, world.owner, lease.id, 80, 24)
    rows = await world.rows("SELECT state, end_reason FROM terminals")
    assert rows == [{"state": "ended", "end_reason": "refused"}]


async def test_a_caller_who_leaves_while_it_opens_leaves_no_open_terminal(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = await world.ready()
    link = world.box.leases.held[lease.id].link
    assert link is not None
    opening = asyncio.Event()

    async def never(*_: object) -> PtyChannel:
        opening.set()
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(link, "open_terminal", never)
    task = asyncio.ensure_future(world.box.terminals.open(world.me, world.owner, lease.id, 80, 24))
    await asyncio.wait_for(opening.wait(), 10)
    task.cancel()
    await asyncio.wait([task])
    assert [row["state"] for row in await world.rows("SELECT state FROM terminals")] == ["ended"]


async def test_an_unknown_terminal_is_not_found(world: World) -> None:
    lease = await world.ready()
    second = await world.start()
    live = await world.open_terminal(lease)
    for lease_id, terminal_id in ((lease.id, "nothing"), (second.id, live.id), ("nothing", live.id)):
        assert isinstance(
            await problem_of(world.box.terminals.live(world.owner, lease_id, terminal_id)), NotFound
        )
        closing = world.box.terminals.close(world.me, world.owner, lease_id, terminal_id)
        assert isinstance(await problem_of(closing), NotFound)
    assert live.is_open
