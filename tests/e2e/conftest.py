"""A real box, a real OpenSSH server and a real Chromium of a phone's size."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright, sync_playwright

from tests.cli.command import Served, environment
from tests.e2e.phone import Phone
from tests.ssh.sshd import Sshd

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Without these, Chromium talks to its maker's servers at every start.
_QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def find_browser() -> str:
    found = os.environ.get("CLAWDBOX_TEST_BROWSER") or next(filter(None, map(shutil.which, _BROWSERS)), None)
    assert found, "No Chromium: `make test-deps` installs it, or says how."
    return found


@pytest.fixture
def chromium() -> Iterator[Browser]:
    """For one test: while Playwright lives, its event loop runs in this thread, and no async test could."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


def launch(playwright: Playwright, *more: str) -> Browser:
    return playwright.chromium.launch(executable_path=find_browser(), args=[*_QUIET, *more])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sshd]:
    with Sshd(tmp_path / "sshd") as running:
        yield running


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Served]:
    env = environment(CLAWDBOX_RATE_TEST_PER_MINUTE="100")
    served = Served(tmp_path / "box", "--allow-loopback", "--show-pairing", env=env).wait()
    yield served
    served.end()


@pytest.fixture
def phone(chromium: Browser, box: Served) -> Iterator[Phone]:
    with Phone.held(chromium, box.address) as held:
        yield held
