"""A box that waits for its passphrase is opened from a phone."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser

from clawdbox.app import Box
from clawdbox.settings import Settings
from clawdbox.vault import SlotType
from tests.cli.command import Served
from tests.e2e.phone import Phone
from tests.waiting import eventually_sync

PASSPHRASE = "correct horse battery staple"

pytestmark = [pytest.mark.browser, pytest.mark.long]


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Served]:
    async def make() -> None:
        async with Box.offline(tmp_path / "box", Settings()) as box:
            box.keyring.set_passphrase(PASSPHRASE)
            box.keyring.remove_slot(SlotType.HOST)

    asyncio.run(make())
    served = Served(tmp_path / "box").wait()
    yield served
    served.end()


def is_open(box: Served) -> bool:
    with contextlib.suppress(httpx.HTTPError, AssertionError):
        return bool(httpx.get(f"{box.address}/health").json()["status"] == "ok")
    return False


def test_a_wrong_passphrase_is_told_and_the_right_one_leads_to_the_app(
    locked: Served, chromium: Browser
) -> None:
    with Phone.held(chromium, locked.address) as phone:
        phone.page.goto(f"{locked.address}/connections")
        phone.page.get_by_label("Passphrase").fill("wrong horse battery staple")
        phone.tap("Unlock")
        phone.sees("This passphrase does not open the keyring.")
        phone.page.get_by_label("Passphrase").fill(PASSPHRASE)
        phone.tap("Unlock")
        phone.sees("The passphrase is right.")
        eventually_sync(lambda: is_open(locked), timeout=60, what="the box")
        phone.sees("clawdbox pair")
        assert phone.problems == []
