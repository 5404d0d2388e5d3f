"""A port of a server from a phone: a web app in a tab, on an origin from which even a hostile page reaches nothing."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.cli.command import Served, environment
from tests.e2e.phone import WAIT_MS, Phone
from tests.e2e.test_main_job import printed_link
from tests.e2e.webapp import WebApp
from tests.ssh.sshd import Sshd

pytestmark = [pytest.mark.browser, pytest.mark.sshd]

FRIENDLY = """<!doctype html><title>App</title><h1>Hello from the server</h1><p id=said></p><script>
const socket = new WebSocket(location.origin.replace('http', 'ws') + '/socket')
socket.onopen = () => socket.send('over the socket')
socket.onmessage = (e) => { said.textContent = e.data }
socket.onclose = () => { said.textContent += ' and closed' }
</script>"""

# Everything a hostile app would try against the box that shows it. BOX and OTHER are filled in.
HOSTILE = """<!doctype html><title>Hostile</title><pre id=out>running</pre><iframe id=frame name=frame></iframe><script>
const box = 'BOX', other = 'OTHER', found = {}
const attempt = async (name, what) => { try { found[name] = await what() } catch (e) { found[name] = 'refused: ' + e.name } }
const json = { 'content-type': 'application/json' }
const all = async () => {
  await attempt('opener', async () => String(window.opener))
  await attempt('referrer', async () => document.referrer)
  await attempt('address', async () => location.search + location.hash)
  await attempt('cookies', async () => document.cookie)
  await attempt('read', async () => (await fetch(box + '/api/v1/auth/me', { credentials: 'include' })).status)
  await attempt('read_blind', async () => (await fetch(box + '/api/v1/auth/me', { credentials: 'include', mode: 'no-cors' })).type)
  await attempt('post', async () => (await fetch(box + '/api/v1/keys', { method: 'POST', credentials: 'include', headers: json, body: '{"label":"evil"}' })).status)
  await attempt('post_blind', async () => (await fetch(box + '/api/v1/keys', { method: 'POST', credentials: 'include', mode: 'no-cors', body: '{"label":"evil"}' })).type)
  await attempt('own_api', async () => (await fetch('/api/v1/auth/me')).headers.get('content-type'))
  await attempt('other', async () => (await fetch(other + '/', { credentials: 'include', mode: 'no-cors' })).type)
  await attempt('socket', () => new Promise((done) => {
    const socket = new WebSocket(box.replace('http', 'ws') + '/api/v1/events/live')
    let heard = ''
    socket.onmessage = (e) => { heard += e.data }
    socket.onclose = (e) => done(e.code + heard)
  }))
  await attempt('worker', async () => { await navigator.serviceWorker.register('/worker.js'); return 'registered' })
  await attempt('form', () => new Promise((done) => {
    const form = document.createElement('form')
    Object.assign(form, { method: 'post', action: box + '/api/v1/keys', target: 'frame', enctype: 'text/plain' })
    form.innerHTML = '<input name=\\'{"label":"evil","x":"\\' value=\\'"}\\'>'
    document.body.append(form)
    frame.onload = () => done('sent')
    form.submit()
    setTimeout(() => done('sent'), 3000)
  }))
  await attempt('framing', () => new Promise((done) => {
    frame.onload = () => { done('loaded') }
    frame.src = box + '/settings'
    setTimeout(() => done('never'), 3000)
  }))
  for (const path of ['/', '/api', '/api/v1', '/settings']) document.cookie = `clawdbox_login=evil; path=${path}`
  document.cookie = 'clawdbox_login=; path=/; max-age=0'
  await attempt('tossed', async () => document.cookie.includes('clawdbox_login=evil') ? 'set' : 'not set')
  out.textContent = JSON.stringify(found)
}
void all()
</script>"""


@pytest.fixture
def session(phone: Phone, box: Served, server: Sshd) -> str:
    """A session that was started by hand; its address."""
    phone.pair(printed_link(box))
    phone.add(server, "Bob's NAS")
    phone.start_session()
    return phone.page.url.partition("#")[0]


@pytest.fixture
def app() -> Iterator[WebApp]:
    with WebApp(index=FRIENDLY) as running:
        yield running


def to_the_ports(phone: Phone) -> None:
    phone.tap("Tools")
    phone.page.get_by_role("link", name=re.compile("Ports")).tap()
    expect(phone.page.get_by_role("heading", name="Ports", level=1)).to_be_visible(timeout=WAIT_MS)


def open_port(phone: Phone, port: int) -> Page:
    with phone.context.expect_page() as tab:
        phone.page.get_by_role("button", name=f"Open port {port} in the browser").tap(timeout=WAIT_MS)
    return tab.value


def card(phone: Phone, port: int) -> Locator:
    return phone.page.get_by_test_id("forward").filter(has_text=f"localhost:{port}")


def test_a_port_that_was_found_is_one_tap_from_its_web_app(
    phone: Phone, session: str, app: WebApp, tmp_path: Path
) -> None:
    to_the_ports(phone)
    tab = open_port(phone, app.port)
    expect(tab.get_by_role("heading", name="Hello from the server")).to_be_visible(timeout=WAIT_MS)
    expect(tab.locator("#said")).to_have_text("over the socket", timeout=WAIT_MS)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", tab.url)
    assert not any("clawdbox" in head.get("cookie", "") for head in app.heads)
    assert tab.evaluate("document.cookie") == ""

    mine = card(phone, app.port)
    expect(mine.get_by_test_id("traffic")).to_contain_text(
        re.compile(r"[1-9]\d* connections? open"), timeout=WAIT_MS
    )
    mine.get_by_role("button", name="End").tap()
    phone.page.get_by_role("dialog").get_by_role("button", name="End it").tap()
    expect(mine).to_have_count(0, timeout=WAIT_MS)
    expect(tab.locator("#said")).to_contain_text("and closed", timeout=WAIT_MS)
    assert not phone.problems


def test_a_hostile_app_reaches_nothing_of_the_box(
    phone: Phone, box: Served, session: str, app: WebApp
) -> None:
    to_the_ports(phone)
    neighbour = open_port(phone, app.port)
    expect(neighbour.locator("#said")).to_have_text(
        "over the socket", timeout=WAIT_MS
    )  # it has asked for all
    asked = len(app.heads)
    page = HOSTILE.replace("BOX", box.address).replace("OTHER", neighbour.url.rstrip("/"))
    with WebApp(index=page, worker_js="self.onfetch = () => {}") as hostile:
        phone.tap("Look again")
        tab = open_port(phone, hostile.port)
        expect(tab.locator("#out")).not_to_have_text("running", timeout=2 * WAIT_MS)
        found = tab.evaluate("JSON.parse(document.getElementById('out').textContent)")
        framed = tab.frames[-1].url
    assert found["opener"] == "null"
    assert (found["referrer"], found["address"]) == ("", "")
    assert found["cookies"] == ""
    assert found["read"] == found["post"] == "refused: TypeError"
    assert found["read_blind"] == found["post_blind"] == "refused: TypeError"
    assert found["own_api"].startswith("text/html"), "its own origin leads to the app alone"
    assert found["other"] == "refused: TypeError"
    assert found["socket"] == "4403"
    assert found["worker"].startswith("refused")
    assert framed == "chrome-error://chromewebdata/", "the box let itself be framed"
    assert all("of-the-app" not in head.get("cookie", "") for head in app.heads[asked:])

    phone.page.goto(f"{box.address}/keys")
    expect(phone.page.get_by_test_id("keypair")).to_have_count(1, timeout=WAIT_MS)
    phone.sees("default")
    phone.page.goto(session)
    phone.sees("Server connected")


def test_with_a_domain_the_app_has_a_host_name_of_its_own(
    chromium: Browser, server: Sshd, app: WebApp, tmp_path: Path
) -> None:
    env = environment(CLAWDBOX_RATE_TEST_PER_MINUTE="100", CLAWDBOX_FORWARD_DOMAIN="apps.localhost")
    box = Served(tmp_path / "named", "--allow-loopback", "--show-pairing", env=env).wait()
    try:
        with Phone.held(chromium, box.address) as phone:
            phone.pair(printed_link(box))
            phone.add(server, "Bob's NAS")
            phone.start_session()
            to_the_ports(phone)
            tab = open_port(phone, app.port)
            expect(tab.locator("#said")).to_have_text("over the socket", timeout=WAIT_MS)
            assert re.fullmatch(r"http://[a-z2-7]{16}\.apps\.localhost:\d+/", tab.url)
            tab.reload()
            expect(tab.locator("#said")).to_have_text("over the socket", timeout=WAIT_MS)
            assert app.heads[-2]["cookie"] == "app_login=of-the-app"
    finally:
        box.end()


def test_a_port_by_its_number_is_an_address_on_the_box_to_copy(
    phone: Phone, session: str, app: WebApp
) -> None:
    to_the_ports(phone)
    phone.tap("Add a port")
    phone.page.get_by_label("Port on the server").fill(str(app.port))
    phone.page.get_by_label("A port of the box").check()
    phone.page.get_by_label("Port on the box").fill("80")
    phone.tap("Forward")
    phone.sees("Ports below 1024 belong to the system")
    phone.page.get_by_label("Port on the box").fill("")
    phone.tap("Forward")
    line = card(phone, app.port).get_by_role("textbox", name="Address on the box")
    expect(line).to_have_text(re.compile(r"127\.0\.0\.1:\d+"), timeout=WAIT_MS)
    host, _, port = line.inner_text().partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as through:
        through.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert through.recv(12) == b"HTTP/1.1 200"
    expect(card(phone, app.port).get_by_test_id("traffic")).to_contain_text(
        "from the server", timeout=WAIT_MS
    )


def test_what_is_down_refused_or_over_says_so(phone: Phone, session: str, app: WebApp) -> None:
    to_the_ports(phone)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    phone.tap("Add a port")
    phone.page.get_by_label("Port on the server").fill(str(port))
    with phone.context.expect_page() as tab:
        phone.page.get_by_role("dialog").get_by_role("button", name="Open in browser").tap()
    expect(tab.value.get_by_role("heading", name="The app did not answer")).to_be_visible(timeout=WAIT_MS)
    expect(card(phone, port)).to_contain_text("Nothing answers on the server", timeout=WAIT_MS)

    phone.page.goto(session)
    phone.tap("Close session")
    phone.page.get_by_role("dialog").get_by_role("button", name="Close session").tap()
    phone.sees("Session closed")
    phone.page.goto(f"{session}/ports")
    expect(phone.page.get_by_test_id("session-over")).to_contain_text("Session closed", timeout=WAIT_MS)
    phone.page.get_by_text("Ended (1)").tap()
    phone.sees(re.compile("ended with the session"))
    expect(phone.button("Add a port")).to_have_count(0)
