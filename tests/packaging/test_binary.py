"""The frozen box starts, answers and stops: nothing in the house needs the source tree."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from clawdbox import __version__
from clawdbox.cli import COMMANDS
from tests.agents.model_server.script import Script
from tests.agents.model_server.server import ModelServer
from tests.packaging.frozen import frozen
from tests.ssh.sshd import Sshd
from tests.waiting import eventually_sync

# Frozen once, in one process; freezing takes its minutes while the other tests run beside it.
pytestmark = [pytest.mark.xdist_group("binary"), pytest.mark.timeout(900)]
MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def binary() -> Path:
    return frozen()


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A machine with nothing of ours: no Python, no variables, an empty home."""
    (tmp_path / "tmp").mkdir()
    return {"PATH": os.defpath, "HOME": str(tmp_path), "TMPDIR": str(tmp_path / "tmp")}


@pytest.fixture
def box(binary: Path, environment: dict[str, str], tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`clawdbox serve` on a port of its choice, with an empty data folder."""
    command = [str(binary), "serve", "--data-dir", str(tmp_path / "data"), "--port", "0"]
    command.append("--allow-loopback")
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def address(box: subprocess.Popen[bytes], folder: Path) -> str:
    def listening() -> str | None:
        assert box.poll() is None, (folder / "log").read_text()
        file = folder / "data" / "box.json"
        return f"http://127.0.0.1:{json.loads(file.read_text())['port']}" if file.is_file() else None

    return str(eventually_sync(listening, timeout=60, what="box.json"))


def test_the_binary_tells_its_version(binary: Path, environment: dict[str, str]) -> None:
    answer = subprocess.run(
        [str(binary), "version"], env=environment, capture_output=True, text=True, check=False
    )
    assert (answer.returncode, answer.stderr) == (0, "")
    assert __version__ in answer.stdout


def test_the_binary_has_every_command(binary: Path, environment: dict[str, str]) -> None:
    """They are imported late, where PyInstaller doesn't see them."""
    failed = {
        command: answer.stderr
        for command in COMMANDS
        if (answer := run(binary, environment, command, "--help")).returncode or "Usage:" not in answer.stdout
    }
    assert failed == {}


def run(binary: Path, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(binary), *arguments], env=environment, capture_output=True, text=True, check=False
    )


def test_the_box_is_healthy_shows_its_ui_and_ends_well(box: subprocess.Popen[bytes], tmp_path: Path) -> None:
    with httpx.Client(base_url=address(box, tmp_path), timeout=60) as client:
        health = client.get("/health")
        assert health.status_code == 200, health.text
        assert health.json()["status"] == "ok"
        assert health.json()["version"] == __version__
        page = client.get("/")
        assert page.headers["content-type"].startswith("text/html")
        assert "<script" in page.text
        assert client.get("/schema/openapi.json").json()["openapi"].startswith("3.1")
    box.send_signal(signal.SIGTERM)
    assert box.wait(30) == 0, (tmp_path / "log").read_text()
    assert list((tmp_path / "tmp").iterdir()) == [], "what it had unpacked is gone again"


class Caller(httpx.Client):
    """A script with a token of the frozen box's own making."""

    def __init__(self, binary: Path, environment: dict[str, str], folder: Path, origin: str) -> None:
        made = run(binary, environment, "token", "create", "--name", "t", "--data-dir", str(folder / "data"))
        assert made.returncode == 0, made.stderr
        token = {"authorization": f"Bearer {made.stdout.strip()}"}
        super().__init__(base_url=f"{origin}/api/v1", headers=token, timeout=60, trust_env=False)

    def of(self, method: str, path: str, status: int, body: Any = None, **more: Any) -> Any:
        answer = self.request(method, path, json=body, **more)
        assert answer.status_code == status, answer.text
        return answer.json()

    def session(self, server: Sshd) -> tuple[Any, Any]:
        """A connection to that server, approved and tested, and a session on it."""
        server.authorize(self.of("GET", "/keys", 200)["keypairs"][0]["public_key"])
        target = {"label": "nas", "host": server.host, "port": server.port, "username": server.username}
        connection = self.of("POST", "/connections", 201, target)["connection"]
        shown = {"accept_host_key": True, "fingerprint": server.fingerprint()}
        assert self.of("POST", f"/connections/{connection['id']}/test", 200, shown)["result"] == "ok"
        return connection, self.of("POST", "/sessions", 201, {"connection_id": connection["id"]})["session"]


@pytest.fixture
def page(tmp_path: Path) -> Iterator[int]:
    """The port of a web app on the server that shows one page."""
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "index.html").write_text("a page of the server")
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(quiet, directory=str(tmp_path / "www"))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_the_box_works_on_a_real_server(
    box: subprocess.Popen[bytes],
    binary: Path,
    environment: dict[str, str],
    tmp_path: Path,
    server: Sshd,
    page: int,
) -> None:
    """What only a real use imports: a shell's grammar, HTTP over SSH, models' clients, the protocol of control sockets."""
    with Caller(binary, environment, tmp_path, address(box, tmp_path)) as caller:
        _connection, session = caller.session(server)
        here = f"/sessions/{session['id']}"
        assert caller.of("POST", f"{here}/exec", 200, {"command": "echo hi"})["stdout"] == "hi\n"
        listed = caller.of("GET", f"{here}/files", 200, params={"path": str(tmp_path / "www")})
        assert [entry["name"] for entry in listed["entries"]] == ["index.html"]
        variables = [{"name": "service", "kind": "text"}]
        safe = {"label": "one", "command": "systemctl restart -- {{service}}", "variables": variables}
        caller.of("POST", "/snippets", 201, safe)
        caller.of("POST", "/snippets", 422, {**safe, "label": "two", "command": "sh -c '{{service}}'"})
        web = caller.of("POST", f"{here}/forwards", 201, {"kind": "web", "target_port": page})["forward"]
        opening = caller.of("POST", f"{here}/forwards/{web['id']}/open", 201)
        with httpx.Client(timeout=30, trust_env=False) as browser:
            entered = browser.post(opening["url"], data={"ticket": opening["ticket"]})
            assert entered.status_code == 200, entered.text
            assert browser.get(entered.url.join("/")).text == "a page of the server"
        with ModelServer(Script(*["yes"] * 2)) as models:
            for kind, url in (("openai", models.openai_url), ("anthropic", models.anthropic_url)):
                given = {"label": kind, "kind": kind, "base_url": url, "model": "scripted-1"}
                provider = caller.of("POST", "/model-providers", 201, given)["model_provider"]
                found = caller.of("POST", f"/model-providers/{provider['id']}/test", 200)
                assert (found["ok"], found["message"]) == (True, "scripted-1 answered.")
        config = run(binary, environment, "ssh-config", "--data-dir", str(tmp_path / "data"))
        (tmp_path / "ssh_config").write_text(config.stdout)
        said = ["ssh", "-F", str(tmp_path / "ssh_config"), "nas", "echo over the box"]
        assert subprocess.run(said, capture_output=True, check=False).stdout == b"over the box\n"


def test_the_binary_is_slim(binary: Path) -> None:
    assert 5 * MEGABYTE < binary.stat().st_size < 45 * MEGABYTE
