"""The frozen box starts, answers and stops: nothing in the house needs the source tree."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from clawdbox import __version__
from clawdbox.cli import COMMANDS
from tests.packaging.frozen import frozen
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
    with httpx.Client(base_url=address(box, tmp_path), timeout=10) as client:
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


def test_the_binary_is_slim(binary: Path) -> None:
    assert 5 * MEGABYTE < binary.stat().st_size < 30 * MEGABYTE
