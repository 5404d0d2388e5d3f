"""`box.json`: where the box that runs in a data folder is found. Written once it listens, removed when it stops."""

import os
from contextlib import suppress
from pathlib import Path

import msgspec

from clawdbox.cli import paths


class Running(msgspec.Struct, frozen=True):
    """`socket` is the admin socket, which is elsewhere when the data folder's path is too long for one."""

    pid: int
    port: int
    address: str
    socket: str


def read(data_dir: Path) -> Running | None:
    """None when no box runs, or not yet. After a crash it may tell of a box that is gone."""
    try:
        return msgspec.json.decode((data_dir / paths.RUNNING).read_bytes(), type=Running)
    except (OSError, msgspec.MsgspecError):
        return None


def write(data_dir: Path, running: Running) -> None:
    """All or nothing: whoever waits for the file reads a whole one."""
    temporary = data_dir / f".{paths.RUNNING}.new"
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(msgspec.json.encode(running) + b"\n")
    temporary.rename(data_dir / paths.RUNNING)


def remove(data_dir: Path) -> None:
    with suppress(FileNotFoundError):
        (data_dir / paths.RUNNING).unlink()
