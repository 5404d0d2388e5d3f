"""Each tool over the control socket of a real box, and the same over OpenSSH's own master beside it.

The box is `clawdbox serve` with no `ssh` program on its PATH, or any other. The sshd is real, and so are the tools.
"""

import asyncio
import os
import shutil
import subprocess
import sys
from asyncio.subprocess import PIPE
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.cli.command import Served, clawdbox, environment
from tests.ssh.riding import Ride, begin, run
from tests.ssh.sshd import Sshd
from tests.waiting import eventually, eventually_sync

BINARY = bytes(range(256)) * 2048
ALL = {"exec": True, "pty": True, "forward": True, "proxy": True, "exit": True}
pytestmark = [pytest.mark.sshd, pytest.mark.xdist_group("control-tools")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    folder = tmp_path_factory.mktemp("tools")
    with Sshd(
        folder / "sshd", options={"AllowTcpForwarding": "yes", "AllowStreamLocalForwarding": "yes"}
    ) as running:
        yield running


class Tools:
    """One way of reaching the server, and what lets it begin anew after `-O exit` and `-O stop`."""

    def __init__(self, config: Path, host: str, again: Callable[[], None]) -> None:
        self.there = Ride(config, host)
        self.again = again


@pytest.fixture(scope="module", params=["box", "openssh"])
def tools(
    request: pytest.FixtureRequest, server: Sshd, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Tools]:
    folder = tmp_path_factory.mktemp(request.param)
    with (by_box if request.param == "box" else by_openssh)(folder, server) as found:
        yield found


@contextmanager
def by_box(folder: Path, server: Sshd) -> Iterator[Tools]:
    """`clawdbox ssh-config` says how. The box could start no program even if it wanted to."""
    (folder / "bin").mkdir()
    env = environment(PATH=str(folder / "bin"), CLAWDBOX_RATE_SESSION_START_PER_HOUR="1000")
    served = Served(folder / "box", "--allow-loopback", env=env).wait()
    try:
        token = clawdbox("token", "create", "--name", "tools", "--data-dir", folder / "box").stdout.strip()
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(
            base_url=f"{served.address}/api/v1", headers=headers, timeout=60, trust_env=False
        ) as api:
            server.authorize(api.get("/keys").json()["keypairs"][0]["public_key"])
            place = {"label": "My NAS", "host": server.host, "port": server.port, "username": server.username}
            connection = api.post("/connections", json=place).json()["connection"]["id"]
            shown = api.post(f"/connections/{connection}/test", json={}).json()["new_fingerprint"]
            accepted = {"accept_host_key": True, "fingerprint": shown}
            assert api.post(f"/connections/{connection}/test", json=accepted).status_code == 200
            assert api.patch(f"/connections/{connection}/control-socket", json=ALL).status_code == 200

            def again() -> None:
                if not api.get(f"/connections/{connection}/control-socket").json()["control_socket"][
                    "listening"
                ]:
                    assert api.post("/sessions", json={"connection_id": connection}).status_code == 201

            again()
            config = folder / "config"
            config.write_text(clawdbox("ssh-config", "--data-dir", folder / "box").stdout)
            yield Tools(config, "my-nas", again)
    finally:
        served.end()


@contextmanager
def by_openssh(folder: Path, server: Sshd) -> Iterator[Tools]:
    key = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    server.authorize(key.with_suffix(".pub").read_text())
    config = folder / "config"
    lines = [
        "Host openssh", f"HostName {server.host}", f"Port {server.port}", f"User {server.username}",
        f"ControlPath {folder}/m", "StrictHostKeyChecking no", "UserKnownHostsFile /dev/null", "LogLevel ERROR",
    ]  # fmt: skip
    config.write_text("\n".join(lines))
    with ExitStack() as masters:

        def again() -> None:
            if (
                subprocess.run(
                    ["ssh", "-F", config, "-O", "check", "openssh"], capture_output=True, check=False
                ).returncode
                == 0
            ):
                return
            command = ["ssh", "-F", str(config), "-o", f"IdentityFile {key}", "-N", "-M", "openssh"]
            master = masters.enter_context(subprocess.Popen(command, stdin=subprocess.DEVNULL))
            masters.callback(master.kill)  # in its poll it may miss a TERM
            eventually_sync((folder / "m").exists)

        again()
        yield Tools(config, "openssh", again)


@pytest.fixture
def there(tools: Tools) -> Ride:
    tools.again()
    return tools.there


def needs(program: str) -> str:
    found = shutil.which(program) or shutil.which(program, path=str(Path(sys.executable).parent))
    assert found, f"{program} is missing: `make test-deps` and `make setup-dev` install it"
    return found


async def test_ssh(there: Ride) -> None:
    assert await there("cat; echo err >&2; exit 5", stdin=BINARY) == (5, BINARY, b"err\n")


async def test_check(there: Ride) -> None:
    said = await there.control("check")
    assert (said.code, said.err.startswith(b"Master running (pid=")) == (0, True)


async def test_a_terminal_is_resized_when_ssh_hears_of_it(there: Ride) -> None:
    import fcntl
    import termios

    screen, tty = os.openpty()
    try:
        termios.tcsetwinsize(tty, (40, 100))
        process = await begin(
            *there.ssh, "-tt", there.host, "stty size; trap 'stty size' WINCH; echo ready; while :; do sleep 0.1; done",
            stdin=tty, stdout=tty, stderr=tty, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0) and None,
        )  # fmt: skip
        await seen(screen, b"40 100\r\nready")
        termios.tcsetwinsize(tty, (50, 120))
        await seen(screen, b"50 120")
        os.write(screen, b"\x03")
        assert await asyncio.wait_for(process.wait(), 20) in (130, 255)
    finally:
        os.close(screen)
        os.close(tty)


