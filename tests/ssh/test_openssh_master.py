"""The fall-back master, the system's own `ssh`: the same words and outcomes as the box's own, and nothing left behind."""

import asyncio
import os
import pwd
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from clawdbox.app import Box
from clawdbox.errors import Conflict, StartRefused
from clawdbox.settings import Settings
from clawdbox.ssh.model import MasterState
from clawdbox.ssh.wire import openssh
from clawdbox.ssh.wire.execs import run
from clawdbox.ssh.wire.forwards import TargetRefused, open_tcp
from clawdbox.ssh.wire.link import Link
from clawdbox.ssh.wire.model import ChannelRefused, DialFailure, ExecResult, LinkLost, Pin
from clawdbox.ssh.wire.openssh import folder as openssh_folder
from tests.clocks import HandClock
from tests.ssh.keys import Keypair, local, pin_of, target_of
from tests.ssh.sshd import Sshd
from tests.ssh.test_execs import mark, processes_with
from tests.ssh.test_kept_terminals import keep, kept_of, resume, waiting
from tests.ssh.test_terminal_life import says
from tests.ssh.test_terminals import read_until, rest
from tests.ssh.world import World
from tests.waiting import eventually

__all__ = ["mark"]


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of this test's own on the memory file system, seen to be empty at the end."""
    place = Path(openssh_folder.in_memory()) / f"clawdbox-test-{tmp_path.name}"
    place.mkdir(mode=0o700)
    monkeypatch.setattr(openssh_folder, "in_memory", lambda: str(place))
    yield place
    left = list(place.iterdir())
    openssh.sweep()
    place.rmdir()
    assert not left


@pytest.fixture
async def link(sshd: Sshd, key: Keypair) -> AsyncIterator[Link]:
    sshd.authorize(key.public)
    connected = await openssh.dial(target_of(sshd), pin_of(sshd), key.private)
    yield connected
    await connected.close()


async def answer(link: Link, command: str, timeout_s: float = 30) -> ExecResult:
    return await run(link, command, timeout_s=timeout_s, max_output_bytes=1024 * 1024)


async def failure_of(server: Sshd, key: Keypair, pin: Pin) -> DialFailure:
    with pytest.raises(DialFailure) as refused:
        await openssh.dial(target_of(server), pin, key.private)
    return refused.value


# what is not there


async def test_a_forward_is_refused_with_words(link: Link) -> None:
    with pytest.raises(TargetRefused, match="commands and terminals alone") as refused:
        await open_tcp(link, "localhost", 80)
    assert refused.value.forbidden


def test_a_user_without_a_name_is_told_that_ssh_wants_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert openssh.missing() is None

    def nobody(uid: int) -> pwd.struct_passwd:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    assert "no user without a name" in (openssh.missing() or "")


# commands


async def test_a_command_has_its_streams_its_status_and_its_bytes(link: Link) -> None:
    result = await answer(link, "printf '\\377\\000out'; echo err >&2; exit 7")
    assert (result.stdout, result.stderr, result.exit_status) == (b"\xff\x00out", b"err\n", 7)
    assert result.started
    assert not result.lost


async def test_a_command_that_looks_like_an_option_is_a_command(link: Link) -> None:
    result = await answer(link, "-V")
    assert b"OpenSSH" not in result.stdout + result.stderr
    assert b"invalid option" in result.stderr, "the shell on the server was given it"


async def test_output_beyond_the_cap_is_read_and_dropped(link: Link) -> None:
    result = await run(link, "head -c 3000000 /dev/zero", timeout_s=30, max_output_bytes=1000)
    assert (len(result.stdout), result.truncated, result.exit_status) == (1000, True, 0)


async def test_a_death_by_signal_is_no_lost_command(link: Link) -> None:
    result = await answer(link, "kill -KILL $$")
    assert (result.exit_signal, result.lost) == ("unknown", False)


