"""What the tests of the web share: a box on a free port, and a real OpenSSH server for it to enter."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import uvloop

from tests.ssh.sshd import sshd
from tests.web.served import Client, Make, Served, maker

__all__ = ["sshd"]


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that a box runs on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    async with maker(tmp_path) as make:
        yield make


@pytest.fixture
async def served(make: Make) -> Served:
    return await make(allow_loopback=True)


@pytest.fixture
async def phone(served: Served) -> Client:
    return await served.browser()


@pytest.fixture
async def script(served: Served) -> Client:
    return await served.script()


@pytest.fixture
async def stranger(served: Served) -> Client:
    return await served.stranger()
