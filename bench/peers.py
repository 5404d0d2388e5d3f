"""The peers of the SSH sections: OpenSSH's own client, and paramiko from requirements/bench.txt."""

import contextlib
import json
import os
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.ssh.keys import Keypair
from tests.ssh.sshd import Sshd

ROOT = Path(__file__).parent.parent
_VENV = ROOT / ".cache" / "bench" / "venv"
_LOCK = ROOT / "requirements" / "bench.txt"


def peers_python() -> str:
    """The Python of the virtual environment with the peers, made when it is missing or its lock has changed."""
    python, stamp = _VENV / "bin" / "python", _VENV / "lock"
    if not stamp.exists() or stamp.read_bytes() != _LOCK.read_bytes():
        print("Installing the peers", file=sys.stderr)
        venv.create(_VENV, with_pip=True, clear=True)
        pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes"]
        subprocess.run([*pip, "-r", str(_LOCK)], check=True)
        stamp.write_bytes(_LOCK.read_bytes())
    return str(python)


def key_for(server: Sshd, work: Path) -> tuple[Keypair, Path]:
    """A key that the server lets in, in memory and as the file that the peers need."""
    key, file = Keypair.make(), work / "peer_key"
    file.write_bytes(key.private)
    file.chmod(0o600)
    server.authorize(key.public)
    return key, file


class OpenSsh:
    """`ssh` with nothing of this user's own configuration."""

    def __init__(self, port: int, username: str, key: Path, work: Path) -> None:
        settings = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR",
                    "IdentitiesOnly=yes", "Ciphers=aes128-gcm@openssh.com")  # fmt: skip
        self._words = ["-F", "/dev/null", "-i", str(key), "-p", str(port), "-l", username]
        self._words += [word for setting in settings for word in ("-o", setting)]
        self._socket = str(work / f"s{port}")

    def cold(self, command: str) -> float:
        """Seconds of a connection made for one command."""
        return _spawned(["ssh", "-n", "-S", "none", *self._words, "127.0.0.1", command])

    def warm(self, command: str) -> float:
        """Seconds of a command through the master."""
        return _spawned(["ssh", "-n", "-S", self._socket, *self._words, "127.0.0.1", command])

    def sftp(self, order: str) -> float:
        """Seconds of one order (`put a b`) through the master."""
        argv = ["sftp", "-q", "-b", "-", "-o", f"ControlPath={self._socket}", "-F", "/dev/null", "127.0.0.1"]
        begun = time.perf_counter()
        subprocess.run(argv, input=order.encode(), check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - begun

    @contextlib.contextmanager
    def master(self) -> Iterator[None]:
        subprocess.run(
            ["ssh", "-f", "-N", "-M", "-S", self._socket, *self._words, "127.0.0.1"],
            check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield
        finally:
            subprocess.run(
                ["ssh", "-S", self._socket, "-O", "exit", "127.0.0.1"], check=False, capture_output=True
            )


def _spawned(argv: list[str]) -> float:
    """Seconds from the start of a program to its end, its output thrown away. posix_spawn costs less than subprocess,
    so that the peer does not pay for Python."""
    silent = [
        (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    begun = time.perf_counter()
    pid = os.posix_spawnp(argv[0], argv, os.environ, file_actions=silent)
    _, status = os.waitpid(pid, 0)
    seconds = time.perf_counter() - begun
    if status:
        raise RuntimeError(f"{' '.join(argv[:3])} … ended with {os.waitstatus_to_exitcode(status)}")
    return seconds


class Paramiko:
    """A warm connection in a process of its own, which measures itself."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def exec(self, command: str) -> float:
        return float(self._ask({"exec": command})["s"])

    def bulk(self, command: str) -> tuple[float, int]:
        """Seconds, and how many bytes came."""
        answer = self._ask({"bulk": command})
        return float(answer["s"]), int(answer["bytes"])

    def _ask(self, order: dict[str, str]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@contextlib.contextmanager
def paramiko(port: int, username: str, key: Path) -> Iterator[Paramiko]:
    argv = [peers_python(), str(ROOT / "bench" / "peer_paramiko.py"), str(port), username, str(key)]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            if json.loads(process.stdout.readline() or "null") != "ready":
                raise RuntimeError("paramiko did not connect")
            yield Paramiko(process)
        finally:
            process.kill()


@contextlib.contextmanager
def side_process(module: str, *args: str) -> Iterator[int]:
    """The port that a module of the bench prints, while it runs as a process of its own."""
    argv = [sys.executable, "-m", module, *args]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()
