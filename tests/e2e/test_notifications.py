"""It reaches you: channels on a phone, a push that the service worker shows, and the tap that leads there."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.cli.command import Served, environment
from tests.e2e.phone import WAIT_MS, Phone, pairing_link

pytestmark = pytest.mark.browser


class Sink(ThreadingHTTPServer):
    """An ntfy server, as far as its documented protocol goes: JSON to the root, and a token."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.status = 200
        super().__init__(("127.0.0.1", 0), _Taking)


class _Taking(BaseHTTPRequestHandler):
    server: Sink

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append({"authorization": self.headers["authorization"], **json.loads(body)})
        self.send_response(self.server.status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def sinking() -> Iterator[Sink]:
    sink = Sink()
    thread = threading.Thread(target=sink.serve_forever)
    thread.start()
    try:
        yield sink
    finally:
        sink.shutdown()
        thread.join()
        sink.server_close()


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Served]:
    env = environment(CLAWDBOX_NOTIFY_LOOPBACK="true", CLAWDBOX_NOTIFY_PLAIN_HTTP="true")
    served = Served(tmp_path / "box", "--show-pairing", env=env).wait()
    yield served
    served.end()


def fits(phone: Phone) -> None:
    wide = phone.page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0, "the page is wider than the phone"


def test_a_channel_is_added_tried_chosen_and_removed_on_a_phone(phone: Phone, box: Served) -> None:
    phone.pair(pairing_link(box))
    phone.page.goto(f"{box.address}/settings")
    phone.page.get_by_role("link", name="When something waits for you").tap()
    expect(phone.page.get_by_role("heading", name="Notifications", level=1)).to_be_visible()
    with sinking() as sink:
        phone.tap("Add ntfy, e-mail or webhook")
        phone.page.get_by_role("button", name="ntfy").last.tap()
        phone.page.get_by_label("Server", exact=True).fill("ftp://nowhere")
        phone.page.get_by_label("Topic", exact=True).fill("clawdbox-x7f3")
        phone.page.get_by_label("Token", exact=True).fill("tk_secret")
        phone.tap("Add")
        phone.sees("An address begins with https://")
        phone.page.get_by_label("Server", exact=True).fill(f"http://127.0.0.1:{sink.server_port}")
        fits(phone)
        phone.tap("Add")
        card = phone.page.get_by_test_id("channel")
        expect(card).to_contain_text("Not tried yet", timeout=WAIT_MS)
        expect(card).to_contain_text("Tells you everything")
        sink.status = 403
        phone.tap("Send a test to ntfy")
        expect(phone.page.get_by_test_id("channel-test")).to_contain_text("Check the token", timeout=WAIT_MS)
        expect(card).to_contain_text("Not arriving")
        sink.status = 200
        phone.tap("Send a test to ntfy")
        expect(phone.page.get_by_test_id("channel-test")).to_contain_text("Sent.", timeout=WAIT_MS)
        expect(card).to_contain_text("Works")
        assert [got["authorization"] for got in sink.got] == ["Bearer tk_secret"] * 2
        assert sink.got[1]["title"] == "It works"
        card.locator("summary").tap()
        card.get_by_label("Turn finished").uncheck()
        expect(card.locator("summary")).not_to_contain_text("everything", timeout=WAIT_MS)
        card.get_by_label("Show the command").check()
        fits(phone)
        log = phone.page.get_by_test_id("deliveries")
        expect(log).to_contain_text("Refused", timeout=WAIT_MS)
        expect(log).to_contain_text("It does not let the box in.")
        phone.page.goto(f"{box.address}/settings/notifications")
        expect(card.get_by_label("Show the command")).to_be_checked(timeout=WAIT_MS)
        assert "tk_secret" not in phone.page.content()
        phone.tap("Remove ntfy")
        phone.tap("Remove")
        expect(card).to_have_count(0, timeout=WAIT_MS)
        expect(log).to_contain_text("ntfy", timeout=WAIT_MS)
    assert phone.problems == []


def test_the_secret_of_a_webhook_is_shown_once(phone: Phone, box: Served) -> None:
    phone.pair(pairing_link(box))
    phone.page.goto(f"{box.address}/settings/notifications")
    phone.tap("Add ntfy, e-mail or webhook")
    phone.page.get_by_role("button", name="Webhook").last.tap()
    phone.page.get_by_label("Address", exact=True).fill("https://hooks.example.com/x?key=hidden")
    phone.tap("Add")
    phone.sees("whsec_")
    phone.tap("I have it")
    expect(phone.page.get_by_test_id("channel")).to_contain_text("hooks.example.com", timeout=WAIT_MS)
    for _ in range(2):
        assert "whsec_" not in phone.page.content()
        assert "key=hidden" not in phone.page.content()
        phone.page.reload()
        expect(phone.page.get_by_test_id("channel")).to_be_visible(timeout=WAIT_MS)
    assert phone.problems == []


