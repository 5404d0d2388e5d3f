"""The demo server, met through the wire and through a real ssh client."""

import asyncio
import getpass
import stat
import subprocess
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import pytest
import uvloop

from clawdbox.ssh.wire.demo import DemoAddress, DemoServer
from clawdbox.ssh.wire.dial import DialFailure, Pin, Target, dial
from clawdbox.ssh.wire.execs import run
from clawdbox.ssh.wire.link import Link
from tests.ssh.keys import Keypair
from tests.ssh.test_execs import processes_with
from tests.ssh.test_terminals import read_until, rest
from tests.waiting import eventually

CAP = 1024 * 1024


class Demo:
    def __init__(self, server: DemoServer, address: DemoAddress, key: Keypair, data: Path) -> None:
        self.server, self.address, self.key, self.data = server, address, key, data

    async def dial(self, key: Keypair | None = None, username: str | None = None) -> Link:
        target = Target(
            self.address.host, self.address.port, username or self.address.username, allow_loopback=True
        )
        pin = Pin(self.address.fingerprint, self.address.key_type)
        return await dial(target, pin, (key or self.key).private)


@pytest.fixture
async def demo(tmp_path: Path, key: Keypair, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Demo]:
    monkeypatch.setenv("CLAWDBOX_SECRET", "canary-7f3a")
    monkeypatch.setenv("SOME_TOKEN", "canary-7f3a")
    server = DemoServer()
    yield Demo(server, await server.start(tmp_path, key.public), key, tmp_path)
    await server.stop()


@pytest.fixture
async def link(demo: Demo) -> AsyncIterator[Link]:
    connected = await demo.dial()
    yield connected
    await connected.close()


async def ask(link: Link, command: str, timeout_s: float = 20) -> tuple[int | None, bytes, bytes]:
    result = await run(link, command, timeout_s=timeout_s, max_output_bytes=CAP)
    return result.exit_status, result.stdout, result.stderr


async def test_it_listens_on_loopback_only_as_the_current_user(demo: Demo) -> None:
    assert (demo.address.host, demo.address.username) == ("127.0.0.1", getpass.getuser())
    assert demo.address.port > 0


async def test_its_host_key_is_kept_for_its_owner_alone_and_stays_the_same(demo: Demo, key: Keypair) -> None:
    file = demo.data / "demo" / "host_key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((demo.data / "demo" / "home").stat().st_mode) == 0o700
    await demo.server.stop()
    again = DemoServer()
    address = await again.start(demo.data, key.public, port=demo.address.port)
    assert address == demo.address
    await again.stop()


async def test_only_the_given_key_gets_in_and_a_rotated_one_replaces_it(demo: Demo) -> None:
    other = Keypair.make()
    with pytest.raises(DialFailure) as caught:
        await demo.dial(other)
    assert caught.value.cause == "authentication"
    demo.server.authorize(other.public)
    await (await demo.dial(other)).close()
    with pytest.raises(DialFailure):
        await demo.dial()


async def test_commands_have_separate_streams_statuses_and_binary_output(link: Link) -> None:
    assert await ask(link, "echo out; echo err >&2; exit 9") == (9, b"out\n", b"err\n")
    assert await ask(link, r"printf '\377\000\376'; head -c 300000 /dev/zero") == (
        0,
        b"\xff\0\xfe" + bytes(300_000),
        b"",
    )
    assert await ask(link, "kill -TERM $$") == (143, b"", b"")
    assert await ask(link, "cat; echo end") == (0, b"end\n", b"")
    assert (await ask(link, "no-such-command"))[0] == 127


async def test_nothing_of_the_boxs_environment_reaches_its_shells(demo: Demo, link: Link) -> None:
    _, out, _ = await ask(link, "env")
    assert b"canary-7f3a" not in out
    assert b"CLAWDBOX" not in out
    assert f"HOME={demo.data}/demo/home\n".encode() in out
    _, out, _ = await ask(link, "pwd; cat README.txt")
    assert out.startswith(f"{demo.data}/demo/home\n".encode())
    assert b"demo server" in out


async def test_sixty_commands_at_once_all_answer(link: Link) -> None:
    answers = await asyncio.gather(*(ask(link, f"echo {i}", 60) for i in range(60)))
    assert [int(out) for _, out, _ in answers] == list(range(60))


async def test_its_terminal_is_real(link: Link) -> None:
    terminal = await link.open_terminal(90, 33)
    await terminal.write(b"tty; stty size; echo $TERM\n")
    seen = await read_until(terminal, rb"xterm-256color")
    assert b"/dev/pts/" in seen
    assert b"33 90" in seen
    terminal.resize(70, 20)
    mark = f"WIRE_TEST={uuid.uuid4().hex}"
    await terminal.write(f"stty size; env {mark} sleep 600\n".encode())
    await read_until(terminal, b"20 70")
    await eventually(lambda: processes_with(mark))
    await terminal.write(b"\x03")
    await eventually(lambda: not processes_with(mark))
    await terminal.write(b"exit 4\n")
    await rest(terminal)
    assert terminal.exit_status == 4


async def test_ten_megabytes_pass_through_its_terminal(link: Link) -> None:
    terminal = await link.open_terminal(80, 24)
    await terminal.write(b"stty -opost -echo; echo re''ady; head -c 10000000 /dev/zero | tr '\\0' x; exit\n")
    seen = (await read_until(terminal, rb"ready\n")).partition(b"ready\n")[2].count(b"x")
    while piece := await terminal.read():
        seen += piece.count(b"x")
    assert 10_000_000 <= seen < 10_001_000