async def test_tilde_dot(there: Ride) -> None:
    screen, tty = os.openpty()
    try:
        process = await begin(*there.ssh, "-tt", there.host, stdin=tty, stdout=tty, stderr=tty)
        os.write(screen, b"echo re''ady\r")
        await seen(screen, b"ready\r\n")
        os.write(screen, b"\r~.")
        assert await asyncio.wait_for(process.wait(), 20) == 255
    finally:
        os.close(screen)
        os.close(tty)


async def test_a_stdio_forward(there: Ride, server: Sshd) -> None:
    process = await begin(*there.ssh, "-W", f"127.0.0.1:{server.port}", there.host, stdin=PIPE)
    assert process.stdout is not None
    assert process.stdin is not None
    assert (await asyncio.wait_for(process.stdout.readline(), 20)).startswith(b"SSH-2.0-OpenSSH")
    process.stdin.write(b"no ssh at all\r\n")
    assert b"Invalid SSH identification string" in await asyncio.wait_for(process.stdout.read(), 20)
    assert await asyncio.wait_for(process.wait(), 20) == 0


async def test_proxy_mode(there: Ride) -> None:
    for size in (0, 1, len(BINARY)):
        said = await run(
            *there.ssh, "-O", "proxy", there.host, "cat; echo err >&2; exit 6", stdin=BINARY[:size]
        )
        assert (said.code, said.out, said.err) == (6, BINARY[:size], b"err\n")


@pytest.mark.parametrize("kind", ["-L", "-D", "-R"])
async def test_a_forward_and_its_cancellation(there: Ride, server: Sshd, kind: str) -> None:
    port = free_port()
    spec = f"{port}" if kind == "-D" else f"{port}:127.0.0.1:{server.port}"
    assert (await there.control("forward", kind, spec)).code == 0
    proxy = ["--socks5-hostname", f"127.0.0.1:{port}", f"telnet://127.0.0.1:{server.port}"]
    way = proxy if kind == "-D" else [f"telnet://127.0.0.1:{port}"]
    said = await run(
        needs("curl"), "-s", "--noproxy", "" if kind == "-D" else "*", *way, stdin=b"x\r\n", timeout=30
    )
    assert said.out.startswith(b"SSH-2.0-OpenSSH")
    assert (await there.control("cancel", kind, spec)).code == 0
    again = await run(
        needs("curl"), "-s", "--noproxy", "*", f"telnet://127.0.0.1:{port}", stdin=b"x\r\n", timeout=30
    )
    assert again.code != 0


async def test_a_remote_forward_of_any_port_says_which(there: Ride, server: Sshd) -> None:
    said = await there.control("forward", "-R", f"0:127.0.0.1:{server.port}")
    assert (said.code, int(said.out) > 0) == (0, True)
    assert (await there.control("cancel", "-R", f"0:127.0.0.1:{server.port}")).code == 0


@pytest.mark.parametrize("protocol", ["-O", "-s"])
async def test_scp_in_both_protocols_and_directions(there: Ride, tmp_path: Path, protocol: str) -> None:
    (tmp_path / "here").write_bytes(BINARY)
    scp = ["scp", protocol, "-F", str(there.config)]
    assert (await run(*scp, tmp_path / "here", f"{there.host}:{tmp_path}/over-there")).code == 0
    assert (await run(*scp, f"{there.host}:{tmp_path}/over-there", tmp_path / "back")).code == 0
    assert (tmp_path / "back").read_bytes() == BINARY