SUBSCRIBES = """
  PushManager.prototype.getSubscription = async () => null
  PushManager.prototype.subscribe = async (asked) => {
    window.asked = asked
    return { toJSON: () => ({ endpoint: ENDPOINT, keys: { p256dh: P256DH, auth: AUTH } }) }
  }
"""


def test_a_push_is_shown_and_its_tap_leads_to_the_page(chromium: Browser, box: Served) -> None:
    """There is no push service here: the browser's part before it is stubbed, and what it delivers comes over CDP."""
    from tests.rooms.receiver import Browser as Keys

    keys = Keys()
    with Phone.held(chromium, box.address) as phone:
        phone.context.grant_permissions(["notifications"], origin=box.address)
        script = SUBSCRIBES.replace("ENDPOINT", json.dumps("https://push.example.com/abc"))
        script = script.replace("P256DH", json.dumps(keys.p256dh)).replace("AUTH", json.dumps(keys.auth))
        phone.context.add_init_script(script)
        phone.pair(pairing_link(box))
        phone.page.goto(f"{box.address}/settings/notifications")
        phone.tap("Turn on for this device")
        card = phone.page.get_by_test_id("channel")
        expect(card).to_contain_text("this device", timeout=WAIT_MS)
        expect(card).to_contain_text("push.example.com")
        expect(phone.page.get_by_test_id("this-device")).to_have_count(0)
        assert phone.page.evaluate("window.asked.applicationServerKey.length") == 65
        said = {"title": "Approval needed on web-1", "body": "It waits.", "url": "/keys", "tag": "approval:1"}
        deliver(phone, said)
        shown = phone.page.evaluate(
            "async () => { const r = await navigator.serviceWorker.ready;"
            " for (let i = 0; i < 200; i++) { const all = await r.getNotifications();"
            " if (all.length) return all.map(n => [n.title, n.body, n.tag, n.data.path]);"
            " await new Promise(f => setTimeout(f, 50)) } }"
        )
        assert shown == [["Approval needed on web-1", "It waits.", "approval:1", "/keys"]]
        deliver(phone, said | {"body": "It still waits.", "url": "https://evil.example/keys"})
        again = phone.page.evaluate(
            "async () => { const r = await navigator.serviceWorker.ready;"
            " for (let i = 0; i < 200; i++) { const all = await r.getNotifications();"
            " if (all.length === 1 && all[0].body === 'It still waits.') return all.map(n => n.data.path);"
            " await new Promise(f => setTimeout(f, 50)) } }"
        )
        assert again == ["/"], "the same thing replaced itself, and leads nowhere else"
        phone.page.evaluate(
            "navigator.serviceWorker.dispatchEvent(new MessageEvent('message', {data: {type: 'open', path: '/keys'}}))"
        )
        expect(phone.page).to_have_url(f"{box.address}/keys", timeout=WAIT_MS)
        assert phone.problems == []


def deliver(phone: Phone, said: dict[str, str]) -> None:
    """As the browser would hand on what a push service sent."""
    session = phone.context.new_cdp_session(phone.page)
    registrations: list[dict[str, Any]] = []
    session.on(
        "ServiceWorker.workerRegistrationUpdated", lambda event: registrations.extend(event["registrations"])
    )
    session.send("ServiceWorker.enable")
    for _ in range(200):
        if registrations:
            break
        phone.page.wait_for_timeout(50)
    session.send(
        "ServiceWorker.deliverPushMessage",
        {
            "origin": phone.address,
            "registrationId": registrations[-1]["registrationId"],
            "data": json.dumps(said),
        },
    )
    session.detach()


def test_a_browser_that_may_not_says_why(chromium: Browser, box: Served) -> None:
    without = "delete window.PushManager"
    denied = "Object.defineProperty(Notification, 'permission', {get: () => 'denied'})"
    insecure = "Object.defineProperty(window, 'isSecureContext', {get: () => false})"
    iphone = (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 26_1 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari"
    )
    cases = [
        (denied, None, "denied", "blocks notifications"),
        (insecure, None, "insecure", "need https"),
        (without, iphone, "home-screen", "home screen"),
        (without, None, "unsupported", "no notifications"),
    ]
    for script, agent, standing, words in cases:
        more = {"user_agent": agent} if agent else {}
        with Phone.held(chromium, box.address, **more) as phone:
            phone.context.add_init_script(script)
            phone.pair(pairing_link(box))
            phone.page.goto(f"{box.address}/settings/notifications")
            device = phone.page.get_by_test_id("this-device")
            expect(device).to_have_attribute("data-push", standing, timeout=WAIT_MS)
            expect(device).to_contain_text(words)
            fits(phone)
            assert phone.problems == []
