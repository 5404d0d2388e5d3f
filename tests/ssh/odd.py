"""Small SSH servers that people really run, dropbear and tinysshd, with the face of `Sshd` that a `World` needs.

Both read the authorized keys of the user's own home, which no test may touch: libnss_wrapper tells them another one.
"""

import getpass
import os
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

from tests.ssh.sshd import Sshd

_SBIN = "/usr/sbin:/usr/bin:/usr/local/sbin"


def find(program: str) -> str:
    found = shutil.which(program, path=_SBIN)
    assert found, f"{program} is missing: sh packaging/test-deps.sh names its package"
    return found


def _wrapper() -> str:
    found = next((str(path) for path in Path("/usr/lib").glob("**/libnss_wrapper.so*")), None)
    assert found, "libnss-wrapper is missing: sh packaging/test-deps.sh installs it"
    return found


class OddServer(Sshd):
    """`argv` is the program that answers on `port`; what an `Sshd` does with its log and keys is not offered."""

    def start(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.home.mkdir(exist_ok=True, mode=0o700)
        (self.home / ".ssh").mkdir(exist_ok=True, mode=0o700)
        self._authorized.touch(mode=0o600)
        self.prepare()
        with socket.socket() as probe:
            probe.bind((self.host, 0))
            self.port = self.port or int(probe.getsockname()[1])
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self.argv(), env=self._env(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log
            )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(OSError), socket.create_connection((self.host, self.port), 1) as probe:
                if probe.recv(4) == b"SSH-":
                    return self
            time.sleep(0.02)
        raise RuntimeError(f"it did not start: {self.log()}")

    def prepare(self) -> None:
        raise NotImplementedError

    def argv(self) -> list[str]:
        raise NotImplementedError

    @property
    def _authorized(self) -> Path:
        return self.home / ".ssh" / "authorized_keys"

    def _env(self) -> dict[str, str]:
        user, uid, gid = getpass.getuser(), os.getuid(), os.getgid()
        passwd, group = self.folder / "passwd", self.folder / "group"
        passwd.write_text(f"{user}:x:{uid}:{gid}::{self.home}:/bin/sh\n")
        group.write_text(f"{user}:x:{gid}:\n")
        return {
            "PATH": os.environ["PATH"],
            "LD_PRELOAD": _wrapper(),
            "NSS_WRAPPER_PASSWD": str(passwd),
            "NSS_WRAPPER_GROUP": str(group),
        }


class Dropbear(OddServer):
    def prepare(self) -> None:
        key = self.folder / "host_key"
        if not key.exists():
            subprocess.run([find("dropbearkey"), "-t", "ed25519", "-f", key], check=True, capture_output=True)

    def argv(self) -> list[str]:
        key = str(self.folder / "host_key")
        return [
            find("dropbear"),
            "-F",
            "-E",
            "-s",
            "-m",
            "-r",
            key,
            "-p",
            f"{self.host}:{self.port}",
            "-P",
            "none",
        ]


class Tinysshd(OddServer):
    """Started for each connection, as inetd would, by a line of Python."""

    def prepare(self) -> None:
        keys = self.folder / "keys"
        if not keys.exists():
            subprocess.run([find("tinysshd-makekey"), "-q", keys], check=True, capture_output=True)

    def argv(self) -> list[str]:
        listen = (
            "import socket,subprocess,sys\n"
            f"s=socket.create_server(({self.host!r},{self.port}))\n"
            "while 1:\n"
            " c,_=s.accept()\n"
            " subprocess.Popen(sys.argv[1:],stdin=c,stdout=c)\n"
            " c.close()"
        )
        return ["/usr/bin/env", "python3", "-c", listen, find("tinysshd"), "-v", str(self.folder / "keys")]
