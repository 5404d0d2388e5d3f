"""The main job, as a person does it: from the printed link to a command on a real server, and back again later."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.cli.command import Served, clawdbox
from tests.e2e.phone import WAIT_MS, Phone, pairing_link
from tests.ssh.sshd import Sshd

pytestmark = [pytest.mark.browser, pytest.mark.sshd]


def printed_link(box: Served) -> str:
    found = re.search(r"http://\S+/pair#\S+", box.out)
    assert found, box.out
    return found.group()


def test_from_the_printed_link_to_a_command_and_a_terminal_that_wait_until_one_comes_back(
    box: Served, phone: Phone, server: Sshd, chromium: Browser
) -> None:
    phone.pair(printed_link(box))
    assert "#" not in phone.page.url, "the code does not stay in the address bar"
    phone.add(server, "Bob's NAS")
    phone.start_session()

    phone.say("$ echo out; echo err >&2; exit 3")
    expect(phone.command()).to_contain_text("out", timeout=WAIT_MS)
    expect(phone.command()).to_contain_text("err")
    expect(phone.command()).to_have_attribute("data-exit", "3", timeout=WAIT_MS)
    phone.tap("Health")
    expect(phone.page.get_by_text("Memory").first).to_be_visible(timeout=WAIT_MS)

    phone.open_terminal()
    phone.type("cd / && echo answer-$((6*7)) && tty")
    phone.terminal_shows("answer-42")
    phone.terminal_shows("/dev/pts/")
    session = phone.page.url

    phone.page.close()  # the phone sleeps; the server notices nothing
    phone.page = phone.context.new_page()
    phone.page.goto(session)
    phone.sees("Server connected")
    phone.page.get_by_role("tab", name="Conversation").tap()
    expect(phone.page.locator("[data-testid=command][data-exit='3']")).to_be_visible(timeout=WAIT_MS)
    phone.page.get_by_role("tab", name=re.compile("Terminal")).tap()
    phone.terminal_shows("answer-42")
    phone.type("pwd; echo still-$((40+2))")
    phone.terminal_shows("still-42")

    with Phone.held(chromium, box.address) as tablet:
        tablet.pair(pairing_link(box))
        tablet.page.goto(session)
        tablet.page.get_by_role("tab", name=re.compile("Terminal")).tap()
        tablet.terminal_shows("still-42")
        tablet.type("echo from-the-other-$((1+1))")
        phone.terminal_shows("from-the-other-2")
        assert tablet.problems == []

    phone.tap("Close session")
    phone.page.get_by_role("dialog").get_by_role("button", name=re.compile("Close")).last.tap()
    expect(phone.page.get_by_test_id("session-over").filter(visible=True).first).to_be_visible(
        timeout=WAIT_MS
    )

    phone.page.goto(f"{box.address}/audit")
    expect(phone.page.get_by_role("listitem").filter(has_text="Session close").first).to_be_visible(
        timeout=WAIT_MS
    )
    assert phone.problems == []
    actions = audit_actions(box)
    for action in (
        "login.create",
        "connection.create",
        "host_key.pin",
        "connection.test",
        "session.start",
        "session.exec",
    ):
        assert action in actions
    assert "session.close" in actions


def test_a_conversation_goes_on_with_the_next_session(box: Served, phone: Phone, server: Sshd) -> None:
    phone.pair(printed_link(box))
    phone.add(server, "nas")
    phone.start_session()
    phone.say("$ echo first-lease")
    expect(phone.command()).to_have_attribute("data-exit", "0", timeout=WAIT_MS)
    phone.tap("Close session")
    phone.page.get_by_role("dialog").get_by_role("button", name=re.compile("Close")).last.tap()
    phone.tap("Start a new session")
    phone.sees("Server connected")
    phone.sees("first-lease")
    phone.say("$ echo second-lease")
    expect(phone.command()).to_contain_text("second-lease", timeout=WAIT_MS)


def test_a_changed_host_key_is_shown_old_against_new_and_needs_two_deliberate_acts(
    box: Served, phone: Phone, server: Sshd
) -> None:
    phone.pair(printed_link(box))
    phone.add(server, "nas")
    old = server.fingerprint()
    server.restart(new_host_keys=("ed25519",))
    before = server.login_attempts()
    phone.page.goto(f"{box.address}/")
    phone.page.get_by_text("nas", exact=True).first.tap()
    phone.page.get_by_role("button", name=re.compile("^Test")).first.tap()
    changed = phone.page.get_by_test_id("host-key-changed")
    expect(changed).to_contain_text(old, timeout=WAIT_MS)
    expect(changed).to_contain_text(server.fingerprint())
    assert server.login_attempts() == before, "nothing was sent to a server with another key"
    phone.tap("Trust the new key…")
    expect(phone.button("Replace the pinned key")).to_be_disabled()
    phone.page.get_by_role("checkbox", name=re.compile("^I know why")).tap()
    phone.tap("Replace the pinned key")
    phone.sees("It works")


def test_a_connection_whose_key_was_revoked_is_given_another_one(
    box: Served, phone: Phone, server: Sshd
) -> None:
    phone.pair(printed_link(box))
    phone.add(server, "nas")
    phone.page.goto(f"{box.address}/keys")
    phone.tap("New key")
    phone.page.get_by_role("dialog").get_by_label("Label").fill("second")
    phone.tap("Make key")
    expect(phone.page.get_by_test_id("keypair")).to_have_count(2, timeout=WAIT_MS)
    phone.page.get_by_test_id("keypair").filter(has_text="default").get_by_role(
        "button", name="Revoke…"
    ).tap()
    phone.tap("Revoke key")
    expect(phone.page.locator("[data-testid=keypair][data-state=revoked]")).to_be_visible(timeout=WAIT_MS)
    phone.page.goto(f"{box.address}/")
    phone.page.get_by_text("nas", exact=True).first.tap()
    phone.tap("Edit")
    phone.page.get_by_role("dialog").get_by_label("Key").select_option(label="second")
    phone.tap("Save")
    for line in (box.data_dir / "audit.jsonl").read_text().splitlines():
        assert "PRIVATE KEY" not in line
    phone.page.get_by_role("button", name=re.compile("^Test")).first.tap()
    expect(phone.page.get_by_test_id("test-failed")).to_be_visible(timeout=WAIT_MS)
    phone.sees(re.compile("key"))


def test_a_signed_in_phone_pairs_another_one(box: Served, phone: Phone, chromium: Browser) -> None:
    phone.pair(printed_link(box))
    link = phone.offers_pairing()
    with Phone.held(chromium, box.address) as second:
        second.pair(link)
        second.page.goto(f"{box.address}/settings")
        second.sees(re.compile("[Tt]his device"))


def test_a_used_link_says_what_to_do(box: Served, phone: Phone, chromium: Browser) -> None:
    link = printed_link(box)
    phone.pair(link)
    with Phone.held(chromium, box.address) as late:
        late.page.goto(link)
        late.sees(re.compile("clawdbox pair"))


def audit_actions(box: Served) -> list[str]:
    lines = (box.data_dir / "audit.jsonl").read_text().splitlines()
    assert clawdbox("audit", "verify", "--data-dir", box.data_dir).returncode == 0
    return [json.loads(line)["action"] for line in lines]


def test_nothing_secret_reaches_the_log(box: Served, phone: Phone, server: Sshd, tmp_path: Path) -> None:
    link = printed_link(box)
    phone.pair(link)
    phone.add(server, "nas")
    cookie = next(item["value"] for item in phone.context.cookies() if "clawdbox" in item.get("name", ""))
    for secret in (link.partition("#")[2], cookie):
        assert secret not in box.log
        assert secret not in (box.data_dir / "audit.jsonl").read_text()
