"""A running `clawdbox serve` whose clock is turned by a file, a real OpenSSH server, and a script's login."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command import Served, environment
from tests.serve.turned import Turned
from tests.ssh.sshd import Sshd


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sshd]:
    with Sshd(tmp_path / "sshd") as running:
        yield running


@pytest.fixture
def turned(tmp_path: Path) -> Iterator[Turned]:
    clock = tmp_path / "clock"
    clock.write_text("0")
    env = environment(
        CLAWDBOX_TEST_CLOCK=str(clock),
        CLAWDBOX_JANITOR_INTERVAL_S="0.2",
        CLAWDBOX_HEARTBEAT_INTERVAL_S="0.2",
    )
    served = Served(tmp_path / "box", "--allow-loopback", "--show-pairing", env=env).wait()
    box = Turned(served, clock)
    try:
        yield box
    finally:
        box.close()
        served.end()
