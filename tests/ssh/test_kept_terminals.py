"""Terminals that live on in tmux on a real server: through a lost link, a closed lease, a stopped box and a kill."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from clawdbox.app import Box
from clawdbox.errors import NotFound
from clawdbox.settings import Settings
from clawdbox.ssh.model import Lease, MasterState, Terminal
from clawdbox.ssh.rules import tmux
from clawdbox.ssh.service.terminals import LiveTerminal
from tests.clocks import HandClock
from tests.ssh.sshd import Sshd
from tests.ssh.test_terminal_life import ends, says, whole
from tests.ssh.world import World, problem_of
from tests.waiting import eventually


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sshd]:
    """Its tmux has a socket of this test's own."""
    home, sockets = tmp_path / "home", tmp_path / "tmux"
    home.mkdir()
    sockets.mkdir()
    with Sshd(tmp_path / "server", options={"SetEnv": f"HOME={home} TMUX_TMPDIR={sockets}"}) as running:
        yield running
    local(sockets, "kill-server")


def local(sockets: Path, *words: str) -> str:
    env = {"TMUX_TMPDIR": str(sockets), "PATH": "/usr/bin:/bin"}
    command = ["tmux", "-L", "clawdbox", *words]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False).stdout


def sessions(world: World) -> list[str]:
    return local(world.server.folder.parent / "tmux", "ls", "-F", "#{session_name}").split()


async def keep(world: World, lease: Lease, cols: int = 80, rows: int = 24) -> LiveTerminal:
    opened = await world.box.terminals.open(world.me, world.owner, lease.id, cols, rows, keep_alive=True)
    return await live_of(world, opened)


async def live_of(world: World, terminal: Terminal) -> LiveTerminal:
    live = await world.box.terminals.live(world.owner, terminal.session_id, terminal.id)
    assert isinstance(live, LiveTerminal)
    return live


async def resume(world: World, lease_id: str, kept_id: str) -> LiveTerminal:
    opened = await world.box.terminals.resume(world.me, world.owner, lease_id, kept_id, 80, 24)
    return await live_of(world, opened)


async def waiting(world: World) -> list[str]:
    return [one.id for one in await world.box.kept_terminals.waiting(world.owner, world.connection.id)]


def kept_of(live: LiveTerminal) -> str:
    assert live.kept_id is not None
    return live.kept_id


async def test_a_kept_terminal_is_found_again_by_the_next_lease_with_its_screen_and_history(
    world: World,
) -> None:
    lease = await world.ready()
    live = await keep(world, lease)
    await live.type("a", 1, b"seq -f 'line-%g.' 1 200; stty size; echo p''id=$$.\n")
    await says(live, b"24 80")
    pid = (await says(live, b"pid=")).rpartition(b"pid=")[2].partition(b".")[0]
    assert sessions(world) == [tmux.name_of(kept_of(live))]
    await world.close(lease)
    assert live.view.end_reason == "kept", "the PTY ended, what ran in it did not"
    assert await waiting(world) == [live.kept_id]

    second = await world.start()
    assert await waiting(world) == [live.kept_id]
    again = await resume(world, second.id, kept_of(live))
    assert again is not live
    shown = await says(again, b"pid=" + pid)
    assert all(b"line-%d." % n in shown for n in (1, 100, 200)), "from tmux's own history"
    await again.type("a", 1, b"echo still-$$-\n")
    await says(again, b"still-" + pid)
    assert [
        row["end_reason"] for row in await world.rows("SELECT end_reason FROM terminals ORDER BY id")
    ] == [
        "kept",
        None,
    ]


async def test_nothing_is_missing_when_it_is_found_again_on_a_smaller_screen(world: World) -> None:
    lease = await world.ready()
    live = await keep(world, lease, 80, 60)
    await live.type("a", 1, b"seq -f 'line-%g.' 1 100; echo sh''own\n")
    await says(live, b"shown")
    await world.close(lease)
    again = await resume(world, (await world.start()).id, kept_of(live))
    screen = await says(again, b"shown\x1b")
    missing = [n for n in range(1, 101) if b"line-%d." % n not in screen]
    assert missing == []
    await again.type("a", 1, b"stty size\n")
    await says(again, b"24 80")
    await again.resize(70, 30)
    await again.type("a", 2, b"until stty size | grep '30 7'; do sleep 0.05; done\n")
    await says(again, b"30 70")


async def test_what_scrolls_away_is_not_let_go(world: World) -> None:
    live = await keep(world, await world.ready())
    await live.type("a", 1, b"seq 1 30; echo fu''ll\n")
    await says(live, b"full")
    await live.type("a", 2, b"seq 101 115; echo mo''re\n")
    await says(live, b"more")
    screen = await whole(live)
    assert re.search(rb"\x1b\[\d*S", screen) is None, "a browser drops what it scrolls up by"


