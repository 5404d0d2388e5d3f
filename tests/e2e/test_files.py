"""Files on a phone, as a person uses them: browse, upload, download, edit with somebody else, rename, delete."""

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.cli.command import Served
from tests.e2e.phone import WAIT_MS, Phone
from tests.e2e.test_main_job import printed_link
from tests.ssh.sshd import Sshd
from tests.waiting import eventually_sync

pytestmark = [pytest.mark.browser, pytest.mark.sshd]


@pytest.fixture
def files(box: Served, phone: Phone, server: Sshd) -> Phone:
    """The phone on the page of a session's files, in the server's home."""
    (server.home / "Documents").mkdir()
    (server.home / "Documents" / "deep.txt").write_text("deep")
    (server.home / "notes.txt").write_text("milk\nbread\n")
    (server.home / "photo.jpg").write_bytes(os.urandom(50_000))
    (server.home / ".profile").write_text("# hidden")
    (server.home / "shortcut").symlink_to("Documents")
    phone.pair(printed_link(box))
    phone.add(server, "Bob's NAS")
    phone.start_session()
    phone.tap("Tools")
    phone.page.get_by_role("link", name=re.compile("^Files")).tap()
    phone.page.get_by_role("heading", name="Files", level=1).wait_for()
    phone.page.goto(f"{phone.page.url.partition('#')[0]}#{server.home}")
    expect(row(phone, "notes.txt")).to_be_visible(timeout=WAIT_MS)
    return phone


def row(phone: Phone, name: str):  # type: ignore[no-untyped-def] # a Locator
    return phone.page.locator(f"[data-testid=file][data-name='{name}']")


def menu(phone: Phone, name: str, what: str) -> None:
    row(phone, name).get_by_role("button", name=re.compile("^More")).tap()
    dialog = phone.page.get_by_role("dialog")
    dialog.get_by_role("button", name=what).or_(dialog.get_by_role("link", name=what)).first.tap()


def test_nothing_on_the_page_is_wider_than_the_phone(files: Phone) -> None:
    menu(files, "notes.txt", "Permissions")
    files.page.get_by_label("As a number").wait_for()
    assert files.page.evaluate("document.documentElement.scrollWidth") == 390


def test_folders_are_walked_and_names_are_found(files: Phone) -> None:
    expect(row(files, ".profile")).to_have_count(0)
    files.page.get_by_label("Show hidden files").check()
    expect(row(files, ".profile")).to_be_visible()
    files.page.get_by_label("Filter names").fill("NOTE")
    expect(row(files, "photo.jpg")).to_have_count(0)
    expect(row(files, "notes.txt")).to_be_visible()
    files.page.get_by_label("Filter names").fill("")
    row(files, "shortcut").get_by_role("link").tap()
    expect(row(files, "deep.txt")).to_be_visible(timeout=WAIT_MS)
    files.page.go_back()
    expect(row(files, "Documents")).to_be_visible(timeout=WAIT_MS)
    assert files.problems == []


def test_a_file_goes_up_and_comes_down_byte_for_byte(files: Phone, server: Sshd, tmp_path: Path) -> None:
    data = os.urandom(9_000_000)
    sent = tmp_path / "holiday.mov"
    sent.write_bytes(data)
    files.page.get_by_label("Files to upload").set_input_files([sent])
    expect(files.page.get_by_test_id("uploads")).to_contain_text("1 of 1 done", timeout=60_000)
    assert (server.home / "holiday.mov").read_bytes() == data
    expect(row(files, "holiday.mov")).to_contain_text("9.0 MB", timeout=WAIT_MS)

    files.page.get_by_label("Files to upload").set_input_files([sent])
    files.sees("There is something of that name already")
    files.tap("Keep both")
    expect(row(files, "holiday (2).mov")).to_be_visible(timeout=60_000)

    with files.page.expect_download() as started:
        menu(files, "holiday.mov", "Download")
    download = started.value
    assert download.suggested_filename == "holiday.mov"
    assert Path(download.path()).read_bytes() == data
    assert files.problems == []


