"""A terminal is recorded, played and deleted, as a person does it on a phone; and what a server wrote stays harmless."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.cli.command import Served
from tests.e2e.phone import WAIT_MS, Phone, pairing_link
from tests.e2e.test_main_job import printed_link
from tests.ssh.sshd import Sshd

pytestmark = [pytest.mark.browser, pytest.mark.sshd]
RED_BAR = "recording-bar"


def test_a_terminal_is_recorded_stopped_played_renamed_downloaded_and_deleted(
    box: Served, phone: Phone, server: Sshd, chromium: Browser, tmp_path: Path
) -> None:
    page = phone.page
    phone.pair(printed_link(box))
    phone.add(server, "nas")
    phone.start_session()
    phone.open_terminal()
    session = page.url
    phone.tap("Record this terminal")
    bar = page.get_by_test_id(RED_BAR)
    expect(bar).to_contain_text("Recording", timeout=WAIT_MS)
    phone.type("printf '\\033]0;owned\\007\\033]52;c;b3duZWQ=\\007'; echo shown-$((40+2))")
    phone.terminal_shows("shown-42")
    with Phone.held(chromium, box.address) as tablet:
        tablet.pair(pairing_link(box))
        tablet.page.goto(session)
        tablet.page.get_by_role("tab", name=re.compile("Terminal")).tap()
        expect(tablet.page.get_by_test_id(RED_BAR)).to_be_visible(timeout=WAIT_MS)
        assert tablet.problems == []
    phone.type("read -rs it; echo got-${#it}")
    phone.type("hush-hush")
    phone.terminal_shows("got-9")
    bar.get_by_role("button", name="Stop").tap()
    expect(bar).to_have_count(0, timeout=WAIT_MS)

    phone.tap("Tools")
    page.get_by_role("link", name=re.compile("^Recordings")).tap()
    page.get_by_role("list", name="Recordings").get_by_role("link").first.tap()
    player = page.get_by_test_id("player")
    expect(player).to_have_attribute("data-ready", "true", timeout=WAIT_MS)
    page.get_by_label("Skip silence").set_checked(True)
    page.get_by_label("Speed").select_option("8")
    phone.tap("Play")
    expect(player.locator(".xterm-rows")).to_contain_text("got-9", timeout=WAIT_MS)
    expect(player.locator(".xterm-rows")).to_contain_text("shown-42")
    expect(phone.button("Play")).to_be_visible(timeout=WAIT_MS)
    assert "owned" not in page.title()
    page.get_by_label("Position").focus()
    page.keyboard.press("Home")
    expect(player.locator(".xterm-rows")).not_to_contain_text("shown-42", timeout=WAIT_MS)
    page.keyboard.press("End")
    expect(player.locator(".xterm-rows")).to_contain_text("shown-42", timeout=WAIT_MS)
    phone.tap("Text")
    expect(page.get_by_role("dialog")).to_contain_text("got-9")
    phone.tap("Close dialog")

    with page.expect_download() as download:
        page.get_by_role("link", name="Download").tap()
    path = tmp_path / download.value.suggested_filename
    assert path.suffix == ".cast"
    download.value.save_as(path)
    assert json.loads(path.read_text().splitlines()[0])["version"] == 2
    assert "hush-hush" not in path.read_text()
    done = subprocess.run(
        [sys.executable, "-m", "asciinema", "cat", str(path)],
        capture_output=True,
        timeout=60,
        check=True,
        env={"ASCIINEMA_CONFIG_HOME": str(tmp_path), "LC_ALL": "C.UTF-8"},
    )
    assert b"shown-42" in done.stdout

    phone.tap("Rename")
    page.get_by_label("Title").fill("Disk change")
    phone.tap("Save")
    expect(page.get_by_role("heading", name="Disk change", level=1)).to_be_visible(timeout=WAIT_MS)
    phone.tap("Delete…")
    phone.tap("Delete recording")
    expect(page.get_by_text("Nothing recorded yet")).to_be_visible(timeout=WAIT_MS)
    assert phone.problems == []


def test_a_server_that_is_always_recorded_says_so_and_cannot_be_stopped(
    box: Served, phone: Phone, server: Sshd
) -> None:
    page = phone.page
    phone.pair(printed_link(box))
    phone.add(server, "nas")
    page.goto(f"{box.address}/")
    page.get_by_text("nas", exact=True).first.tap()
    page.get_by_label("Record terminals").select_option("always")
    phone.sees("Saved. It holds for terminals that you open from now on.")
    phone.start_session()
    folder = Path(box.data_dir) / "recordings"
    folder.rename(folder.with_name("elsewhere"))
    phone.tap("New terminal")
    phone.sees("Terminals of this connection are always recorded, and now none can be")
    expect(page.get_by_test_id("terminal")).to_have_count(0)
    folder.with_name("elsewhere").rename(folder)
    phone.open_terminal()
    bar = page.get_by_test_id(RED_BAR)
    expect(bar).to_contain_text("as always on this server", timeout=WAIT_MS)
    expect(bar.get_by_role("button")).to_have_count(0)
    expect(phone.button("Record this terminal")).to_have_count(0)
    phone.type("echo first-$((1+1)); exit")
    expect(page.get_by_test_id("terminal-ended")).to_be_visible(timeout=WAIT_MS)
    expect(bar).to_have_count(0, timeout=WAIT_MS)
    page.goto(f"{box.address}/recordings")
    page.get_by_role("searchbox").fill("no such title")
    phone.sees("No title has “no such title” in it.")
    page.get_by_role("searchbox").fill("NA")
    page.get_by_role("list", name="Recordings").get_by_role("link").first.tap()
    player = page.get_by_test_id("player")
    expect(player).to_have_attribute("data-ready", "true", timeout=WAIT_MS)
    page.keyboard.press("End")
    expect(player.locator(".xterm-rows")).to_contain_text("first-2", timeout=WAIT_MS)
    page.keyboard.press("Home")
    page.keyboard.press(" ")
    expect(player).to_have_attribute("data-playing", "true", timeout=WAIT_MS)
    assert phone.problems == []
