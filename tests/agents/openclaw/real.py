"""The real OpenClaw gateway from npm, pinned by its lock, on the Node that it wants, with a scripted model behind it.

    with RealGateway(folder, model.openai_url, model.models[0]) as gateway:
        ...  # gateway.url, gateway.token; gateway.kill(), gateway.start(); gateway.openclaw("devices", "list")

Its home, state and workspace are in one folder; nothing of this user's own is read. Anyone may install it: npm serves
both, and its folder below `.cache` is made once for each lock.
"""

import contextlib
import hashlib
import json
import os
import platform
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.agents.programs import installed

LOCK = Path(__file__).parent / "npm"
MODEL = "scripted-1"
_START_S, _COMMAND_S, _STOP_S = 180, 90, 20
_MACHINES = {"x86_64": "x64", "aarch64": "arm64"}


class RealGateway:
    def __init__(self, folder: Path, model_url: str) -> None:
        self.folder = folder
        self.work = folder / "work"
        self.token = hashlib.sha256(os.urandom(32)).hexdigest()
        self.port = _free_port()
        self._modules = installed(LOCK, "openclaw")
        self._config = folder / "openclaw.json"
        self._log = folder / "gateway.log"
        self._process: subprocess.Popen[bytes] | None = None
        for name in ("home", "work", "state"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self.device: bytes | None = None  # the key of one that was let in
        self._configure(model_url)

    def _configure(self, model_url: str) -> None:
        """It lets nobody in by itself, not even a device on its own machine."""
        model = {
            "id": MODEL, "name": "Scripted", "reasoning": False, "input": ["text"], "contextWindow": 120000,
            "cost": {"input": 1, "output": 2, "cacheRead": 0, "cacheWrite": 0}, "maxTokens": 8192,
        }  # fmt: skip
        provider = {
            "baseUrl": model_url,
            "apiKey": "sk-scripted",
            "api": "openai-completions",
            "models": [model],
        }
        config: dict[str, Any] = {
            "gateway": {
                "mode": "local", "port": self.port, "bind": "loopback", "controlUi": {"enabled": False},
                "auth": {"mode": "token", "token": self.token},
                "nodes": {"pairing": {"autoApproveLocal": False}},
            },
            "agents": {"defaults": {"model": {"primary": f"scripted/{MODEL}"}, "workspace": str(self.work)}},
            "models": {"mode": "replace", "providers": {"scripted": provider}},
            "plugins": {"enabled": False},
            "update": {"checkOnStart": False},
        }  # fmt: skip
        self._config.write_text(json.dumps(config))

    # its life

    def start(self) -> None:
        assert self._process is None
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._argv("gateway", "run"), cwd=self.work, env=self._environment(),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            if b"http server listening" in self._log.read_bytes().rpartition(b"loading configuration")[2]:
                return
            time.sleep(0.05)
        raise AssertionError(f"the gateway did not start: {self.log()[-4000:]}")

    def kill(self) -> None:
        """-9, with whatever it runs."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait(_STOP_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # helpers of its own

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()  # asked to, it takes its time

    # what a test wants of it

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def openclaw(self, *words: str) -> str:
        """What its own command prints, run on its machine as a person would."""
        done = subprocess.run(
            self._argv(*words), cwd=self.work, env=self._environment(), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=_COMMAND_S,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _argv(self, *words: str) -> list[str]:
        return [str(self._node), str(self._modules / "openclaw" / "openclaw.mjs"), *words]

    @property
    def _node(self) -> Path:
        return self._modules / f"node-linux-{_MACHINES[platform.machine()]}" / "bin" / "node"

    def _environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(self._node.parent), os.environ.get("PATH", os.defpath)])
        kept = {name: os.environ[name] for name in ("LANG", "TERM", "TZ") if name in os.environ}
        return {
            **kept, "PATH": path, "HOME": str(self.folder / "home"), "SHELL": "/bin/sh",
            "OPENCLAW_STATE_DIR": str(self.folder / "state"), "OPENCLAW_CONFIG_PATH": str(self._config),
            "OPENCLAW_DISABLE_BONJOUR": "1", "NO_COLOR": "1", "TMPDIR": str(self.folder),
        }  # fmt: skip


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
