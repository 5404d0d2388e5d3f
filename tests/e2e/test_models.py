"""A model of one's own on a phone: found under Settings, added, tested, changed, removed."""

import pytest
from playwright.sync_api import expect

from tests.agents.model_server.script import Script
from tests.agents.model_server.server import ModelServer
from tests.cli.command import Served
from tests.e2e.phone import WAIT_MS, Phone, pairing_link

pytestmark = [pytest.mark.browser]
KEY = "sk-typed-on-the-phone-4711"


def test_a_model_is_added_from_a_preset_tested_changed_and_removed(box: Served, phone: Phone) -> None:
    phone.pair(pairing_link(box))
    with ModelServer(Script("yes"), key=KEY) as model:
        page = phone.page
        page.goto(f"{box.address}/settings")
        page.get_by_role("link", name="Models").tap()
        phone.sees("No model yet")
        phone.tap("Add a model")
        page.get_by_role("dialog").get_by_role("button", name="Ollama").tap()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("OLLAMA_CONTEXT_LENGTH")
        expect(dialog.get_by_label("Address")).to_have_value("http://127.0.0.1:11434/v1")
        dialog.get_by_label("Address").fill("http://169.254.169.254/v1")
        dialog.get_by_label("Model", exact=True).fill("scripted-2")
        phone.tap("Add and test")
        expect(dialog).to_contain_text("link-local", timeout=WAIT_MS)
        dialog.get_by_label("Address").fill(model.openai_url)
        phone.tap("Add and test")

        card = page.get_by_test_id("model-provider")
        found = page.get_by_test_id("model-test")
        expect(found).to_contain_text("wants a key and has none here", timeout=3 * WAIT_MS)

        phone.tap("Remove Ollama")
        phone.tap("Remove model")
        phone.sees("No model yet")
        phone.tap("Add a model")
        page.get_by_role("dialog").get_by_role("button", name="Something else").tap()
        dialog.get_by_label("Label").fill("Mine")
        dialog.get_by_label("Address").fill(model.openai_url)
        dialog.get_by_label("Model", exact=True).fill("scripted-2")
        dialog.get_by_label("API key").fill(KEY)
        phone.tap("Add and test")
        expect(found).to_contain_text("scripted-2 answered.", timeout=2 * WAIT_MS)
        expect(found).to_contain_text("“scripted-2” is not among the 1 it lists")

        phone.tap("Change Mine")
        expect(dialog.get_by_label("API key")).to_have_value("")
        dialog.get_by_label("Model", exact=True).fill("scripted-1")
        phone.tap("Save")
        expect(card).to_contain_text("scripted-1", timeout=WAIT_MS)
        expect(card).to_contain_text("with a key")
        assert KEY not in page.content()
    phone.tap("Test Mine")
    expect(found).to_contain_text("cannot be reached", timeout=2 * WAIT_MS)
    assert phone.problems == []
