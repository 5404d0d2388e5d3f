"""Signals for the demo server's processes, and their end."""

import contextlib
import os
import signal
from pathlib import Path


def signal_group(leader: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def kill_all(home: Path, leaders: set[int] | None = None) -> None:
    """Kill what still runs with this home, or only what is in the sessions that `leaders` led. The home in its
    environment is the proof that a process is the demo's, should an ended session's number be another's by now."""
    mark = f"HOME={home}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError, ValueError, IndexError):
            session = int((entry / "stat").read_bytes().rpartition(b")")[2].split()[3])
            ours = leaders is None or session in leaders
            if ours and mark in (entry / "environ").read_bytes().split(b"\0"):
                os.kill(int(entry.name), signal.SIGKILL)
