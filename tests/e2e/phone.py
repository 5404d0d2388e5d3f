"""A phone in a hand: a Chromium of 390×844 with touch, and what a person does with it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.cli.command import Served, clawdbox
from tests.ssh.sshd import Sshd

WAIT_MS = 30_000  # for a machine that is busy with other tests


class Phone:
    """`problems` collects whatever a browser's console complains of, refused requests aside."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.context = context
        self.address = address
        self.problems: list[str] = []
        self.page: Page = context.new_page()
        self.page.set_default_timeout(WAIT_MS)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", self._hear)

    @classmethod
    @contextmanager
    def held(cls, browser: Browser, address: str, **more: Any) -> Iterator[Self]:
        context = browser.new_context(
            viewport={"width": 390, "height": 844},
            has_touch=True,
            is_mobile=True,
            device_scale_factor=2,
            **more,
        )
        try:
            yield cls(context, address)
        finally:
            context.close()

    def _hear(self, message: Any) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.problems.append(message.text)

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def tap(self, name: str) -> None:
        self.button(name).first.tap()

    def sees(self, text: str | re.Pattern[str]) -> None:
        expect(self.page.get_by_text(text).first).to_be_visible(timeout=WAIT_MS)

    # what a person does

    def pair(self, link: str) -> None:
        self.page.goto(link)
        expect(self.page.get_by_role("heading", name="Connections", level=1)).to_be_visible(timeout=WAIT_MS)

    def offers_pairing(self) -> str:
        """Settings, 'Pair another device': the link it shows."""
        self.page.goto(f"{self.address}/settings")
        self.page.get_by_role("button", name=re.compile("Pair another")).first.tap()
        link = self.page.get_by_text(re.compile(r"http\S+/pair#\S+")).first
        expect(link).to_be_visible(timeout=WAIT_MS)
        found = re.search(r"http\S+/pair#\S+", link.inner_text())
        assert found
        return found.group()

    def add(self, server: Sshd, label: str) -> None:
        """'+', the form, the install command (done on the server by `authorize`), the host key, the green test."""
        self.page.get_by_role("link", name="Add connection").first.tap()
        self.page.get_by_label("Host").fill(server.host)
        self.page.get_by_label("User").fill(server.username)
        self.page.get_by_label("Port").fill(str(server.port))
        self.page.get_by_label("Label").fill(label)
        self.page.locator("form button[type=submit]").tap()
        command = self.page.locator("text=authorized_keys").first
        expect(command).to_be_visible(timeout=WAIT_MS)
        found = re.search(r"ssh-ed25519 \S+ [\w.-]+", command.inner_text())
        assert found, "the install command shows the public key"
        server.authorize(found.group())
        self.tap("Test")
        approval = self.page.get_by_test_id("host-key-approval")
        expect(approval).to_contain_text(server.fingerprint(), timeout=WAIT_MS)
        self.tap("Approve this key")
        self.sees("It works")

    def start_session(self) -> None:
        self.tap("Start session")
        self.sees("Server connected")

    def say(self, text: str) -> None:
        self.page.get_by_label("Message").fill(text)
        self.tap("Send")

    def command(self) -> Locator:
        """The newest command's block."""
        return self.page.get_by_test_id("command").last

    def open_terminal(self) -> None:
        self.tap("New terminal")
        expect(self.screen()).to_be_visible(timeout=WAIT_MS)
        expect(self.page.locator("[data-testid=terminal]:visible")).to_have_attribute(
            "data-link", "open", timeout=WAIT_MS
        )

    def screen(self) -> Locator:
        return self.page.locator("[data-testid=terminal]:visible .xterm-rows")

    def type(self, text: str) -> None:
        self.page.locator("[data-testid=terminal]:visible .xterm-helper-textarea").focus()
        self.page.keyboard.type(text)
        self.page.keyboard.press("Enter")

    def terminal_shows(self, text: str | re.Pattern[str]) -> None:
        expect(self.screen()).to_contain_text(text, timeout=WAIT_MS)


def pairing_link(box: Served) -> str:
    """A new link from `clawdbox pair`, which asks the running box."""
    found = re.search(r"http\S+/pair#\S+", clawdbox("pair", "--data-dir", box.data_dir).stdout)
    assert found
    return found.group()
