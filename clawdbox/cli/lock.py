"""The instance lock: whoever holds it is the one writer of a data folder.

The kernel lets go of it when its holder dies, however it dies, so a lock file that lies there means nothing.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clawdbox.cli import exits, paths

_POLL_S = 0.05


@contextmanager
def held(data_dir: Path, patience_s: float = 0.0) -> Iterator[None]:
    """Raises Stop(`box_running`, 75) when another process still holds it after `patience_s`."""
    path = data_dir / paths.LOCK
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise exits.Stop(
            "cannot_create", f"{path} cannot be opened: {error.strerror}.", exits.CANNOT_CREATE
        ) from None
    try:
        _take(handle, data_dir, time.monotonic() + patience_s)
        yield
    finally:
        os.close(handle)


def is_held(data_dir: Path) -> bool:
    """Whether some process holds it now. Nothing is made where there is no box."""
    if not (data_dir / paths.LOCK).exists():
        return False
    try:
        with held(data_dir):
            return False
    except exits.Stop as problem:
        if problem.exit_code == exits.BUSY:
            return True
        raise


def _take(handle: int, data_dir: Path, deadline: float) -> None:
    while not _try(handle):
        if time.monotonic() >= deadline:
            raise _taken(handle, data_dir)
        time.sleep(_POLL_S)
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)


def _try(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _taken(handle: int, data_dir: Path) -> exits.Stop:
    pid = os.pread(handle, 32, 0).decode("ascii", "replace").strip()
    return exits.Stop(
        "box_running",
        f"Another clawdbox (process {pid or 'unknown'}) holds {data_dir}. Stop it first, or use another --data-dir.",
        exits.BUSY,
    )
