"""Starting the box and its bare peers as processes of their own, as a person would."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec

BARE_APP = Path(__file__).with_name("bare_app.py")
_ENV = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


class Running(msgspec.Struct, frozen=True):
    """A server that answers. `start_s` is the time from its start to its first healthy answer."""

    address: str
    pid: int
    start_s: float

    @property
    def memory_mb(self) -> float:
        """Private and shared-by-part memory (PSS) in MB, as the kernel counts it."""
        for line in Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
        raise RuntimeError("the kernel does not tell the memory of a process")


@contextmanager
def box(data_dir: Path, *settings: str) -> Iterator[Running]:
    env = _ENV | dict(setting.split("=", 1) for setting in settings)
    command = [sys.executable, "-m", "clawdbox", "serve", "--data-dir", str(data_dir), "--port", "0"]
    begun = time.perf_counter()
    with _process(command, env) as process:
        yield _healthy(process, lambda: _address(data_dir), begun)


@contextmanager
def bare_app() -> Iterator[Running]:
    with _process([sys.executable, str(BARE_APP), "0"], _ENV, pipe=True) as process:
        begun = time.perf_counter()
        assert process.stdout is not None
        address = process.stdout.readline().decode().strip()
        yield _healthy(process, lambda: address, begun)


def started_in(command: str, work: Path) -> float:
    """Seconds from the start of a fresh process to its first healthy answer."""
    begun = time.perf_counter()
    if command == "box":
        with box(work) as running:
            return running.start_s
    with _process([sys.executable, str(BARE_APP), "0"], _ENV, pipe=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().decode().strip()
        return _healthy(process, lambda: address, begun).start_s


def clawdbox(data_dir: Path, *args: str) -> str:
    command = [sys.executable, "-m", "clawdbox", *args, "--data-dir", str(data_dir)]
    return subprocess.run(command, env=_ENV, check=True, capture_output=True, text=True).stdout.strip()


@contextmanager
def _process(
    command: list[str], env: dict[str, str], *, pipe: bool = False
) -> Iterator["subprocess.Popen[bytes]"]:
    out = subprocess.PIPE if pipe else subprocess.DEVNULL
    with subprocess.Popen(command, env=env, stdout=out, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait(20)


def _address(data_dir: Path) -> str | None:
    try:
        found = json.loads((data_dir / "box.json").read_text())
    except (OSError, ValueError):
        return None
    return f"http://127.0.0.1:{found['port']}"


def _healthy(process: "subprocess.Popen[bytes]", address: object, begun: float) -> Running:
    assert callable(address)
    while time.perf_counter() - begun < 30:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        where = address()
        if where and _answers(where):
            return Running(where, process.pid, time.perf_counter() - begun)
        time.sleep(0.002)
    raise RuntimeError("the server did not come up")


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health", timeout=1, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
