"""Nothing that the app or a server brings needs what the content security policy forbids, or reaches past the screen."""

import re

import pytest
from playwright.sync_api import expect

from tests.cli.command import Served
from tests.e2e.phone import WAIT_MS, Phone
from tests.e2e.test_main_job import printed_link
from tests.ssh.sshd import Sshd

pytestmark = [pytest.mark.browser, pytest.mark.sshd]
# Told to the test at once, so that it also hears of violations on pages that were left since.
LISTEN = """addEventListener('securitypolicyviolation', (event) =>
  told(`${location.pathname} ${event.violatedDirective} ${event.blockedURI} ${event.sample}`))"""
PAGES = (
    "", "add", "import", "keys", "approvals", "audit", "fleet", "snippets", "recordings", "search", "settings",
    "settings/models", "settings/notifications", "settings/gateways", "schema",
)  # fmt: skip


def test_case_21_pages_and_terminals_keep_to_the_policy_and_a_server_reaches_nothing_beside_its_screen(
    box: Served, phone: Phone, server: Sshd
) -> None:
    violations: list[str] = []

    def hear(text: str) -> None:
        violations.append(text)

    phone.context.expose_function("told", hear)
    phone.context.add_init_script(LISTEN)
    phone.pair(printed_link(box))
    phone.add(server, "nas")
    phone.start_session()
    phone.open_terminal()
    title = phone.page.title()
    dialogs: list[str] = []
    phone.page.on("dialog", lambda dialog: dialogs.append(dialog.message))

    phone.type(r"printf '\033[38;2;12;34;56mpainted\033[0m\n'")
    painted = phone.screen().get_by_text("painted", exact=True).last
    expect(painted).to_have_css("color", "rgb(12, 34, 56)", timeout=WAIT_MS)
    phone.type(
        r"printf '\033]0;evil\007\033]2;evil\033\\\033]52;c;ZXZpbA==\007\033]52;c;?\007"
        r"\033]8;;javascript:document.body.remove()\033\\press-me\033]8;;\033\\\n\033P$qevil\033\\';"
        " IFS= read -rsn7 said; printf 'answer-%q-end\\n' \"$said\""
    )
    phone.terminal_shows(
        re.compile(r"answer-\S*0\\?\$r\S*-end")
    )  # "no such setting", and nothing of the question
    phone.screen().get_by_text("press-me", exact=True).last.click(force=True)
    assert "evil" not in str(phone.page.evaluate("document.title + navigator.clipboard"))
    assert (phone.page.title(), dialogs) == (title, [])

    for path in PAGES:
        phone.page.goto(f"{box.address}/{path}")
        expect(phone.page.locator("h1, #schema h2").first).to_be_visible(timeout=WAIT_MS)
    assert violations == []
    assert phone.problems == []