async def test_a_command_out_of_time_is_gone_from_the_server(link: Link, mark: str) -> None:
    result = await answer(link, f"export {mark}; trap '' TERM; sleep 600; while :; do sleep 1; done", 0.5)
    assert (result.timed_out, result.ended) == (True, True)
    await eventually(lambda: not processes_with(mark))


async def test_thirty_commands_at_ten_sessions_have_thirty_answers(link: Link) -> None:
    results = await asyncio.gather(*(answer(link, f"sleep 0.2; echo {n}") for n in range(30)))
    assert [int(result.stdout) for result in results] == list(range(30))


async def test_a_command_whose_connection_dies_is_lost(sshd: Sshd, link: Link, tmp_path: Path) -> None:
    lost: list[str] = []
    link.on_lost(lost.append)
    running = asyncio.ensure_future(answer(link, f"touch {tmp_path}/runs; sleep 60"))
    await eventually((tmp_path / "runs").exists)
    sshd.kill_connections()
    result = await running
    assert (result.exit_status, result.lost) == (None, True)
    assert await eventually(lambda: lost)
    with pytest.raises(LinkLost):
        await answer(link, "true")


# terminals


async def test_a_terminal_has_its_size_changes_it_and_ends_with_its_status(link: Link) -> None:
    terminal = await link.open_terminal(101, 41, env={"LC_WIRE": "passed"})
    await terminal.write(b"stty size; echo $TERM-$LC_WIRE\n")
    await read_until(terminal, b"41 101\r\n.*xterm-256color-passed")
    terminal.resize(60, 20)
    # the size and what is typed go different ways to the server
    await terminal.write(b'until [ "$(stty size)" = "20 60" ]; do sleep 0.1; done; exit 3\n')
    await rest(terminal)
    await terminal.wait_closed()
    assert terminal.exit_status == 3


async def test_a_terminal_that_is_hung_up_ends_what_runs_in_it(link: Link, mark: str) -> None:
    terminal = await link.open_terminal(80, 24)
    await terminal.write(f"{mark} sleep 600\n".encode())
    await eventually(lambda: processes_with(mark))
    terminal.close()
    await eventually(lambda: not processes_with(mark))


# the dial


def files_in(memory: Path) -> list[Path]:
    return list(memory.glob("*/*"))


async def test_the_key_is_gone_once_the_master_is_up(link: Link, memory: Path) -> None:
    files = [file.name for file in files_in(memory)]
    assert "ctl" in files
    assert "key" not in files


async def test_an_unknown_and_another_host_key_stop_it_before_the_login(sshd: Sshd, key: Keypair) -> None:
    sshd.authorize(key.public)
    unknown = await failure_of(sshd, key, Pin())
    assert (unknown.cause, unknown.offered and unknown.offered.fingerprint) == (
        "host_key_unknown",
        sshd.fingerprint(),
    )
    changed = await failure_of(sshd, key, Pin("SHA256:" + "A" * 43, "ssh-ed25519"))
    assert changed.cause == "host_key_changed"
    assert sshd.login_attempts() == 0


async def test_a_key_that_is_not_installed_is_an_authentication_failure(sshd: Sshd, key: Keypair) -> None:
    assert (await failure_of(sshd, key, pin_of(sshd))).cause == "authentication"


async def test_what_does_not_speak_ssh_is_told_so(key: Keypair) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as web:
        target = local(web.sockets[0].getsockname()[1])
        with pytest.raises(DialFailure) as refused:
            await openssh.dial(target, Pin("SHA256:x"), key.private)
    assert refused.value.cause == "not_ssh"


async def test_a_server_that_says_nothing_ends_in_time(key: Keypair) -> None:
    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silence, "127.0.0.1", 0) as mute:
        target = local(mute.sockets[0].getsockname()[1])
        with pytest.raises(DialFailure) as refused:
            await openssh.dial(target, Pin("SHA256:x"), key.private, login_timeout=0.5)
    assert refused.value.cause == "not_ssh"


