"""A code agent on the server, found, asked and answered on a phone."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.agents.acp.there import AGENT, alive
from tests.cli.command import Served
from tests.e2e.phone import WAIT_MS, Phone
from tests.e2e.talk import FIRST_MS, call
from tests.e2e.test_main_job import printed_link
from tests.ssh.sshd import Sshd
from tests.waiting import eventually_sync

pytestmark = [pytest.mark.browser, pytest.mark.sshd]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = tmp_path / "home"
    made.mkdir()
    return made


@pytest.fixture
def server(tmp_path: Path, home: Path) -> Iterator[Sshd]:
    with Sshd(tmp_path / "sshd", options={"SetEnv": f"HOME={home}"}) as running:
        yield running


def install(home: Path, notes: Path) -> None:
    """What a person would have done there: the adapter on the login's path, and signed in."""
    program = home / ".local" / "bin" / "claude-agent-acp"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\nexec {sys.executable} {AGENT} {notes}\n")
    program.chmod(0o755)
    (home / ".claude").mkdir()
    (home / ".claude" / ".credentials.json").write_text("{}")


def test_a_code_agent_is_looked_for_talks_asks_and_is_stopped(
    box: Served, phone: Phone, server: Sshd, home: Path, tmp_path: Path
) -> None:
    notes, mark = tmp_path / "notes", tmp_path / "mark"
    page = phone.page
    phone.pair(printed_link(box))
    phone.add(server, "nas")
    phone.start_session()
    page.get_by_role("button", name=re.compile("^Conversations:")).tap()
    phone.tap("New conversation")
    offer = page.locator("[data-testid=runtime][data-name=acp]")
    offer.get_by_role("radio", name="Code agent").check()
    expect(offer.get_by_text("npm install -g @agentclientprotocol/claude-agent-acp")).to_be_visible(
        timeout=FIRST_MS
    )
    expect(phone.button("Start conversation")).to_be_disabled()
    phone.tap("Cancel")

    install(home, notes)
    phone.tap("New conversation")
    offer.get_by_role("radio", name="Code agent").check()
    expect(offer.get_by_role("radio", name=re.compile("^Claude Code"))).to_be_checked(timeout=FIRST_MS)
    phone.tap("Start conversation")
    phone.say(json.dumps([["text", "I am here."], ["ask", f"touch {mark}"]]))
    asked = page.locator("[data-testid=approval][data-state=pending]")
    expect(asked).to_contain_text(f"touch {mark}", timeout=FIRST_MS)
    phone.sees("I am here.")
    assert not mark.exists()
    asked.get_by_role("button", name="Allow", exact=True).tap()
    expect(page.get_by_text(re.compile("mark: yes"))).to_be_visible(timeout=WAIT_MS)
    assert (notes / "ran").read_text().splitlines() == [f"touch {mark}"]
    assert mark.exists()

    pids = [int(pid) for pid in (notes / "started").read_text().split()]  # looking asked one for its version
    call(phone, "POST", "/agents/stop")
    eventually_sync(lambda: not any(map(alive, pids)), what="the end of the agent on the server")
    assert phone.problems == []
