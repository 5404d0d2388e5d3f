"""Terminals that outlive the phone, the box and each other's screens, as a person taps them."""

import re
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.cli.command import Served, environment
from tests.e2e.cut import Cable
from tests.e2e.phone import WAIT_MS, Phone
from tests.e2e.test_bad_days import all_text
from tests.e2e.test_main_job import printed_link
from tests.ssh.sshd import Sshd
from tests.waiting import eventually_sync

pytestmark = [pytest.mark.browser, pytest.mark.sshd]
FLOOD_MS = 75_000  # millions of lines through a busy machine


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sshd]:
    """Its tmux has a socket of this test's own."""
    home, sockets = tmp_path / "home", tmp_path / "tmux"
    home.mkdir()
    sockets.mkdir()
    with Sshd(tmp_path / "sshd", options={"SetEnv": f"HOME={home} TMUX_TMPDIR={sockets}"}) as running:
        yield running
    env = {"TMUX_TMPDIR": str(sockets), "PATH": "/usr/bin:/bin"}
    subprocess.run(["tmux", "-L", "clawdbox", "kill-server"], env=env, check=False, capture_output=True)


def open_kept(phone: Phone) -> None:
    phone.tap("Terminal options")
    phone.page.get_by_label("Keep alive on the server").check()
    phone.tap("Open terminal")
    attached(phone)


def attached(phone: Phone) -> None:
    expect(phone.page.locator("[data-testid=terminal]:visible")).to_have_attribute(
        "data-link", "open", timeout=WAIT_MS
    )


def test_a_kept_terminal_is_found_again_after_the_box_was_killed(
    tmp_path: Path, chromium: Browser, server: Sshd
) -> None:
    first = Served(tmp_path / "box", "--allow-loopback", "--show-pairing", env=environment()).wait()
    port = str(urlsplit(first.address).port)
    boxes = [first]
    try:
        with Phone.held(chromium, first.address) as phone:
            phone.pair(printed_link(first))
            phone.add(server, "nas")
            connection = phone.page.url
            phone.start_session()
            open_kept(phone)
            phone.type("seq -f 'line-%g.' 1 100; echo shell-$$-begins")
            phone.terminal_shows(re.compile(r"shell-\d+-begins"))
            shell = re.findall(r"shell-(\d+)-begins", phone.screen().inner_text())[-1]
            first.process.kill()
            first.process.wait()
            boxes.append(
                Served(tmp_path / "box", "--allow-loopback", "--port", port, env=environment()).wait()
            )
            phone.page.goto(connection)
            phone.sees("1 terminal waits on the server")
            phone.start_session()
            phone.tap("Go on")
            attached(phone)
            phone.terminal_shows(f"shell-{shell}-begins")
            phone.type("echo still-$$-here")
            phone.terminal_shows(f"still-{shell}-here")
            shown = all_text(phone)
            missing = [n for n in range(1, 101) if f"line-{n}." not in shown]
            assert missing == [], "its history came along"
            phone.tap("Close dialog")
            phone.tap("Close session")
            phone.sees("1 terminal stays")
            phone.page.get_by_role("dialog").get_by_role("button", name="Close session", exact=True).tap()
            expect(phone.page.get_by_test_id("session-over").filter(visible=True).first).to_be_visible(
                timeout=WAIT_MS
            )
    finally:
        for one in boxes:
            one.end()


def test_one_that_waits_on_the_server_is_ended_from_the_next_session(
    box: Served, phone: Phone, server: Sshd, tmp_path: Path
) -> None:
    phone.pair(printed_link(box))
    phone.add(server, "nas")
    connection = phone.page.url
    phone.start_session()
    open_kept(phone)
    phone.tap("Close session")
    phone.page.get_by_role("dialog").get_by_role("button", name="Close session", exact=True).tap()
    over = phone.page.get_by_test_id("session-over").filter(visible=True).first
    expect(over).to_be_visible(timeout=WAIT_MS)
    assert len(sessions(tmp_path)) == 1
    phone.page.goto(connection)
    phone.sees("or to end it")
    phone.start_session()
    phone.page.get_by_role("button", name=re.compile("End the terminal opened")).tap()
    phone.sees("End this terminal on the server?")
    phone.tap("End terminal")
    expect(phone.page.get_by_test_id("kept-terminals")).to_have_count(0, timeout=WAIT_MS)
    assert sessions(tmp_path) == []
    assert phone.problems == []


def sessions(tmp_path: Path) -> list[str]:
    """On the server."""
    env = {"TMUX_TMPDIR": str(tmp_path / "tmux"), "PATH": "/usr/bin:/bin"}
    command = ["tmux", "-L", "clawdbox", "ls", "-F", "#{session_name}"]
    return subprocess.run(command, env=env, check=False, capture_output=True, text=True).stdout.split()