async def test_what_needs_another_kind_of_channel_is_refused_in_words(link: Link) -> None:
    with pytest.raises(ChannelRefused, match="master = openssh"):
        link.connection  # noqa: B018 - the property itself refuses


async def test_what_a_killed_box_left_is_swept_and_what_another_uses_stays(memory: Path) -> None:
    ended = await asyncio.create_subprocess_exec("true")
    await ended.wait()
    uid = os.getuid()
    left, used = (memory / f"clawdbox-ssh-{uid}-{pid}-x" for pid in (ended.pid, os.getppid()))
    for folder in (left, used):
        folder.mkdir(mode=0o700)
    openssh.sweep()
    assert (left.exists(), used.exists()) == (False, True)
    used.rmdir()


# the box


async def test_a_whole_session_over_it_survives_a_lost_link(
    tmp_path: Path, clock: HandClock, server: Sshd
) -> None:
    box = Box(tmp_path / "box", Settings(allow_loopback=True, master="openssh"), clock)
    await box.start()
    try:
        world = await World.meet(box, clock, server)
        assert (await world.refused_test()).code == "host_key_unknown"
        await world.pin()
        assert (await world.test()).result == "ok"
        lease = await world.start()
        first = await world.run(lease, "echo one")
        assert first.stdout == b"one\n"
        server.kill_connections()
        master = box.leases.held[lease.id]
        await eventually(lambda: master.redials >= 1 and master.state is MasterState.UP)
        assert (await world.run(lease, "echo two")).stdout == b"two\n"
        await box.leases.close(world.me, world.owner, lease.id)
        with pytest.raises(Conflict):
            await world.run(lease, "echo three")
    finally:
        await box.stop()


async def test_a_kept_terminal_over_it_comes_back_and_is_found_again(
    tmp_path: Path, clock: HandClock
) -> None:
    home, sockets = tmp_path / "home", tmp_path / "tmux"
    home.mkdir()
    sockets.mkdir()
    box = Box(tmp_path / "box", Settings(allow_loopback=True, master="openssh"), clock)
    with Sshd(tmp_path / "keeps", options={"SetEnv": f"HOME={home} TMUX_TMPDIR={sockets}"}) as server:
        await box.start()
        try:
            world = await World.meet(box, clock, server)
            lease = await world.ready()
            live = await keep(world, lease)
            await live.type("a", 1, b"stty size; echo p''id=$$.\n")
            pid = (await says(live, b"pid=")).rpartition(b"pid=")[2].partition(b".")[0]
            server.kill_connections()
            await eventually(lambda: live.is_away, what="a terminal that is away")
            assert await live.type("a", 2, b"echo n >> $HOME/typed\n") == 1, "not taken"
            await eventually(lambda: not live.is_away, timeout=60, what="a terminal that is back")
            await live.resize(132, 43)
            assert await live.type("a", 2, b"echo n >> $HOME/typed\n") == 2
            # The size goes by a signal to a process of its own, so it may come after what is typed next.
            await live.type("a", 3, b"until [ \"$(stty size)\" = '43 132' ]; do sleep 0.1; done\n")
            await live.type("a", 4, b"echo $(stty size | tr ' ' x) n=$(wc -l < $HOME/typed).\n")
            await says(live, b"43x132 n=1.")
            await world.close(lease)
            assert live.view.end_reason == "kept"
            second = await world.start()
            again = await resume(world, second.id, kept_of(live))
            await again.type("a", 1, b"echo still-$$-\n")
            await says(again, b"still-" + pid)
            ended = await box.terminals.close(world.me, world.owner, second.id, again.id)
            assert ended.end_reason == "closed"
            assert await waiting(world) == []
        finally:
            await box.stop()


async def test_a_box_without_an_ssh_program_says_what_to_install(
    tmp_path: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    box = Box(tmp_path / "box", Settings(master="openssh"), clock)
    with pytest.raises(StartRefused, match="openssh-client") as refused:
        await box.start()
    assert refused.value.code == "openssh_missing"
    assert not (tmp_path / "box").exists()
