"""What tests of several rooms share: a hand-turned clock, a real store, a real box, and a world with a real server."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from clawdbox.app import Box
from clawdbox.settings import Settings
from clawdbox.store import Store
from clawdbox.store.migrate import migrate
from tests.clocks import HandClock
from tests.ssh.sshd import Sshd
from tests.ssh.world import World

# How long one example takes says more of the machine than of the code.
settings.register_profile("box", deadline=None)
settings.load_profile("box")


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def store(tmp_path: Path, clock: HandClock) -> AsyncIterator[Store]:
    """A migrated database in a folder of its own."""
    migrate(tmp_path / "test.db", clock.now())
    opened = Store.open(tmp_path / "test.db", clock)
    yield opened
    await opened.close()


@pytest.fixture
async def box(tmp_path: Path, clock: HandClock) -> AsyncIterator[Box]:
    """A running box with its real store, vault and jobs; loopback is allowed, since test servers live there."""
    made = Box(tmp_path / "box", Settings(allow_loopback=True), clock)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sshd]:
    """An OpenSSH server whose logins get a home of their own: this machine's rc files stay out of it."""
    home = tmp_path / "home"
    home.mkdir()
    with Sshd(tmp_path / "server", options={"SetEnv": f"HOME={home}"}) as running:
        yield running


@pytest.fixture
async def world(box: Box, clock: HandClock, server: Sshd) -> World:
    """A box that knows a server which lets its key in; nothing was tested yet."""
    return await World.meet(box, clock, server)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """A short name for a long value: pytest hands a test's whole name to every process that the test starts."""
    return f"{argname}-of-{len(val)}" if isinstance(val, str | bytes) and len(val) > 80 else None
