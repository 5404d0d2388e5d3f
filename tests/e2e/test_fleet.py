"""Many servers on a phone: a snippet, a run on two servers, the table of answers, and the figures of one of them."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.cli.command import Served
from tests.e2e.phone import WAIT_MS, Phone, pairing_link
from tests.ssh.sshd import Sshd

pytestmark = [pytest.mark.browser, pytest.mark.sshd]


@pytest.fixture
def second(tmp_path: Path) -> Iterator[Sshd]:
    with Sshd(tmp_path / "second") as running:
        yield running


def test_a_snippet_runs_on_two_servers_and_the_one_that_differs_stands_first(
    box: Served, phone: Phone, server: Sshd, second: Sshd
) -> None:
    (server.home / "my file").write_text("same\n")
    phone.pair(pairing_link(box))
    phone.add(server, "alpha")
    phone.page.goto(f"{box.address}/")
    phone.add(second, "beta")

    phone.page.goto(f"{box.address}/snippets")
    phone.tap("New snippet")
    dialog = phone.page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("Show a file")
    dialog.get_by_label("Command").fill('sh -c "cat {{file}}"')
    expect(dialog.get_by_role("alert").first).to_contain_text("inside quotes", timeout=WAIT_MS)
    dialog.get_by_label("Command").fill('cd "$HOME"; cat -- {{file}}')
    dialog.get_by_label("Filled in at first: file").fill("my file")
    dialog.get_by_label("Filled in at first: file").blur()
    expect(dialog.get_by_label("file", exact=True)).to_have_value("my file")
    expect(dialog.get_by_test_id("preview")).to_have_text("cd \"$HOME\"; cat -- 'my file'", timeout=WAIT_MS)
    phone.tap("Keep snippet")
    expect(phone.page.get_by_test_id("snippet")).to_contain_text("Show a file", timeout=WAIT_MS)

    phone.page.get_by_role("navigation").get_by_role("link", name="Fleet").tap()
    phone.tap("All")
    phone.page.get_by_label("What to run").first.wait_for()
    phone.page.get_by_role("combobox").select_option(label="Show a file")
    expect(phone.page.get_by_label("file", exact=True)).to_have_value("my file")
    expect(phone.page.get_by_test_id("preview")).to_contain_text("'my file'", timeout=WAIT_MS)
    phone.tap("Run on 2 servers")
    phone.page.get_by_role("dialog").get_by_role("button", name="Run on 2 servers").tap()
    status = phone.page.get_by_test_id("fleet-summary")
    expect(status).to_have_attribute("data-state", "done", timeout=WAIT_MS)
    groups = phone.page.get_by_test_id("answer-group")
    expect(groups).to_have_count(2)
    expect(groups.first).to_have_attribute("data-state", "failed")
    expect(groups.first).to_contain_text("beta")
    expect(groups.last).to_contain_text("same")

    (second.home / "my file").write_text("same\n")
    phone.tap("Run again on the 1 that failed")
    phone.tap("Run again")
    expect(phone.page.get_by_text("1 server has answered")).to_be_visible(timeout=WAIT_MS)
    expect(groups).to_have_attribute("data-state", "done")
    phone.tap("CSV")
    expect(phone.page.get_by_role("textbox", name="All answers")).to_contain_text("beta,done,0")
    assert phone.problems == []


def test_the_page_of_a_server_shows_figures_with_graphs_and_what_its_shell_costs(
    box: Served, phone: Phone, server: Sshd
) -> None:
    phone.pair(pairing_link(box))
    phone.add(server, "alpha")
    (server.home / ".bashrc").write_text("sleep 0.4\n")
    phone.start_session()
    phone.tap("Tools")
    phone.page.get_by_role("link", name=re.compile("^Server")).tap()
    memory = phone.page.get_by_role("region", name="Memory")
    expect(memory).to_contain_text("%", timeout=WAIT_MS)
    graph = memory.get_by_test_id("spark")
    expect(graph).to_have_attribute("aria-label", re.compile("between .* and .*, now"), timeout=WAIT_MS)
    expect(phone.page.get_by_role("region", name="Processor")).to_be_visible(timeout=WAIT_MS)
    expect(phone.page.get_by_role("region", name="Facts")).to_contain_text("Kernel", timeout=WAIT_MS)
    phone.tap("Measure")
    cost = phone.page.get_by_test_id("shell-cost")
    expect(cost).to_contain_text(re.compile(r"Your rc files cost \d+ ms per command"), timeout=30_000)
    expect(cost).to_contain_text("~/.bashrc")
    assert phone.problems == []
