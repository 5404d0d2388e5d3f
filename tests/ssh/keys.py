"""Keys, targets and pins for tests of the wire."""

from typing import Self

import asyncssh
import msgspec

from clawdbox.ssh.wire.model import Pin, Target
from tests.ssh.sshd import KEY_TYPES, Sshd


class Keypair(msgspec.Struct, frozen=True):
    private: bytes
    public: str

    @classmethod
    def make(cls) -> Self:
        key = asyncssh.generate_private_key("ssh-ed25519")
        return cls(key.export_private_key(), key.export_public_key().decode().strip())


def target_of(server: Sshd) -> Target:
    return Target(server.host, server.port, server.username, allow_loopback=True)


def pin_of(server: Sshd, kind: str = "ed25519") -> Pin:
    return Pin(server.fingerprint(kind), KEY_TYPES[kind])


def local(port: int) -> Target:
    return Target("127.0.0.1", port, "somebody", allow_loopback=True)
