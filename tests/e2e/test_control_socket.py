"""The page of a connection says how ssh on the box's machine rides its session, and what it may do."""

import re
import subprocess

import pytest
from playwright.sync_api import expect

from tests.cli.command import Served, answer
from tests.e2e.phone import Phone, pairing_link
from tests.ssh.sshd import Sshd

pytestmark = pytest.mark.browser


def test_the_command_on_the_page_works_and_a_switch_counts_at_once(
    phone: Phone, box: Served, server: Sshd
) -> None:
    phone.pair(pairing_link(box))
    phone.add(server, "My NAS")
    phone.start_session()
    phone.sees(re.compile("Health"))
    (host,) = answer("ssh-config", "--json", "--data-dir", box.data_dir)
    assert host["names"] == ["My NAS", "my-nas"]
    phone.page.go_back()
    phone.page.get_by_text("ssh on the box’s machine").click()
    command = phone.page.get_by_role("textbox", name="Command for a shell on the box’s machine").inner_text()
    assert command == f"ssh -S {host['path']} -o ProxyCommand=/bin/false my-nas"
    assert ssh(command, "echo rides") == (0, "rides\n")
    commands = phone.page.get_by_role("checkbox", name=re.compile("^Commands"))
    expect(commands).to_be_checked()
    commands.click()
    phone.sees("Saved.")
    expect(commands).not_to_be_checked()
    assert ssh(command, "echo never") == (255, "")


def ssh(command: str, what: str) -> tuple[int, str]:
    done = subprocess.run([*command.split(), what], capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout
