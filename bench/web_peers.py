"""The peers that `make bench` measures against: installed under .cache/bench, started as processes on loopback."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.ssh.sshd import Sshd

CACHE = Path(__file__).parents[1] / ".cache" / "bench"
WEBSSH = "webssh==1.6.3"
WETTY = "wetty@3.2.0"
_START_S = 20


class Missing(Exception):
    """A peer that cannot be had on this machine, and why."""


def webssh_program() -> Path:
    """Raises Missing."""
    folder = CACHE / WEBSSH
    program = folder / "bin" / "wssh"
    if not program.exists():
        _run([sys.executable, "-m", "venv", str(folder)])
        _run([str(folder / "bin" / "pip"), "install", "-q", WEBSSH])
    return program


def wetty_program() -> Path:
    """Raises Missing. Its terminal library is compiled here: npm runs no scripts of packages by itself."""
    folder = CACHE / WETTY
    program = folder / "node_modules" / "wetty" / "build" / "main.js"
    if not (folder / "node_modules" / "node-pty" / "build" / "Release" / "pty.node").exists():
        npm = shutil.which("npm")
        if npm is None:
            raise Missing("WeTTY needs Node.js with npm")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text("{}")
        _run([npm, "install", "--no-audit", "--no-fund", WETTY], folder)
        _run([npm, "rebuild", "node-pty"], folder)
    return program


def shellinabox_program() -> Path:
    """Raises Missing."""
    found = shutil.which("shellinaboxd", path="/usr/bin:/usr/sbin")
    if found is None:
        if os.getuid() != 0 or shutil.which("apt-get") is None:
            raise Missing("sudo apt-get install shellinabox")
        _run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "shellinabox"])
        found = shutil.which("shellinaboxd", path="/usr/bin:/usr/sbin")
    return Path(found or "shellinaboxd")


@contextmanager
def webssh() -> Iterator[str]:
    port = _free_port()
    argv = [
        str(webssh_program()),
        "--address=127.0.0.1",
        f"--port={port}",
        "--policy=autoadd",
        "--xsrf=False",
    ]
    with _serving([*argv, "--fbidhttp=False", "--maxconn=100"], port) as address:
        yield address


@contextmanager
def wetty(server: Sshd, key: Path) -> Iterator[str]:
    port = _free_port()
    node = shutil.which("node") or "node"
    argv = [
        node,
        str(wetty_program()),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--base",
        "/wetty",
        "--force-ssh",
    ]
    ssh = ["--ssh-host", server.host, "--ssh-port", str(server.port), "--ssh-user", server.username]
    with _serving([*argv, *ssh, "--ssh-auth", "publickey", "--ssh-key", str(key)], port) as address:
        yield address


@contextmanager
def shellinabox(server: Sshd, key: Path) -> Iterator[str]:
    port = _free_port()
    ssh = (
        f"ssh -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
        f" -i {key} -p {server.port} {server.username}@{server.host}"
    )
    service = f"/:{server.username}:{server.username}:/:{ssh}"
    argv = [str(shellinabox_program()), "-t", "-q", "--localhost-only", "-p", str(port), "-s", service]
    with _serving([*argv, f"--user={server.username}", "--group=root"], port) as address:
        yield address


@contextmanager
def _serving(argv: list[str], port: int) -> Iterator[str]:
    log = CACHE / f"{Path(argv[0]).name}.log"
    with log.open("wb") as out, subprocess.Popen(argv, stdout=out, stderr=out, cwd=CACHE) as process:
        try:
            _await_port(process, port, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)
            process.kill()


def _await_port(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise Missing(f"it did not start: {log.read_text(errors='replace')[-300:]}")


def _run(argv: list[str], folder: Path | None = None) -> None:
    """Raises Missing."""
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Missing(f"{' '.join(argv[:3])}… failed: {(done.stderr or done.stdout)[-300:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