def test_an_upload_goes_on_after_the_network_was_gone(files: Phone, server: Sshd, tmp_path: Path) -> None:
    data = os.urandom(12_000_000)
    sent = tmp_path / "backup.tar"
    sent.write_bytes(data)
    cut: list[str] = []

    def cut_once(route) -> None:  # type: ignore[no-untyped-def] # a Route
        if not cut and "offset=0" not in route.request.url:
            cut.append(route.request.url)
            route.abort("internetdisconnected")
        else:
            route.continue_()

    files.page.route("**/files/uploads/*offset=*", cut_once)
    files.page.get_by_label("Files to upload").set_input_files([sent])
    expect(files.page.get_by_test_id("uploads")).to_contain_text("1 of 1 done", timeout=60_000)
    assert cut
    assert (server.home / "backup.tar").read_bytes() == data


def test_a_text_is_edited_and_somebody_elses_change_is_shown(files: Phone, server: Sshd) -> None:
    notes = server.home / "notes.txt"
    menu(files, "notes.txt", "Edit text")
    area = files.page.get_by_label("Text of notes.txt")
    expect(area).to_have_value("milk\nbread\n", timeout=WAIT_MS)
    area.fill("milk\nbread\nbutter\n")
    files.tap("Save")
    eventually_sync(lambda: notes.read_text() == "milk\nbread\nbutter\n")

    area.fill("mine\n")
    notes.write_text("milk\nbread\ntheirs\n")
    files.tap("Save")
    conflict = files.page.get_by_test_id("conflict")
    expect(conflict).to_contain_text("− theirs", timeout=WAIT_MS)
    expect(conflict).to_contain_text("+ mine")
    assert notes.read_text() == "milk\nbread\ntheirs\n"
    files.tap("Save mine over theirs")
    eventually_sync(lambda: notes.read_text() == "mine\n")

    area.fill("mine, not saved")
    files.page.get_by_role("link", name="Back").tap()
    menu(files, "notes.txt", "Edit text")
    expect(files.page.get_by_label("Text of notes.txt")).to_have_value("mine, not saved", timeout=WAIT_MS)
    assert notes.read_text() == "mine\n"


def test_things_are_made_renamed_given_permissions_and_deleted(files: Phone, server: Sshd) -> None:
    files.tap("New")
    files.page.get_by_label("Name", exact=True).fill("100% new")
    files.tap("Make folder")
    expect(row(files, "100% new")).to_be_visible(timeout=WAIT_MS)
    assert (server.home / "100% new").is_dir()

    menu(files, "photo.jpg", "Rename")
    files.page.get_by_label("New name").fill("cat.jpg")
    files.page.get_by_role("dialog").get_by_role("button", name="Rename").tap()
    expect(row(files, "cat.jpg")).to_be_visible(timeout=WAIT_MS)

    menu(files, "cat.jpg", "Permissions")
    files.page.get_by_label("Everyone: read").uncheck()
    files.tap("Set permissions")
    eventually_sync(lambda: (server.home / "cat.jpg").stat().st_mode & 0o777 == 0o640)

    menu(files, "Documents", "Delete…")
    files.sees(re.compile("1 file in 1 folder"))
    files.sees("this cannot be undone")
    files.page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).tap()
    expect(row(files, "Documents")).to_have_count(0, timeout=WAIT_MS)
    assert not (server.home / "Documents").exists()
    assert files.problems == []


def test_a_keyboard_reaches_everything(files: Phone, chromium: Browser) -> None:
    row(files, "notes.txt").get_by_role("button").first.focus()
    files.page.keyboard.press("Enter")
    expect(files.page.get_by_role("dialog", name="notes.txt")).to_be_visible()
    files.page.keyboard.press("Escape")
    expect(files.page.get_by_role("dialog")).to_have_count(0)
    expect(row(files, "notes.txt").get_by_role("button").first).to_be_focused()
