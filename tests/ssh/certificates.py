"""Certificates made by the real `ssh-keygen`, as an authority at home does it."""

import subprocess
from pathlib import Path

from tests.ssh.sshd import Sshd


class Authority:
    """A key that signs host keys."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self.file = folder / name
        folder.mkdir(parents=True, exist_ok=True)
        keygen("-q", "-t", "ed25519", "-N", "", "-C", "home-ca", "-f", str(self.file))

    @property
    def public(self) -> str:
        return self.file.with_suffix(".pub").read_text().strip()

    @property
    def fingerprint(self) -> str:
        return keygen("-l", "-E", "sha256", "-f", str(self.file)).split()[1]

    def certify(
        self, server: Sshd, *, names: str = "127.0.0.1", valid: str = "-1d:+1d", host: bool = True
    ) -> None:
        """Sign the server's Ed25519 host key, and restart it with that certificate."""
        key = server._key_file("ed25519")
        kind = ["-h"] if host else []
        who = ["-n", names] if names else []
        public = f"{key}.pub"
        keygen("-q", "-s", str(self.file), "-I", "a server", *kind, *who, "-V", valid, public)
        server._settings["HostCertificate"] = f"{key}-cert.pub"
        server.restart()


def keygen(*args: str) -> str:
    return subprocess.run(["ssh-keygen", *args], check=True, capture_output=True, text=True).stdout


def public_key_of(server: Sshd) -> str:
    return Path(f"{server._key_file('ed25519')}.pub").read_text()
