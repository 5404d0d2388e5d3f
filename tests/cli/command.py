"""The real command as a process, on a data folder of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.waiting import eventually_sync

START_S = 90.0
STOP_S = 40.0


def environment(**more: str) -> dict[str, str]:
    """Nothing of the caller's own boxes."""
    kept = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(("CLAWDBOX_", "XDG_", "NOTIFY_")) and name != "STATE_DIRECTORY"
    }
    return kept | more


def clawdbox(
    *arguments: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "clawdbox", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        stdin=subprocess.DEVNULL,
        cwd=cwd,
        env=environment() if env is None else env,
    )


def answer(*arguments: str | Path) -> Any:
    """The JSON that a command printed."""
    done = clawdbox(*arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Served:
    """A `clawdbox serve` that is running, and what it printed so far."""

    def __init__(
        self, data_dir: Path, *flags: str, stdout: int | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        self.data_dir = data_dir
        data_dir.parent.mkdir(parents=True, exist_ok=True)
        self._log = data_dir.parent / f"{data_dir.name}.log"
        self._out = data_dir.parent / f"{data_dir.name}.out"
        with self._out.open("ab") as out, self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *[sys.executable, "-m", "clawdbox", "serve", "--data-dir", str(data_dir), "--port", "0"],
                    *flags,
                ],
                stdin=subprocess.DEVNULL,
                stdout=out if stdout is None else stdout,
                stderr=log,
                env=environment() if env is None else env,
            )

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def box(self) -> dict[str, Any] | None:
        file = self.data_dir / "box.json"
        return json.loads(file.read_text()) if file.exists() else None

    @property
    def address(self) -> str:
        box = self.box
        assert box is not None
        return f"http://127.0.0.1:{box['port']}"

    def wait(self) -> "Served":
        """Until it serves."""

        def serves() -> bool:
            assert self.process.poll() is None, self.log
            box = self.box
            return box is not None and box["pid"] == self.process.pid

        try:
            eventually_sync(serves, timeout=START_S, what="box.json")
        except AssertionError:
            self.end()
            raise
        return self

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(STOP_S)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