async def test_nothing_of_tmux_itself_is_seen_and_no_key_is_in_the_way(world: World) -> None:
    live = await keep(world, await world.ready(), 60, 20)
    await live.type("a", 1, b"stty size; echo $TERM; cat -v\n")
    screen = await says(live, b"screen-256color")
    assert b"20 60" in screen, "no status line takes a row"
    await live.type("a", 2, b"\x02d\x02c-typed\n")
    assert b"^Bd^Bc-typed" in await says(live, b"^Bc-typed")
    assert b"clawdbox-" not in await whole(live)


async def test_a_lost_link_is_bridged_and_what_was_typed_meanwhile_is_typed_once(world: World) -> None:
    lease = await world.ready()
    live = await keep(world, lease)
    plain = await world.open_terminal(lease)
    await live.type("a", 1, b"echo be''fore\n")
    await says(live, b"before")
    world.server.stop()
    await eventually(lambda: live.is_away, what="a terminal that is away")
    assert live.view.state == "open"
    assert (await ends(plain)).end_reason == "link_lost"
    line = b"echo one >> $HOME/typed\n"
    assert [await live.type("a", 2, line), await live.type("a", 3, b"never\n")] == [1, 1], "not taken"
    world.server.start()
    await world.master_is(lease, MasterState.UP)
    await eventually(lambda: not live.is_away, timeout=30, what="a terminal that is back")
    assert await live.type("a", 3, b"echo too early\n") == 1, "what was refused comes first"
    assert [await live.type("a", 2, line), await live.type("a", 2, line)] == [2, 2]
    await live.type("a", 3, b"echo n=$(wc -l < $HOME/typed).\n")
    await says(live, b"n=1.")
    assert b"too early" not in await whole(live)


async def test_an_exit_ends_it_here_and_there(world: World) -> None:
    lease = await world.ready()
    live = await keep(world, lease)
    await live.type("a", 1, b"exit\n")
    assert (await ends(live)).end_reason == "exited"
    assert await waiting(world) == []
    assert (await world.rows("SELECT state, end_reason FROM kept_terminals")) == [
        {"state": "ended", "end_reason": "exited"}
    ]
    assert sessions(world) == []


async def test_ending_it_kills_what_runs_in_it_and_detaching_by_hand_does_not(world: World) -> None:
    lease = await world.ready()
    live = await keep(world, lease)
    await live.type("a", 1, b"tmux detach\n")
    assert (await ends(live)).end_reason == "kept"
    again = await resume(world, lease.id, kept_of(live))
    closed = await world.box.terminals.close(world.me, world.owner, lease.id, again.id)
    assert (closed.state, closed.end_reason) == ("ended", "closed")
    assert sessions(world) == []
    assert await waiting(world) == []
    gone = await problem_of(
        world.box.terminals.resume(world.me, world.owner, lease.id, kept_of(live), 80, 24)
    )
    assert gone.code == "kept_terminal_gone"


async def test_one_that_waits_is_ended_from_the_connection_if_a_session_reaches_the_server(
    world: World,
) -> None:
    lease = await world.ready()
    live = await keep(world, lease)
    await world.close(lease)
    end = world.box.kept_terminals.end
    alone = await problem_of(end(world.me, world.owner, world.connection.id, kept_of(live)))
    assert alone.code == "session_not_active"
    await world.start()
    assert (await end(world.me, world.owner, world.connection.id, kept_of(live))).end_reason == "closed"
    assert sessions(world) == []
    assert [row["target_id"] for row in await world.audit("terminal.close")] == [live.kept_id]


async def test_a_rebooted_server_has_none_and_says_so(world: World) -> None:
    lease = await world.ready()
    live = await keep(world, lease)
    await world.close(lease)
    local(world.server.folder.parent / "tmux", "kill-server")
    await world.start()
    assert await waiting(world) == []
    assert (await world.rows("SELECT end_reason FROM kept_terminals")) == [{"end_reason": "gone"}]
    assert live.view.end_reason == "kept"


async def test_a_second_lease_takes_it_over_and_the_same_lease_gets_the_same(world: World) -> None:
    lease = await world.ready()
    live = await keep(world, lease)
    assert await resume(world, lease.id, kept_of(live)) is live
    second = await world.start()
    again = await resume(world, second.id, kept_of(live))
    assert (live.view.state, live.view.end_reason) == ("ended", "moved")
    await again.type("b", 1, b"echo ov''er\n")
    await says(again, b"over")


