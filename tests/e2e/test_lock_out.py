"""A change that may lock everybody out: the server undoes it by itself unless the person says that they are still in."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.agents.model_server.script import Script
from tests.agents.model_server.server import ModelServer
from tests.cli.command import Served
from tests.e2e.phone import WAIT_MS, Phone
from tests.e2e.talk import Talk, run, says
from tests.e2e.test_main_job import printed_link
from tests.ssh.sshd import Sshd

pytestmark = [
    pytest.mark.browser,
    pytest.mark.sshd,
    pytest.mark.skipif(os.getuid() != 0, reason="the guard acts as root, or by way of sudo"),
]


class Programs:
    """Stand-ins, first on the login's PATH, for what would restart this very machine's services."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.calls = folder / "calls"
        self.bin.mkdir()
        for name in ("systemctl", "systemd-run", "service"):
            program = self.bin / name
            program.write_text(f'#!/bin/sh\necho "{name} $*" >>{self.calls}\n')
            program.chmod(0o755)

    @property
    def told(self) -> str:
        return self.calls.read_text() if self.calls.exists() else ""


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    return Programs(tmp_path)


@pytest.fixture
def server(tmp_path: Path, programs: Programs) -> Iterator[Sshd]:
    home = tmp_path / "home"
    home.mkdir()
    path = f"{programs.bin}:/usr/local/bin:/usr/bin:/bin"
    with Sshd(tmp_path / "sshd", options={"SetEnv": f"HOME={home} PATH={path}"}) as running:
        yield running


def test_a_restart_of_the_ssh_server_stays_once_the_person_says_that_they_are_still_in(
    box: Served, phone: Phone, server: Sshd, programs: Programs
) -> None:
    script = Script(says(run("systemctl restart sshd", "It has a new port.")), "It is restarted.")
    phone.pair(printed_link(box))
    with ModelServer(script) as model:
        talk = Talk.begun(phone, server, model)
        talk.say("Restart it")
        expect(talk.asked).to_contain_text("systemctl restart sshd", timeout=WAIT_MS)
        expect(talk.asked).to_contain_text("lock")
        talk.asked.get_by_role("button", name="Allow…").tap()
        sheet = talk.page.get_by_role("dialog")
        sheet.get_by_role("checkbox").tap()
        sheet.get_by_role("button", name="Allow and run it").tap()
        banner = talk.page.get_by_test_id("revert")
        expect(banner).to_contain_text("This change is undone in", timeout=WAIT_MS)
        expect(banner).to_contain_text("the settings of the SSH server")
        talk.ends()
        armed, ran = programs.told.splitlines()
        unit = re.search(r"--unit=(clawdbox-revert-\S+)", armed)
        assert unit
        assert ran == "systemctl restart sshd", "the timer was there first"

        banner.get_by_role("button", name="I am still in").tap()
        expect(banner).to_have_count(0, timeout=WAIT_MS)
        expect(talk.page.locator("[data-testid=revert-line][data-state=confirmed]")).to_be_visible(
            timeout=WAIT_MS
        )
        assert f"systemctl stop {unit[1]}.timer" in programs.told
        assert not list(Path("/var/tmp").glob(f"{unit[1]}*")), "nothing is left behind there"
        assert script.beyond == []
        assert phone.problems == []
