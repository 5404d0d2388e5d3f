"""One writer: the lock belongs to a process, not to a file that lies there."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from clawdbox.cli import exits, lock

HOLD = """
import pathlib, sys
from clawdbox.cli import lock
with lock.held(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_it_is_held_by_one_and_free_when_its_holder_is_killed(tmp_path: Path) -> None:
    with holder(tmp_path) as other:
        assert lock.is_held(tmp_path)
        with pytest.raises(exits.Stop, match=f"process {other.pid}") as refused, lock.held(tmp_path):
            pass
        assert refused.value.exit_code == exits.BUSY
        other.kill()
        other.wait()
        assert not lock.is_held(tmp_path)
        with lock.held(tmp_path):
            pass


def test_patience_waits_for_a_command_that_is_just_finishing(tmp_path: Path) -> None:
    with holder(tmp_path) as other:
        assert other.stdin is not None
        finishing = threading.Timer(0.2, other.stdin.close)
        finishing.start()
        with lock.held(tmp_path, patience_s=20):
            assert other.wait(20) == 0
        finishing.join()


def test_looking_makes_nothing(tmp_path: Path) -> None:
    assert not lock.is_held(tmp_path)
    assert list(tmp_path.iterdir()) == []
