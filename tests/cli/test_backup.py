"""`clawdbox backup` and `clawdbox restore`: a running box is saved, lost, and there again."""

import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.command import Served, answer, clawdbox, environment
from tests.cli.test_keyring import given

PASSPHRASE = "correct horse battery staple"
Serve = Callable[..., Served]


def saved(data_dir: Path, file: Path) -> str:
    """A backup that opens with the passphrase; a token of the box, which its copy knows, too."""
    token = clawdbox("token", "create", "--name", "test", "--data-dir", data_dir).stdout.strip()
    done = given(f"{PASSPHRASE}\n", "keyring", "add-slot", "passphrase", "--data-dir", data_dir)
    assert done.returncode == 0, done.stderr
    done = clawdbox("backup", file, "--data-dir", data_dir)
    assert done.returncode == 0, done.stderr
    return token


def test_a_running_box_is_saved_and_runs_again_elsewhere(
    data_dir: Path, tmp_path: Path, serve: Serve
) -> None:
    file, new = tmp_path / "box.clawdbox", tmp_path / "new"
    served = serve(data_dir)
    saved(data_dir, file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert list((data_dir / "backups").iterdir()) == []
    told = answer("backup", "verify", file, "--data-dir", data_dir, "--json")
    assert told["recordings"] == 0
    rows = answer("audit", "list", "--json", "--data-dir", data_dir)
    assert "backup.make" in {row["action"] for row in rows}
    served.stop()
    shutil.rmtree(data_dir)

    wrong = given("not this one\n", "restore", file, "--passphrase", "--data-dir", new)
    assert (wrong.returncode, new.exists()) == (1, False)
    assert "Caps Lock" in wrong.stderr
    done = given(f"{PASSPHRASE}\n", "restore", file, "--passphrase", "--data-dir", new)
    assert done.returncode == 0, done.stderr
    assert f"clawdbox serve --data-dir {new}" in done.stdout
    serve(new)
    tokens = answer("token", "list", "--json", "--data-dir", new)
    assert [one["name"] for one in tokens] == ["test"]


def test_a_file_that_is_there_is_never_overwritten(data_dir: Path, tmp_path: Path) -> None:
    file = tmp_path / "precious"
    file.write_text("precious")
    done = clawdbox("backup", file, "--data-dir", data_dir)
    assert (done.returncode, file.read_text()) == (73, "precious")


def test_what_is_no_backup_says_so(data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"ustar" * 100)
    for verb in (["backup", "verify"], ["restore"]):
        done = given("words", *verb, tmp_path / "a.tar", "--data-dir", data_dir)
        assert done.returncode == 1
        assert "is no backup of a box" in done.stderr
    assert not data_dir.exists()


def kill_and_restore(tmp_path: Path, kills: int, seed: int) -> None:
    """Whenever a restore is killed, there is no box, or the whole one; the next restore always makes it."""
    chance, file = random.Random(seed), tmp_path / "box.clawdbox"
    saved(tmp_path / "old", file)
    longest = 0.0
    for number in range(kills):
        new = tmp_path / f"new{number}"
        started = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "clawdbox", "restore", file, "--passphrase", "--data-dir", new],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(),
        )  # fmt: skip
        assert process.stdin
        process.stdin.write(f"{PASSPHRASE}\n".encode())
        process.stdin.close()
        try:
            process.wait(timeout=None if longest == 0 else chance.uniform(0, longest))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        longest = longest or time.monotonic() - started
        if not new.exists() or not any(new.iterdir()):
            assert (
                given(f"{PASSPHRASE}\n", "restore", file, "--passphrase", "--data-dir", new).returncode == 0
            )
        assert answer("token", "list", "--json", "--data-dir", new)[0]["name"] == "test"
        assert clawdbox("audit", "verify", "--data-dir", new).returncode == 0
        assert not list(tmp_path.glob(f"new{number}?*"))
        shutil.rmtree(new)


def test_a_restore_that_is_killed_leaves_no_half_of_a_box(tmp_path: Path) -> None:
    kill_and_restore(tmp_path, kills=4, seed=3)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_hundred_restores_that_are_killed_leave_no_half_of_a_box(tmp_path: Path) -> None:
    kill_and_restore(tmp_path, kills=100, seed=4)
