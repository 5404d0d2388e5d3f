"""`clawdbox keyring`: what opens a box is changed, lost and made anew."""

import asyncio
import contextlib
import fcntl
import os
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from clawdbox.app import Box
from clawdbox.settings import Settings
from clawdbox.vault import Keyring, SlotType
from tests.cli.command import STOP_S, Served, answer, clawdbox, environment
from tests.waiting import eventually_sync

PASSPHRASE = "correct horse battery staple"
Serve = Callable[..., Served]


@pytest.fixture
def made(data_dir: Path) -> Path:
    """A box that was opened once."""

    async def once() -> None:
        async with Box.offline(data_dir, Settings()):
            pass

    asyncio.run(once())
    return data_dir


@pytest.fixture
def locked(made: Path) -> Path:
    """One that only its passphrase opens."""
    keyring = Keyring.open(made, database=made / "clawdbox.db")
    keyring.set_passphrase(PASSPHRASE)
    keyring.remove_slot(SlotType.HOST)
    return made


def given(text: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """A command with this on its standard input."""
    return subprocess.run(
        [sys.executable, "-m", "clawdbox", *map(str, arguments)],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment(),
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.suffix != ".lock"
    }


def test_a_lost_host_key_is_made_anew_with_the_words(made: Path, serve: Serve) -> None:
    words = " ".join(Keyring.open(made, database=made / "clawdbox.db").renew_recovery().reveal())
    (made / "host.key").unlink()
    before = contents(made)
    box = serve()
    assert box.process.wait(STOP_S) == 78
    assert "clawdbox keyring recover" in box.log
    wrong = given("abandon " * 23 + "art", "keyring", "recover", "--data-dir", made)
    assert wrong.returncode == 1
    assert contents(made) == before
    done = given(words, "keyring", "recover", "--data-dir", made)
    assert done.returncode == 0, done.stderr
    accounts = answer("account", "list", "--json", "--data-dir", made)
    assert [account["display_name"] for account in accounts] == ["Owner"]


@pytest.mark.long
def test_a_running_box_changes_its_slots_and_its_key(serve: Serve, data_dir: Path) -> None:
    box, where = serve().wait(), ("--data-dir", str(data_dir))
    last = clawdbox("keyring", "remove-slot", "host", *where)
    assert (last.returncode, "--even-the-last" in last.stderr) == (1, True)
    assert given(f"{PASSPHRASE}\n", "keyring", "add-slot", "passphrase", *where).returncode == 0
    [before] = answer("keyring", "status", "--json", *where)["keys"]
    assert sorted(before["slots"]) == ["host", "passphrase", "recovery"]
    rotated = given(f"{PASSPHRASE}\n", "keyring", "rotate", *where)
    assert rotated.returncode == 0, rotated.stderr
    status = answer("keyring", "status", "--json", *where)
    assert [key["state"] for key in status["keys"]] == ["active"]
    assert status["active"] != before["id"]
    assert status["recovery_words_pending"]
    busy = given("abandon " * 23 + "art", "keyring", "recover", *where)
    assert busy.returncode == 75
    assert answer("audit", "verify", "--json", *where)["first_bad"] is None
    assert box.stop() == 0
    assert PASSPHRASE not in box.log


def test_a_box_without_a_terminal_waits_for_its_passphrase(locked: Path, serve: Serve) -> None:
    where = ("--data-dir", str(locked))
    box = serve().wait()
    assert httpx.get(f"{box.address}/health").json()["status"] == "locked"
    assert clawdbox("token", "list", *where).returncode == 1
    assert answer("keyring", "status", "--json", *where)["locked"]
    wrong = httpx.post(f"{box.address}/unlock", data={"passphrase": "wrong"}, headers={"Origin": box.address})
    assert wrong.status_code == 403
    right = httpx.post(
        f"{box.address}/unlock", data={"passphrase": PASSPHRASE}, headers={"Origin": box.address}
    )
    assert right.status_code == 200, right.text
    eventually_sync(lambda: is_open(box), timeout=60, what="the box")
    assert answer("token", "list", "--json", *where) == []
    assert box.stop() == 0
    assert "Traceback" not in box.log
    assert PASSPHRASE not in box.log + box.out


def is_open(box: Served) -> bool:
    with contextlib.suppress(httpx.HTTPError, AssertionError):
        return bool(httpx.get(f"{box.address}/health").json()["status"] == "ok")
    return False


@pytest.mark.long
def test_a_waiting_box_is_unlocked_from_the_terminal_or_stopped(locked: Path, serve: Serve) -> None:
    box = serve().wait()
    assert given("wrong wrong\n", "keyring", "unlock", "--data-dir", locked).returncode == 1
    assert given(f"{PASSPHRASE}\n", "keyring", "unlock", "--data-dir", locked).returncode == 0
    eventually_sync(lambda: is_open(box), timeout=60, what="the box")
    assert box.stop() == 0
    assert serve().wait().stop() == 0, "one that still waits stops as well"


@pytest.mark.long
def test_on_a_terminal_the_passphrase_is_asked_for(locked: Path) -> None:
    ours, theirs = os.openpty()

    def take_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    command = [sys.executable, "-m", "clawdbox", "token", "list", "--json", "--data-dir", str(locked)]
    process = subprocess.Popen(
        command, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, env=environment(),
        start_new_session=True, preexec_fn=take_terminal,  # noqa: PLW1509 - one ioctl, and no thread holds a lock
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    for text in ("wrong", PASSPHRASE):
        while not shown.endswith(b"Passphrase: "):
            shown += os.read(ours, 1024)
        os.write(ours, f"{text}\n".encode())
        shown += b"."
    out, _ = process.communicate(timeout=60)
    os.close(ours)
    assert (process.returncode, out.strip()) == (0, b"[]")
    assert PASSPHRASE.encode() not in shown
