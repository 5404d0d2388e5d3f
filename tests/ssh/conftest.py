"""What the tests of the wire share: a key of our own, and a link to a real OpenSSH server."""

from collections.abc import AsyncIterator

import pytest

from clawdbox.ssh.wire.dial import dial
from clawdbox.ssh.wire.link import Link
from tests.ssh.keys import Keypair, pin_of, target_of
from tests.ssh.sshd import Sshd, sshd

__all__ = ["key", "link", "sshd"]


@pytest.fixture
def key() -> Keypair:
    return Keypair.make()


@pytest.fixture
async def link(sshd: Sshd, key: Keypair) -> AsyncIterator[Link]:
    sshd.authorize(key.public)
    connected = await dial(target_of(sshd), pin_of(sshd), key.private)
    yield connected
    await connected.close()