async def test_a_paste_of_a_megabyte_arrives_in_its_terminal_and_in_a_command(demo: Demo, link: Link) -> None:
    terminal = await link.open_terminal(80, 24)
    await terminal.write(b"stty raw -echo; echo re''ady; head -c 1000000 | cksum; exit\n")
    await read_until(terminal, rb"ready")
    await asyncio.wait_for(terminal.write(b"y" * 1_000_000), 30)
    assert b" 1000000" in await rest(terminal)
    key = asyncssh.import_private_key(demo.key.private)
    async with asyncssh.connect(
        "127.0.0.1", demo.address.port, known_hosts=None, client_keys=[key], config=None, agent_path=None
    ) as plain:
        result = await plain.run("sleep 0.2; cksum", input=b"y" * 1_000_000, encoding=None)
        assert isinstance(result.stdout, bytes)
        assert b" 1000000" in result.stdout


async def test_a_stopped_command_is_gone(link: Link) -> None:
    mark = f"WIRE_TEST={uuid.uuid4().hex}"
    result = await run(link, f"env {mark} sleep 600; echo never", timeout_s=0.5, max_output_bytes=CAP)
    assert (result.timed_out, result.ended) == (True, True)
    await eventually(lambda: not processes_with(mark))


async def test_a_command_that_left_something_in_the_background_is_not_held_up(link: Link) -> None:
    assert await ask(link, "sleep 600 & echo done", 10) == (0, b"done\n", b"")


async def test_the_end_of_a_connection_ends_its_processes_even_detached_ones_of_its_sessions(
    demo: Demo,
) -> None:
    mark = f"WIRE_TEST={uuid.uuid4().hex}"
    link = await demo.dial()
    terminal = await link.open_terminal(80, 24)
    await terminal.write(f"env {mark} nohup sleep 600 & env {mark} sleep 600\n".encode())
    await eventually(lambda: len(processes_with(mark)) == 2)
    await link.close()
    await eventually(lambda: not processes_with(mark))


async def test_stopping_the_server_ends_connections_and_everything_that_ran(demo: Demo) -> None:
    mark = f"WIRE_TEST={uuid.uuid4().hex}"
    link = await demo.dial()
    lost: list[str] = []
    link.on_lost(lost.append)
    task = asyncio.ensure_future(
        run(link, f"env {mark} setsid sleep 600 & env {mark} sleep 600", timeout_s=60, max_output_bytes=CAP)
    )
    await eventually(lambda: len(processes_with(mark)) == 2)
    await demo.server.stop()
    await eventually(lambda: not processes_with(mark))
    assert (await task).lost
    assert lost
    with pytest.raises(DialFailure):
        await demo.dial()
    await link.close()


async def test_there_is_no_forwarding_and_no_file_transfer(demo: Demo) -> None:
    key = asyncssh.import_private_key(demo.key.private)
    async with asyncssh.connect(
        "127.0.0.1", demo.address.port, known_hosts=None, client_keys=[key], config=None, agent_path=None
    ) as plain:
        with pytest.raises(asyncssh.ChannelOpenError):
            await plain.open_connection("127.0.0.1", demo.address.port)
        with pytest.raises(asyncssh.ChannelListenError):
            await plain.forward_remote_port("127.0.0.1", 0, "127.0.0.1", 22)
        with pytest.raises(asyncssh.ChannelOpenError):
            await plain.start_sftp_client()


async def test_a_real_ssh_client_can_use_it(demo: Demo, tmp_path: Path) -> None:
    identity = tmp_path / "id"
    identity.touch(0o600)
    identity.write_bytes(demo.key.private)
    client = await asyncio.create_subprocess_exec(
        *[
            "ssh",
            "-F",
            "none",
            "-i",
            str(identity),
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "IdentityAgent=none",
        ],
        *["-o", f"UserKnownHostsFile={tmp_path}/known", "-p", str(demo.address.port), "anybody@127.0.0.1"],
        "echo hello; exit 6",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, _ = await asyncio.wait_for(client.communicate(), 20)
    assert (out, client.returncode) == (b"hello\n", 6)


async def test_the_event_loop_keeps_going_while_a_terminal_floods(link: Link) -> None:
    terminal = await link.open_terminal(80, 24)
    await terminal.write(b"cat /dev/zero | tr '\\0' x\n")
    await read_until(terminal, b"xxxx")
    loop = asyncio.get_running_loop()
    longest = 0.0
    for _ in range(50):
        begun = loop.time()
        await asyncio.sleep(0)
        longest = max(longest, loop.time() - begun)
        await terminal.read()
    assert longest < 2
    terminal.close()


async def use_everything(data: Path, key: Keypair) -> None:
    server = DemoServer()
    link = await Demo(server, await server.start(data, key.public), key, data).dial()
    assert await ask(link, "echo out; echo err >&2; exit 9") == (9, b"out\n", b"err\n")
    assert await ask(link, "kill -TERM $$") == (143, b"", b"")
    assert await ask(link, "sleep 600 & echo done", 10) == (0, b"done\n", b"")
    terminal = await link.open_terminal(90, 33)
    await terminal.write(b"tty; stty size; exit 4\n")
    seen = await rest(terminal)
    assert b"/dev/pts/" in seen
    assert b"33 90" in seen
    assert terminal.exit_status == 4
    mark = f"WIRE_TEST={uuid.uuid4().hex}"
    stopped = await run(link, f"env {mark} sleep 600", timeout_s=0.3, max_output_bytes=10)
    assert stopped.ended
    assert not processes_with(mark)
    await link.close()
    await server.stop()


def test_it_works_on_uvloop_which_starts_processes_in_another_way(tmp_path: Path, key: Keypair) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(use_everything(tmp_path, key))
