"""Signing in without a link, as a person taps: a passkey over https, six digits, a code at the terminal."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.cli.command import Served, clawdbox, environment
from tests.e2e.conftest import launch
from tests.e2e.phone import WAIT_MS, Phone, pairing_link
from tests.e2e.tls import Front

pytestmark = pytest.mark.browser


def authenticator(phone: Phone) -> Any:
    """The phone gets a fingerprint reader that says yes."""
    devtools = phone.context.new_cdp_session(phone.page)
    devtools.send("WebAuthn.enable")
    kind = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": kind})
    return devtools


@pytest.fixture
def https(tmp_path: Path) -> Iterator[tuple[Phone, Served]]:
    """A phone at a box that has a name and a certificate."""
    front = Front("box.example.org")
    served = Served(tmp_path / "box", "--public-url", front.origin, env=environment()).wait()
    assert served.box is not None
    front.target = served.box["port"]
    with front.serving(), sync_playwright() as playwright:
        browser = launch(playwright, *front.browser_args)
        with Phone.held(browser, front.origin) as phone:
            yield phone, served
        browser.close()
    served.end()


def test_a_passkey_is_added_signs_in_and_proves_that_its_person_is_there(
    https: tuple[Phone, Served],
) -> None:
    phone, served = https
    phone.pair(pairing_link(served))
    authenticator(phone)
    phone.page.goto(f"{phone.address}/settings")
    phone.tap("Add a passkey")
    expect(phone.page.get_by_test_id("passkey")).to_be_visible(timeout=WAIT_MS)
    phone.tap("Sign out this device")
    phone.tap("Sign in with a passkey")
    signed_in = phone.page.get_by_role("heading", name=re.compile("Connections|Settings"), level=1)
    expect(signed_in).to_be_visible(timeout=WAIT_MS)

    phone.page.goto(f"{phone.address}/settings")
    here = phone.page.get_by_test_id("login").filter(has_text="this device")
    expect(here).to_contain_text("by passkey", timeout=WAIT_MS)
    # A second browser of the account: what it proved is its own.
    phone.pair(pairing_link(served))
    phone.page.goto(f"{phone.address}/settings")
    phone.tap("Make ten codes")
    phone.tap("Use a passkey")
    expect(phone.page.get_by_test_id("recovery-codes").get_by_role("listitem")).to_have_count(
        10, timeout=WAIT_MS
    )
    assert phone.problems == []


def test_a_new_phone_is_let_in_by_its_digits_and_confirmed_at_the_terminal(box: Served, phone: Phone) -> None:
    phone.pair(pairing_link(box))
    phone.page.goto(f"{box.address}/settings")
    expect(phone.page.get_by_test_id("passkeys")).to_contain_text("https", timeout=WAIT_MS)
    browser = phone.context.browser
    assert browser is not None
    with Phone.held(browser, box.address) as new:
        new.page.goto(box.address)
        new.tap("Ask a signed-in device")
        digits = new.page.get_by_test_id("pairing-digits").inner_text(timeout=WAIT_MS)
        asks = phone.page.get_by_test_id("pairing-request")
        expect(asks).to_contain_text(digits, timeout=WAIT_MS)
        asks.get_by_role("button", name="Same digits: let it in").tap()
        expect(new.page.get_by_role("heading", name="Connections", level=1)).to_be_visible(timeout=WAIT_MS)

        new.page.goto(f"{box.address}/settings")
        new.tap("Make ten codes")
        new.tap("Confirm on the box")
        command = new.page.get_by_test_id("confirm-command").inner_text(timeout=WAIT_MS)
        code = re.fullmatch(r"clawdbox confirm (\d{6})", command)
        assert code, command
        done = clawdbox("confirm", code[1], "--data-dir", box.data_dir)
        assert (done.returncode, done.stdout.startswith("Confirmed for Owner: ")) == (0, True), done.stderr
        paper = new.page.get_by_test_id("recovery-codes").get_by_role("listitem")
        expect(paper).to_have_count(10, timeout=WAIT_MS)
        spelled = paper.first.inner_text()

        new.tap("Sign out everywhere else")
        new.tap("Sign out all others")
        phone.sees("Pair this device")
        phone.tap("Use a recovery code")
        phone.page.get_by_label("Recovery code").fill(spelled)
        phone.tap("Sign in")
        expect(
            phone.page.get_by_role("heading", name=re.compile("Connections|Settings"), level=1)
        ).to_be_visible(timeout=WAIT_MS)
        assert phone.problems == []
        assert new.problems == []
