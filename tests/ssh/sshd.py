"""A real OpenSSH server on loopback, for tests: its own configuration, host keys and authorized_keys in one folder.

    with Sshd(folder) as server:
        server.authorize(public_key_text)
        ... server.port, server.username, server.fingerprint("ed25519")
        server.restart(new_host_keys=("ed25519",))

It runs as the current user, who is also the only one who can log in. Its shells get an empty home (`server.home`),
so that this user's own rc files neither slow the tests down nor are harmed when a test kills a shell. The fixture `sshd` is one such server.
"""

import contextlib
import getpass
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

_KEYGEN = {
    "ed25519": ["-t", "ed25519"],
    "rsa": ["-t", "rsa", "-b", "2048"],
    "ecdsa": ["-t", "ecdsa", "-b", "256"],
}
KEY_TYPES = {"ed25519": "ssh-ed25519", "rsa": "ssh-rsa", "ecdsa": "ecdsa-sha2-nistp256"}


def find_sshd() -> str | None:
    return shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin:" + os.environ.get("PATH", ""))


class Sshd:
    """Started by `start` or as a context manager; `options` are further lines of sshd_config, as a dict."""

    def __init__(
        self,
        folder: Path,
        *,
        host_keys: Sequence[str] = ("ed25519",),
        max_sessions: int = 10,
        max_auth_tries: int = 6,
        options: dict[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.host = "127.0.0.1"
        self.username = getpass.getuser()
        self.port = 0
        self._host_keys = tuple(host_keys)
        self._settings = {
            "MaxSessions": str(max_sessions),
            "MaxAuthTries": str(max_auth_tries),
            **(options or {}),
        }
        self._generation = 0
        self._process: subprocess.Popen[bytes] | None = None

    # Its life

    def start(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        self.home.mkdir(exist_ok=True)
        self._authorized.touch()
        with contextlib.suppress(PermissionError):
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # root's sshd will not start without it
        if not self._key_file(self._host_keys[0]).exists():
            self._make_host_keys()
        for _ in range(20):  # another process may take the port between our look and sshd's
            self.port = self.port or _free_port()
            if self._launch():
                return self
            self.port = 0
        raise RuntimeError(f"sshd did not start: {self.log()}")

    def stop(self) -> None:
        """Ends the listener and every connection, as a server that is switched off."""
        if self._process is None:
            return
        victims = _descendants(self._process.pid)
        self._process.terminate()
        self._process.wait(10)
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process = None

    def restart(self, *, new_host_keys: Sequence[str] | None = None) -> None:
        """The same port again; with `new_host_keys`, freshly made keys of these types."""
        self.stop()
        if new_host_keys is not None:
            self._host_keys = tuple(new_host_keys)
            self._generation += 1
        self.start()

    def kill_connections(self) -> None:
        """Kill the processes that serve connections, and leave the listener and the commands alone."""
        assert self._process is not None
        for pid in _descendants(self._process.pid):
            if _comm(pid).startswith("sshd"):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # What a test wants to know or change

    def authorize(self, public_key_text: str, options: str = "") -> None:
        """Let this key in; `options` as in authorized_keys, such as `command="…"`."""
        with self._authorized.open("a") as file:
            file.write(f"{options} {public_key_text.strip()}\n".lstrip())

    def deauthorize_all(self) -> None:
        self._authorized.write_text("")

    def authorized_keys(self) -> str:
        return self._authorized.read_text()

    def fingerprint(self, kind: str = "ed25519") -> str:
        out = subprocess.run(
            ["ssh-keygen", "-l", "-E", "sha256", "-f", self._key_file(kind)],
            check=True,
            capture_output=True,
            text=True,
        )
        return out.stdout.split()[1]

    def log(self) -> str:
        """sshd's own log, at LogLevel VERBOSE."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def login_attempts(self) -> int:
        """How often anybody tried to authenticate, in vain or not."""
        return len(
            re.findall(
                r"^(Accepted|Failed|Postponed|Connection (closed|reset) by authenticating)",
                self.log(),
                re.MULTILINE,
            )
        )

    # Inside

    @property
    def _authorized(self) -> Path:
        return self.folder / "authorized_keys"

    @property
    def _log(self) -> Path:
        return self.folder / "sshd.log"

    def _key_file(self, kind: str) -> Path:
        return self.folder / f"host_{kind}_{self._generation}"

    def _make_host_keys(self) -> None:
        for kind in self._host_keys:
            subprocess.run(
                ["ssh-keygen", "-q", *_KEYGEN[kind], "-N", "", "-C", "", "-f", self._key_file(kind)],
                check=True,
            )

    def _config(self) -> Path:
        lines = {
            "ListenAddress": f"{self.host}:{self.port}",
            "PidFile": "none",
            "UsePAM": "no",
            "StrictModes": "no",
            "UseDNS": "no",
            "AuthorizedKeysFile": str(self._authorized),
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "PermitRootLogin": "prohibit-password",
            "PrintMotd": "no",
            "PrintLastLog": "no",
            "AcceptEnv": "LANG LC_*",
            "LogLevel": "VERBOSE",
            "MaxStartups": "200",
            "Subsystem": "sftp internal-sftp",
            "SetEnv": f"HOME={self.home}",
            **self._settings,
        }
        keys = [f"HostKey {self._key_file(kind)}" for kind in self._host_keys]
        file = self.folder / "sshd_config"
        file.write_text("\n".join([*keys, *(f"{name} {value}" for name, value in lines.items()), ""]))
        return file

    def _launch(self) -> bool:
        program = find_sshd()
        assert program is not None, "install openssh-server"
        self._process = subprocess.Popen(
            [program, "-D", "-E", str(self._log), "-f", str(self._config())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 10
        while self._process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection((self.host, self.port), 1) as probe:
                if probe.recv(4) == b"SSH-":
                    return True
            time.sleep(0.02)
        self._process.kill()
        self._process.wait()
        self._process = None
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _comm(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _descendants(pid: int) -> list[int]:
    return list(_walk(pid, _children()))


def _children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                found.setdefault(parent, []).append(int(entry.name))
    return found


def _walk(pid: int, children: dict[int, list[int]]) -> Iterator[int]:
    for child in children.get(pid, []):
        yield child
        yield from _walk(child, children)


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    """A running server with an Ed25519 host key and nobody authorized yet."""
    with Sshd(tmp_path / "sshd") as server:
        yield server
