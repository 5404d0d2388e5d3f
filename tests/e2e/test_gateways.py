"""An OpenClaw gateway on a phone: found under Settings, added, let in, changed, removed."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future

import pytest
from playwright.sync_api import expect

from tests.agents.openclaw.scripted import ScriptedGateway
from tests.cli.command import Served
from tests.e2e.phone import WAIT_MS, Phone, pairing_link

pytestmark = [pytest.mark.browser]
TOKEN = "t0ken-typed-on-the-phone-4711"


@pytest.fixture
def gateway() -> Iterator[ScriptedGateway]:
    """In a thread, since Playwright's loop has this one."""
    scripted = ScriptedGateway(TOKEN)
    scripted.requires_pairing = True
    up: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        over = asyncio.Event()
        async with scripted:
            up.set_result((asyncio.get_running_loop(), over))
            await over.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    loop, over = up.result(10)
    yield scripted
    loop.call_soon_threadsafe(over.set)
    thread.join(10)


def test_a_gateway_is_added_lets_the_box_in_and_is_removed(
    box: Served, phone: Phone, gateway: ScriptedGateway
) -> None:
    phone.pair(pairing_link(box))
    page = phone.page
    page.goto(f"{box.address}/settings")
    page.get_by_role("link", name="OpenClaw").tap()
    phone.sees("No gateway yet")
    phone.tap("Add a gateway")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Address")).to_have_value("ws://127.0.0.1:18789")
    dialog.get_by_label("Address").fill(box.address.replace("http", "ws"))
    dialog.get_by_label("Token", exact=True).fill("wrong")
    phone.tap("Add and test")
    expect(dialog).to_contain_text("the box's own address", timeout=WAIT_MS)
    dialog.get_by_label("Address").fill(gateway.url)
    phone.tap("Add and test")

    card = page.get_by_test_id("gateway")
    state = page.get_by_test_id("gateway-state")
    expect(state).to_contain_text("The gateway does not know this token", timeout=2 * WAIT_MS)
    expect(card).to_contain_text("each judged before it runs")

    phone.tap("Change OpenClaw")
    expect(dialog.get_by_label("Token", exact=True)).to_have_value("")
    dialog.get_by_label("Token", exact=True).fill(TOKEN)
    phone.tap("Save")
    expect(state).to_contain_text("Somebody has to let this box in", timeout=2 * WAIT_MS)
    expect(page.get_by_label("Command that lets this box in")).to_have_text(
        "openclaw devices approve 11111111-2222-3333-4444-555555555555"
    )
    gateway.paired.add(gateway.greetings[-1]["device"]["id"])
    phone.tap("Test OpenClaw")
    expect(state).to_contain_text("OpenClaw 2026.9.6 lets this box in.", timeout=2 * WAIT_MS)
    expect(state).to_contain_text("Let in after")
    assert TOKEN not in page.content()

    phone.tap("Remove OpenClaw")
    expect(page.get_by_label("Command that removes this box at the gateway")).to_contain_text(
        gateway.greetings[-1]["device"]["id"]
    )
    phone.tap("Remove gateway")
    phone.sees("No gateway yet")
    assert phone.problems == []
