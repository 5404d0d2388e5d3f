"""A conversation with a model of the test's own on a phone: what is set up once through the API, and what a person does in it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Locator, expect

from tests.agents.model_server.parts import Part, Reply, Tool, reply
from tests.agents.model_server.server import ModelServer
from tests.cli.command import Served
from tests.e2e.phone import WAIT_MS, Phone, pairing_link
from tests.ssh.sshd import Sshd

FIRST_MS = 60_000  # a box loads what speaks to models when somebody asks one, which a busy machine takes its time for


def run(command: str, reason: str = "Because I was asked to.") -> Tool:
    return Tool("run", {"command": command, "reason": reason})


def says(*parts: Part | str, input_tokens: int = 900, output_tokens: int = 60) -> Reply:
    return reply(*parts, input_tokens=input_tokens, output_tokens=output_tokens)


class Talk:
    """`phone` has the session open, with a conversation in which the model answers."""

    def __init__(self, phone: Phone, session: str, conversation: str) -> None:
        self.phone = phone
        self.page = phone.page
        self.session = session
        self.conversation = conversation

    @classmethod
    def begun(cls, phone: Phone, server: Sshd, model: ModelServer, label: str = "nas") -> Self:
        """Everything that is not about the conversation goes through the API."""
        connection = saved(phone, server, label)
        given = {"label": "Scripted", "kind": "openai", "base_url": model.openai_url, "model": "scripted-1"}
        provider = call(phone, "POST", "/model-providers", given)["model_provider"]["id"]
        made = call(
            phone,
            "POST",
            f"/connections/{connection}/conversations",
            {"runtime": "model", "runtime_options": {"provider_id": provider}},
        )
        session = call(phone, "POST", "/sessions", {"connection_id": connection})["session"]["id"]
        talk = cls(phone, session, made["conversation"]["id"])
        talk.open()
        return talk

    def open(self) -> None:
        self.page.goto(self.address)
        expect(self.page.get_by_label("Message")).to_be_visible(timeout=WAIT_MS)

    @property
    def address(self) -> str:
        return f"{self.phone.address}/sessions/{self.session}#c={self.conversation}"

    # what is seen

    @property
    def strip(self) -> Locator:
        return self.page.get_by_test_id("turn-strip")

    @property
    def asked(self) -> Locator:
        """The card that waits for an answer."""
        return self.page.locator("[data-testid=approval][data-state=pending]")

    def answered(self, state: str) -> Locator:
        return self.page.locator(f"[data-testid=approval-line][data-state={state}]")

    def ends(self) -> None:
        """No turn runs any more."""
        expect(self.phone.button("Send")).to_be_visible(timeout=WAIT_MS)

    # what is done

    def say(self, text: str) -> None:
        """Until the model has it."""
        self.phone.say(text)
        tick = self.page.get_by_test_id("tick").last
        expect(tick).to_have_attribute("data-delivered", "true", timeout=FIRST_MS)

    def allow(self) -> None:
        self.asked.get_by_role("button", name="Allow", exact=True).tap()

    def deny(self) -> None:
        self.asked.get_by_role("button", name="Deny", exact=True).tap()

    def grant(self) -> None:
        self.asked.get_by_role("button", name=re.compile("^Allow this exact command")).tap()


@contextmanager
def second_device(browser: Browser, box: Served, address: str | None = None) -> Iterator[Phone]:
    with Phone.held(browser, address or box.address) as other:
        other.pair(f"{other.address}/pair#{urlsplit(pairing_link(box)).fragment}")
        yield other


def saved(phone: Phone, server: Sshd, label: str) -> str:
    """A tested connection."""
    given = {"label": label, "host": server.host, "port": server.port, "username": server.username}
    connection = str(call(phone, "POST", "/connections", given)["connection"]["id"])
    server.authorize(call(phone, "GET", "/keys")["keypairs"][0]["public_key"])
    trusted = {"accept_host_key": True, "fingerprint": server.fingerprint()}
    assert call(phone, "POST", f"/connections/{connection}/test", trusted)["result"] == "ok"
    return connection


def call(phone: Phone, method: str, path: str, body: Any = None) -> Any:
    """The API as the page itself would ask it: with this browser's login."""
    request = phone.context.request
    token = request.get(f"{phone.address}/api/v1/auth/me").json()["csrf_token"]
    headers = {"x-csrf-token": token, "origin": phone.address}
    answer = request.fetch(f"{phone.address}/api/v1{path}", method=method, headers=headers, data=body)
    assert answer.ok, answer.text()
    return answer.json() if answer.body() else None
