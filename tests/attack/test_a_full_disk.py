"""A disk without room: the first start says so and can be repeated, and whoever is signed in can still look."""

import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from clawdbox.errors import Unavailable
from tests.cli.command import clawdbox, environment
from tests.web.served import Client, Served


def test_a_first_start_without_room_says_so_and_can_be_repeated(tmp_path: Path) -> None:
    room = 64 * 1024
    done = subprocess.run(
        [sys.executable, "-m", "clawdbox", "token", "create", "--name", "x", "--data-dir", tmp_path / "box"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment(),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("clawdbox: The disk of the box is full")
    assert "Traceback" not in done.stderr
    again = clawdbox("token", "create", "--name", "x", "--data-dir", tmp_path / "box")
    assert again.returncode == 0, again.stderr


async def test_a_login_is_good_although_its_use_cannot_be_written_down(
    served: Served, phone: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_room(*_: Any) -> None:
        raise Unavailable("storage_full", "Full.")

    served.turn(120)  # so that its use is worth writing down
    monkeypatch.setattr(served.box.store, "write", no_room)
    assert (await phone.get("/connections")).status_code == 200
    assert (await phone.post("/keys", {"label": "new"})).status_code == 503