async def test_a_server_without_tmux_says_what_to_do(world: World, tmp_path: Path) -> None:
    lease = await world.ready()
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    for tool in ("sh", "bash", "echo"):
        (bin_folder / tool).symlink_to(f"/bin/{tool}")
    (world.server.folder.parent / "home" / ".bashrc").write_text(f"PATH={bin_folder}\n")
    problem = await problem_of(
        world.box.terminals.open(world.me, world.owner, lease.id, 80, 24, keep_alive=True)
    )
    assert problem.code == "tmux_missing"
    assert await waiting(world) == []
    assert await world.rows("SELECT 1 FROM terminals") == []


async def test_rc_files_that_talk_do_not_confuse_it(world: World) -> None:
    home = world.server.folder.parent / "home"
    (home / ".bashrc").write_text("echo clawdbox; echo 'Welcome! clawdbox:missing is what we say'; echo\n")
    lease = await world.ready()
    live = await keep(world, lease)
    await live.type("a", 1, b"echo we''ll\n")
    await says(live, b"well")
    assert await waiting(world) == [live.kept_id]


async def test_it_survives_a_box_that_stops(tmp_path: Path, clock: HandClock, server: Sshd) -> None:
    first = Box(tmp_path / "box", Settings(allow_loopback=True), clock)
    await first.start()
    world = await World.meet(first, clock, server)
    live = await keep(world, await world.ready())
    await live.type("a", 1, b"echo p''id=$$.\n")
    pid = (await says(live, b"pid=")).rpartition(b"pid=")[2].partition(b".")[0]
    await first.stop()
    assert live.view.end_reason == "kept"
    world.box = Box(tmp_path / "box", Settings(allow_loopback=True), clock)
    await world.box.start()
    try:
        lease = await world.start()
        assert await waiting(world) == [live.kept_id]
        again = await resume(world, lease.id, kept_of(live))
        await again.type("a", 1, b"echo same-$$-\n")
        await says(again, b"same-" + pid)
    finally:
        await world.box.stop()


async def test_a_removed_connection_forgets_its_kept_terminals(world: World) -> None:
    lease = await world.ready()
    await keep(world, lease)
    await world.close(lease)
    await world.box.connections.remove(world.me, world.owner, world.connection.id, remove_key=False)
    assert (await world.rows("SELECT state, end_reason FROM kept_terminals")) == [
        {"state": "ended", "end_reason": "connection_removed"}
    ]


async def test_strangers_find_nothing(world: World) -> None:
    lease = await world.ready()
    live = await keep(world, lease)
    kept = world.box.kept_terminals
    for attempt in (
        kept.waiting("nobody", world.connection.id),
        kept.end(world.me, "nobody", world.connection.id, kept_of(live)),
        kept.end(world.me, world.owner, "elsewhere", kept_of(live)),
        world.box.terminals.resume(world.me, world.owner, lease.id, "nothing", 80, 24),
    ):
        assert isinstance(await problem_of(attempt), NotFound)
    assert live.is_open


@pytest.mark.parametrize("name", ["clawdbox-$(reboot)", "clawdbox-0123456789ab; x", "-t", ""])
def test_only_names_of_our_own_making_reach_a_command(name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        tmux.make(name, 80, 24)
    with pytest.raises(ValueError, match="no name"):
        tmux.enter(name)
    with pytest.raises(ValueError, match="no name"):
        tmux.past(name, 80, 24)
    with pytest.raises(ValueError, match="no name"):
        tmux.end(name)


WIPED = b"\x1b[H\x1b[2J\x1b[3J"


@pytest.mark.parametrize(
    "said, seen",
    [
        (b"clawdbox:past\n", WIPED),
        (b"", WIPED),
        (b"Welcome!\nclawdbox:past\none\n\x1b[1mtwo\n", WIPED + b"one\r\n\x1b[1mtwo\r\n\x1b[m\r\n\r\n\r\n"),
        (b"clawdbox:past\r\none\r\n", WIPED + b"one\r\n\x1b[m\r\n\r\n\r\n"),
    ],
)
def test_the_past_is_pushed_out_of_sight(said: bytes, seen: bytes) -> None:
    assert tmux.shown(said, 3) == seen


def test_of_a_past_that_is_too_long_the_newest_whole_lines_are_shown() -> None:
    lines = b"".join(b"line-%d.\n" % n for n in range(200_000))[-tmux.PAST_BYTES :]
    shown = tmux.shown(b"clawdbox:past\n" + lines, 3)
    first = shown.removeprefix(WIPED).partition(b"\r\n")[0]
    assert re.fullmatch(rb"line-\d+\.", first)
    assert b"line-199999.\r\n\x1b[m" in shown