_PULLED_DOWN = """() => {
  const target = document.querySelector('[data-testid=terminal] .screen')
  const at = (clientY) => [new Touch({ identifier: 1, target, clientX: 50, clientY })]
  for (const [type, y] of [['touchstart', 0], ['touchmove', 10_000_000]])
    target.dispatchEvent(new TouchEvent(type, { touches: at(y), bubbles: true, cancelable: true }))
}"""


def test_what_was_left_out_at_the_top_is_shown_when_asked_for(
    box: Served, phone: Phone, server: Sshd
) -> None:
    phone.pair(printed_link(box))
    phone.add(server, "nas")
    phone.start_session()
    phone.open_terminal()
    phone.type("x=$(printf 'x%.0s' $(seq 60)); seq -f \"line-%05g-$x\" 1 5000; echo en''d")
    phone.terminal_shows("end")
    phone.page.reload()
    attached(phone)
    phone.terminal_shows("end")
    expect(phone.button("Show earlier output")).to_have_count(0)
    phone.page.evaluate(_PULLED_DOWN)
    expect(phone.button("Show earlier output")).to_be_visible(timeout=WAIT_MS)
    assert "line-00001-" not in phone.screen().inner_text()
    phone.tap("Show earlier output")

    def first() -> bool:
        phone.page.evaluate(_PULLED_DOWN)
        return "line-00001-" in phone.screen().inner_text()

    eventually_sync(first, timeout=WAIT_MS / 1000, what="the first line")
    expect(phone.button("Show earlier output")).to_have_count(0)
    phone.type("echo still-$((1+1))-here")
    phone.terminal_shows("still-2-here")
    assert phone.problems == []


def test_two_devices_share_a_terminal_and_one_has_the_size(
    box: Served, phone: Phone, chromium: Browser, server: Sshd
) -> None:
    phone.pair(printed_link(box))
    link = phone.offers_pairing()
    phone.page.goto(box.address)
    phone.add(server, "nas")
    phone.start_session()
    phone.open_terminal()
    phone.type("stty size")
    phone.terminal_shows(re.compile(r"\d+ \d+"))
    with Phone.held(chromium, box.address) as desk:
        desk.page.set_viewport_size({"width": 1280, "height": 900})
        desk.pair(link)
        desk.page.goto(phone.page.url)
        attached(desk)
        pane = desk.page.locator("[data-testid=terminal]:visible")
        expect(pane).to_have_attribute("data-size", "theirs", timeout=WAIT_MS)
        desk.terminal_shows("stty size")
        desk.tap("Use my size")
        expect(pane).to_have_attribute("data-size", "yours", timeout=WAIT_MS)
        phone.sees(re.compile("In the size of .*Chrom"))
        desk.type("stty size")
        desk.terminal_shows(re.compile(r"\d+ 1\d\d"))
        phone.type("echo the-phone-$((1+1))-types")
        desk.terminal_shows("the-phone-2-types")
        expect(pane).to_have_attribute("data-size", "theirs", timeout=WAIT_MS)
        desk.tap("Watch")
        expect(desk.page.get_by_test_id("terminal-watching")).to_be_visible(timeout=WAIT_MS)
        desk.type("echo nobody-types-$((1+1))-this")
        phone.type("echo la''st")
        desk.terminal_shows("last")
        desk.sees(re.compile("Watching, in the size of .*Chrom"))
        assert "nobody-types" not in desk.screen().inner_text()
        desk.tap("Type here")
        attached(desk)
        desk.type("echo desk-$((2+2))-again")
        phone.terminal_shows("desk-4-again")
        assert desk.problems == []
    assert phone.problems == []


def test_a_phone_asleep_in_a_flood_sees_the_end_and_a_marker_for_what_it_skipped(
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
        phone.type("echo go-$((1+1)); sleep 1; seq 1 2000000; echo all-$((1+1))-there")
        phone.terminal_shows("go-2")
        cable.pull()
        phone.page.evaluate("() => window.dispatchEvent(new Event('offline'))")
        phone.type("echo x >> ~/typed; echo n=$(wc -l < ~/typed).")
        cable.plug()
        phone.page.evaluate("() => window.dispatchEvent(new Event('online'))")
        expect(phone.screen()).to_contain_text("n=1.", timeout=FLOOD_MS)
        shown = all_text(phone)
        numbers = [int(line) for line in shown.split() if line.isdecimal()]
        assert numbers[-1] == 2_000_000
        assert len(numbers) > 300
        jumps = sum(after != before + 1 for before, after in pairwise(numbers))
        assert jumps <= len(re.findall("skipped here|missing here", shown)), "a hole has its marker"
        assert phone.problems == []