async def test_sftp(there: Ride, tmp_path: Path) -> None:
    (tmp_path / "here").write_bytes(BINARY)
    batch = f"put {tmp_path}/here {tmp_path}/there\nget {tmp_path}/there {tmp_path}/back\n"
    assert (await run("sftp", "-F", there.config, "-b", "-", there.host, stdin=batch.encode())).code == 0
    assert (tmp_path / "back").read_bytes() == BINARY


async def test_rsync(there: Ride, tmp_path: Path) -> None:
    for name in ("a", "b", "deep/c"):
        (tmp_path / "from" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "from" / name).write_bytes(BINARY + name.encode())
    rsync = [needs("rsync"), "-a", "-e", f"ssh -F {there.config}"]
    assert (await run(*rsync, f"{tmp_path}/from/", f"{there.host}:{tmp_path}/over/")).code == 0
    said = await run(*rsync, f"{there.host}:{tmp_path}/over/", f"{tmp_path}/back/")
    assert said.code == 0, said.err
    assert (tmp_path / "back/deep/c").read_bytes() == BINARY + b"deep/c"


async def test_git_clones_and_pushes(there: Ride, tmp_path: Path) -> None:
    git = [
        needs("git"),
        "-c",
        "user.name=n",
        "-c",
        "user.email=n@example.org",
        "-c",
        "init.defaultBranch=main",
    ]
    env = {"GIT_SSH_COMMAND": f"ssh -F {there.config}", "GIT_CONFIG_GLOBAL": "/dev/null"}
    assert (await run(*git, "init", "-q", "--bare", tmp_path / "far.git")).code == 0
    said = await run(*git, "clone", "-q", f"{there.host}:{tmp_path}/far.git", tmp_path / "near", env=env)
    assert said.code == 0, said.err
    (tmp_path / "near/file").write_bytes(BINARY)
    at = ["-C", str(tmp_path / "near")]
    assert (await run(*git, *at, "add", "file")).code == 0
    assert (await run(*git, *at, "commit", "-q", "-m", "one")).code == 0
    said = await run(*git, *at, "push", "-q", "origin", "HEAD:main", env=env)
    assert said.code == 0, said.err
    said = await run(
        *git, "clone", "-q", "-b", "main", f"{there.host}:{tmp_path}/far.git", tmp_path / "again", env=env
    )
    assert (said.code, (tmp_path / "again/file").read_bytes()) == (0, BINARY)


async def test_ansible_pings_and_copies(there: Ride, tmp_path: Path) -> None:
    (tmp_path / "inventory").write_text(
        f"target ansible_host={there.host} ansible_ssh_common_args='-F {there.config}'"
        f" ansible_ssh_args='' ansible_python_interpreter=/usr/bin/python3 ansible_remote_tmp={tmp_path}/remote\n"
    )
    (tmp_path / "here").write_bytes(BINARY)
    ansible = [needs("ansible"), "target", "-i", str(tmp_path / "inventory")]
    env = {
        "ANSIBLE_HOME": str(tmp_path / "home"),
        "ANSIBLE_LOCAL_TEMP": str(tmp_path / "local"),
        "ANSIBLE_NOCOLOR": "1",
    }
    said = await run(*ansible, "-m", "ping", env=env, timeout=110)
    assert said.code == 0, said
    assert b'"pong"' in said.out
    said = await run(
        *ansible, "-m", "copy", "-a", f"src={tmp_path}/here dest={tmp_path}/there", env=env, timeout=110
    )
    assert said.code == 0, said
    assert (tmp_path / "there").read_bytes() == BINARY


async def test_stop_takes_no_new_client_and_keeps_the_old(tools: Tools) -> None:
    tools.again()
    there = tools.there
    process = await begin(*there.ssh, there.host, "echo begun; cat", stdin=PIPE)
    assert process.stdout is not None
    await process.stdout.readline()
    assert (await there.control("stop")).code == 0
    assert (await there.control("check")).code == 255
    out, _ = await process.communicate(b"on")
    assert (out, process.returncode) == (b"on", 0)


async def test_exit_ends_the_master(tools: Tools) -> None:
    tools.again()
    assert (await tools.there.control("exit")).code == 0

    async def gone() -> bool:
        return (await tools.there.control("check")).code == 255

    await eventually(gone)
    assert (await tools.there("true", options=("-o", "BatchMode=yes", "-o", "IdentityFile=none"))).code == 255


async def seen(screen: int, wanted: bytes) -> None:
    got = b""
    os.set_blocking(screen, False)

    def come() -> bool:
        nonlocal got
        try:
            got += os.read(screen, 65536)
        except BlockingIOError:
            return False
        return wanted in got

    await eventually(come, timeout=20, what=f"{wanted!r} in {got!r}")


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
