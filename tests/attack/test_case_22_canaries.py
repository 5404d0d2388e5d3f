"""Secrets are planted in everything a person does with the box, and then looked for wherever they must not be (case 22)."""

import io
from pathlib import Path

import httpx
import pytest

from clawdbox.events.model import SYSTEM
from tests.ssh.sshd import Sshd
from tests.waiting import eventually
from tests.web.served import Client, Make, Served
from tests.web.servers import open_terminal, start_session

pytestmark = pytest.mark.sshd
# Where secrets lie on purpose: wrapped, or as the key that unwraps them.
_VAULT = frozenset({"master.keyring", "host.key"})


class Overheard:
    """Every answer that a client got: who asked for what, and its head and body."""

    def __init__(self, client: Client) -> None:
        self.answers: list[tuple[str, str]] = []
        client.http.event_hooks["response"].append(self._hear)

    async def _hear(self, response: httpx.Response) -> None:
        body = (await response.aread()).decode("utf-8", "replace")
        name = f"{response.request.method} {response.request.url.path}"
        self.answers.append((name, f"{response.headers}\n{body}"))

    def with_text(self, secret: str) -> set[str]:
        return {name for name, text in self.answers if secret in text}


async def live(served: Served, phone: Client, sshd: Sshd) -> dict[str, str]:
    """A person's day; the secrets that came into the box in its course."""
    session = await start_session(phone, sshd)
    at = f"/sessions/{session['id']}"
    await phone.post(f"{at}/exec", {"command": "id"})
    terminal = await open_terminal(phone, session)
    await phone.post(f"{at}/terminals/{terminal['id']}/recording")
    secrets = {name: f"CANARY-{name}-5f3a9c" for name in ("model", "gateway", "ntfy", "mail")}
    for path, body in (
        ("/model-providers", {"label": "a", "kind": "openai", "base_url": "http://127.0.0.1:1/v1", "model": "m",
                              "api_key": secrets["model"]}),
        ("/openclaw-gateways", {"label": "a", "url": "ws://127.0.0.1:18789", "token": secrets["gateway"]}),
        ("/notifications/channels", {"label": "a", "kinds": ["incident"], "ntfy": {
            "server": "https://ntfy.example.com", "topic": "t", "token": secrets["ntfy"]}}),
        ("/notifications/channels", {"label": "b", "kinds": [], "email": {
            "host": "mail.example.com", "port": 465, "security": "tls", "username": "u",
            "password": secrets["mail"], "sender": "a@example.com", "to": "b@example.com"}}),
    ):  # fmt: skip
        answer = await phone.post(path, body)
        assert answer.status_code == 201, answer.text
    words = (await phone.post("/recovery-words")).json()["words"]
    await phone.get("/keys?token=" + secrets["model"])  # in an address, where it does not belong
    await phone.delete(f"{at}/terminals/{terminal['id']}")
    await phone.delete(at)
    keypair = await served.box.keys.default(served.box.owner.id)
    pem = (await served.box.keys.private_key(keypair)).decode()
    return {
        **secrets,
        "words": '","'.join(words[:4]),
        "words on paper": " ".join(words[:4]),
        "private key": pem.splitlines()[2],
        "cookie": phone.http.cookies["clawdbox_login"],
    }


async def spread(served: Served, phone: Client) -> dict[str, str]:
    """All that can be carried out of the box."""
    exports = {}
    for path in (
        "/audit/export?format=csv",
        "/audit/export?format=json",
        "/events?limit=1000",
        "/audit?limit=500",
    ):
        exports[path] = (await phone.get(path)).text
    exports["metrics"] = (await phone.ask("GET", "/metrics")).text
    exports["schema"] = (await phone.ask("GET", "/schema/openapi.json")).text
    return exports


def lies_in(folder: Path, secret: str) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name not in _VAULT]
    assert {"clawdbox.db", "clawdbox.db-wal", "audit.jsonl"} <= {path.name for path in files}
    return [path.name for path in files if secret.encode() in path.read_bytes()]


async def test_case_22_no_secret_of_a_whole_run_lies_anywhere_in_the_clear(
    log: io.StringIO, make: Make, sshd: Sshd
) -> None:
    served = await make(allow_loopback=True, rate_test_per_minute=100)
    phone = await served.browser()
    overheard = Overheard(phone)
    code = await served.box.accounts.make_pairing_code(SYSTEM, served.box.owner.id)
    script = await served.script()
    await script.get("/keys")
    secrets = await live(served, phone, sshd)
    secrets["pairing code"] = code.code
    secrets["bearer token"] = script.headers["authorization"].partition(" ")[2]
    exports = await spread(served, phone)
    folder = served.box.data_dir
    await eventually(lambda: "audit.export" in (folder / "audit.jsonl").read_text(), what="the file follows")

    told = {name: overheard.with_text(secret) for name, secret in secrets.items()}
    assert told.pop("words") == {"POST /api/v1/recovery-words"}

    assert {name for name, places in told.items() if places} == set()
    for name, secret in secrets.items():
        assert secret not in log.getvalue(), name
        assert [place for place, text in exports.items() if secret in text] == [], name
        assert lies_in(folder, secret) == [], name
    assert "web.request" in log.getvalue(), "there was a log to look into"
    assert overheard.with_text("openclaw_gateway"), "there were answers to look into"
    assert lies_in(folder, "recovery_words.reveal"), "what is searched can be found"
