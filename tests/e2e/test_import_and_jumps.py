"""From the files of another computer to a session on a server behind a bastion, with a thumb."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.cli.command import Served, clawdbox
from tests.e2e.phone import WAIT_MS, Phone, pairing_link
from tests.ssh.certificates import Authority, public_key_of
from tests.ssh.sshd import Sshd

pytestmark = [pytest.mark.browser, pytest.mark.sshd]

# What reaches beyond the right edge of the window, unless it scrolls by itself.
_TOO_WIDE = """[...document.querySelectorAll('main *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1)
  .map((e) => e.outerHTML.slice(0, 120))"""


@pytest.fixture
def inner(tmp_path: Path) -> Iterator[Sshd]:
    with Sshd(tmp_path / "inner") as running:
        yield running


def authorize(box: Served, *servers: Sshd) -> None:
    rows = clawdbox("db", "query", "SELECT public_key FROM agent_keypairs", "--data-dir", box.data_dir).stdout
    found = re.search(r"ssh-ed25519 [A-Za-z0-9+/=]+", rows)
    assert found, rows
    for server in servers:
        server.authorize(found.group())


def files(folder: Path, bastion: Sshd, inner: Sshd) -> tuple[Path, Path]:
    config, known = folder / "config", folder / "known_hosts"
    config.write_text(
        "Include ~/.ssh/more\n"
        f"Host bastion\n  HostName {bastion.host}\n  Port {bastion.port}\n"
        f"Host attic\n  HostName {inner.host}\n  Port {inner.port}\n  ProxyJump bastion\n"
        f"Host *\n  User {bastion.username}\n  IdentityFile ~/.ssh/id_rsa\n"
        "Host broken\n  HostName 169.254.169.254\n"
    )
    known.write_text(
        "".join(f"[{server.host}]:{server.port} {public_key_of(server)}" for server in (bastion, inner))
    )
    return config, known


def test_servers_are_imported_and_one_behind_the_other_is_entered(
    box: Served, phone: Phone, server: Sshd, inner: Sshd, tmp_path: Path
) -> None:
    phone.pair(pairing_link(box))
    authorize(box, server, inner)
    config, known = files(tmp_path, server, inner)
    phone.page.get_by_role("link", name="Add connection").first.tap()
    phone.page.get_by_role("link", name=re.compile("Import from")).tap()
    phone.page.get_by_label("File for ~/.ssh/config", exact=True).set_input_files(config)
    phone.page.get_by_label("File for ~/.ssh/known_hosts", exact=True).set_input_files(known)
    phone.tap("Preview")

    phone.sees("What would be saved")
    phone.sees(re.compile("Include was left out"))
    rows = phone.page.get_by_test_id("import-row")
    expect(rows).to_have_count(3)
    attic = rows.filter(has_text="attic")
    expect(attic).to_contain_text("through bastion")
    expect(attic).to_contain_text(inner.fingerprint())
    expect(attic).to_contain_text("the box enters with its own key")
    expect(rows.filter(has_text="broken")).to_contain_text("cannot be saved")
    expect(rows.filter(has_text="broken").get_by_role("checkbox")).to_be_disabled()

    rows.filter(has_text="bastion").first.get_by_role("checkbox").tap()
    expect(rows.first).to_contain_text("comes along as a jump host")
    phone.tap("Import 2 connections")
    expect(phone.page.get_by_test_id("import-done")).to_be_visible(timeout=WAIT_MS)

    phone.page.get_by_role("link", name=re.compile("attic")).tap()
    expect(phone.page.get_by_test_id("way")).to_contain_text("bastion")
    phone.page.get_by_role("button", name=re.compile("^Test")).first.tap()
    failed = phone.page.get_by_test_id("test-failed")
    expect(failed).to_contain_text("has not been tested yet", timeout=WAIT_MS)
    failed.get_by_role("link", name="Open bastion").tap()
    expect(phone.page.get_by_role("heading", name="bastion", level=1)).to_be_visible(timeout=WAIT_MS)
    phone.page.get_by_role("button", name=re.compile("^Test")).first.tap()
    phone.sees("It works")
    phone.page.goto(f"{box.address}/")
    phone.page.get_by_text("attic", exact=True).first.tap()
    phone.page.get_by_role("button", name=re.compile("^Test")).first.tap()
    phone.sees("It works")
    phone.start_session()
    phone.say("$ echo $HOME")
    expect(phone.command()).to_contain_text(str(inner.home), timeout=WAIT_MS)
    assert phone.problems == []


def test_a_server_is_put_behind_another_one_in_its_form(
    box: Served, phone: Phone, server: Sshd, inner: Sshd
) -> None:
    phone.pair(pairing_link(box))
    phone.add(server, "bastion")
    phone.page.goto(f"{box.address}/add")
    phone.page.get_by_label("Host").fill(inner.host)
    phone.page.get_by_label("User").fill(inner.username)
    phone.page.get_by_label("Port").fill(str(inner.port))
    phone.page.get_by_label("Label").fill("attic")
    phone.page.get_by_label("Reach it through").select_option(label="bastion")
    phone.sees("“bastion” looks the host up, in its own network.")
    phone.page.locator("form button[type=submit]").tap()
    expect(phone.page.get_by_test_id("way")).to_contain_text("bastion", timeout=WAIT_MS)
    authorize(box, inner)
    phone.tap("Test")
    expect(phone.page.get_by_test_id("host-key-approval")).to_contain_text(
        inner.fingerprint(), timeout=WAIT_MS
    )
    phone.tap("Approve this key")
    phone.sees("It works")

    phone.page.goto(f"{box.address}/")
    phone.page.get_by_text("bastion", exact=True).first.tap()
    phone.tap("Remove…")
    phone.tap("Remove connection")
    phone.sees("“bastion” is the jump host of “attic”.")
    assert phone.problems == []


def test_an_authority_of_ones_own_makes_approval_unnecessary(
    box: Served, phone: Phone, server: Sshd, tmp_path: Path
) -> None:
    authority = Authority(tmp_path / "authority")
    authority.certify(server)
    authorize_later = server
    phone.pair(pairing_link(box))
    authorize(box, authorize_later)
    phone.page.goto(f"{box.address}/settings")
    phone.tap("Add an authority or a revoked key")
    phone.page.get_by_label("Public key").fill("not a key")
    phone.tap("Trust it")
    phone.sees("This is no public key")
    phone.page.get_by_label("Public key").fill(authority.public)
    phone.page.get_by_label("For which hosts").fill("127.0.0.*")
    phone.tap("Trust it")
    expect(phone.page.get_by_test_id("host-authority")).to_contain_text(
        authority.fingerprint, timeout=WAIT_MS
    )

    phone.page.goto(f"{box.address}/add")
    phone.page.get_by_label("Host").fill(server.host)
    phone.page.get_by_label("User").fill(server.username)
    phone.page.get_by_label("Port").fill(str(server.port))
    phone.page.locator("form button[type=submit]").tap()
    phone.tap("Test")
    phone.sees("It works")
    phone.sees("trusted by its certificate")
    assert phone.problems == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_import_on_a_desktop(
    box: Served, chromium: Browser, server: Sshd, inner: Sshd, tmp_path: Path, scheme: str
) -> None:
    """Nothing is wider than its window, on a phone and on a desktop, in both schemes."""
    config, known = files(tmp_path, server, inner)
    for width, height in ((1280, 900), (390, 844)):
        context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
        try:
            page = context.new_page()
            page.set_default_timeout(WAIT_MS)
            page.goto(pairing_link(box))
            expect(page.get_by_role("heading", name="Connections", level=1)).to_be_visible(timeout=WAIT_MS)
            page.goto(f"{box.address}/import")
            page.get_by_label("~/.ssh/config", exact=True).fill(config.read_text())
            page.get_by_label("~/.ssh/known_hosts", exact=True).fill(
                known.read_text() + f"@cert-authority *.lan {public_key_of(server)}"
            )
            page.get_by_role("button", name="Preview").click()
            expect(page.get_by_test_id("import-row")).to_have_count(3)
            page.screenshot(path=tmp_path / f"import-{width}-{scheme}.png", full_page=True)
            wide = page.evaluate(_TOO_WIDE)
            assert wide == [], f"{width} px"
            page.goto(f"{box.address}/settings")
            expect(page.get_by_role("heading", name="Host certificate authorities")).to_be_visible()
            assert page.evaluate(_TOO_WIDE) == [], f"{width} px"
            page.screenshot(path=tmp_path / f"settings-{width}-{scheme}.png", full_page=True)
        finally:
            context.close()
