"""What a phone meets: a network that goes away, a box that is killed, a key that is revoked under it."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.cli.command import Served, environment
from tests.e2e.cut import Cable
from tests.e2e.phone import WAIT_MS, Phone
from tests.e2e.test_main_job import printed_link
from tests.ssh.sshd import Sshd

pytestmark = [pytest.mark.browser, pytest.mark.sshd]
LINES = 400


def test_a_pulled_cable_loses_no_line_of_a_terminal_and_types_nothing_twice(
    box: Served, chromium: Browser, server: Sshd
) -> None:
    code = urlsplit(printed_link(box)).fragment
    port = urlsplit(box.address).port
    assert port
    with Cable(port) as cable, Phone.held(chromium, f"http://127.0.0.1:{cable.port}") as phone:
        phone.pair(f"{phone.address}/pair#{code}")
        phone.add(server, "nas")
        phone.start_session()
        phone.open_terminal()
        phone.type(f"for i in $(seq {LINES}); do echo line-$i-; sleep 0.02; done; echo all-$((1+1))-there")
        phone.terminal_shows("line-30-")
        cable.pull()
        phone.page.evaluate("() => window.dispatchEvent(new Event('offline'))")
        phone.type("echo typed-$((3+4))-once")  # into a connection that is dead and does not know it
        cable.plug()
        phone.page.evaluate("() => window.dispatchEvent(new Event('online'))")
        phone.terminal_shows("all-2-there")
        phone.terminal_shows("typed-7-once")
        shown = all_text(phone)
        missing = [number for number in range(1, LINES + 1) if f"line-{number}-" not in shown]
        assert missing == []
        assert len(re.findall(r"^typed-7-once", shown, re.MULTILINE)) == 1
        assert phone.problems == []


def test_after_a_kill_the_page_says_that_the_session_ended_and_offers_a_new_one(
    tmp_path: Path, chromium: Browser, server: Sshd
) -> None:
    first = Served(tmp_path / "box", "--allow-loopback", "--show-pairing", env=environment()).wait()
    port = str(urlsplit(first.address).port)
    boxes = [first]
    try:
        with Phone.held(chromium, first.address) as phone:
            phone.pair(printed_link(first))
            phone.add(server, "nas")
            phone.start_session()
            phone.say("$ echo before; sleep 300")
            expect(phone.command()).to_contain_text("before", timeout=WAIT_MS)
            first.process.kill()
            first.process.wait()
            phone.sees(re.compile("[Rr]econnecting|[Cc]onnecting|reach"))
            boxes.append(
                Served(tmp_path / "box", "--allow-loopback", "--port", port, env=environment()).wait()
            )
            expect(phone.page.get_by_test_id("session-over").filter(visible=True).first).to_be_visible(
                timeout=60_000
            )
            expect(phone.command()).to_have_attribute("data-state", "lost", timeout=WAIT_MS)
            phone.tap("Start a new session")
            phone.sees("Server connected")
    finally:
        for one in boxes:
            one.end()


def test_signing_a_device_out_closes_its_page(box: Served, phone: Phone, chromium: Browser) -> None:
    phone.pair(printed_link(box))
    link = phone.offers_pairing()
    with Phone.held(chromium, box.address) as lost:
        lost.pair(link)
        phone.page.goto(f"{box.address}/settings")
        phone.page.get_by_test_id("login").get_by_role("button", name=re.compile("^Sign out")).first.tap()
        phone.page.get_by_role("dialog").get_by_role("button", name="Sign out", exact=True).tap()
        expect(lost.page).to_have_url(re.compile("/pair"), timeout=WAIT_MS)


def all_text(phone: Phone) -> str:
    """Everything the terminal holds, scrolled out of sight or not, by its own `Text` button."""
    phone.tap("Text")
    dialog = phone.page.get_by_role("dialog")
    expect(dialog).to_be_visible(timeout=WAIT_MS)
    return dialog.locator("pre").inner_text()
