"""Where a master's short-lived files lie: one private folder for each, on tmpfs, so that no key touches a disk."""

import os
import pwd
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

_PREFIX = "clawdbox-ssh-"
_EXIT_PATIENCE_S = 5.0
# %f is the fingerprint of the key that the server shows, %t its type, %K the key itself (ssh_config(5), TOKENS).
# ssh also asks before it knows the key: then these are NONE.
_PIN_SCRIPT = """#!/bin/sh
[ "$2" = NONE ] || printf '%s %s\\n' "$2" "$3" >>"$CLAWDBOX_SEEN"
[ "$2" = "$CLAWDBOX_PIN" ] && printf '%s %s %s\\n' "$1" "$3" "$4"
exit 0
"""


class NoTmpfs(Exception):
    """There is nowhere to put the key that is not a disk."""


def missing() -> str | None:
    """What this machine lacks for such a master, for a person; None when it has all."""
    if ssh_program() is None:
        return "There is no `ssh` program. Install openssh-client."
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:  # it says "No user exists for uid …" and ends
        return f"`ssh` runs for no user without a name, and number {os.getuid()} has none in /etc/passwd."
    try:
        in_memory()
    except NoTmpfs as problem:
        return str(problem)
    return None


def ssh_program() -> str | None:
    return shutil.which("ssh")


class Folder:
    """The files of one master. `key` is there only until the login is over."""

    def __init__(self) -> None:
        owner = f"{_PREFIX}{os.getuid()}-{os.getpid()}-"
        self.path = Path(tempfile.mkdtemp(prefix=owner, dir=in_memory()))
        self.key = self.path / "key"
        self.control = self.path / "ctl"
        self.log = self.path / "log"
        self.pin_script = self.path / "pin"
        self.seen = self.path / "seen"

    def fill(self, private_key: bytes | bytearray) -> None:
        """Write the key and the script that compares the host key. Raises OSError."""
        _write(self.key, private_key, 0o600)
        _write(self.pin_script, _PIN_SCRIPT.encode(), 0o700)

    def forget_key(self) -> None:
        with suppress(FileNotFoundError):
            self.key.unlink()

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


def sweep() -> None:
    """After a crash: tell the masters that were left to end, and remove their files. Blocks for seconds at worst."""
    program = ssh_program()
    with suppress(NoTmpfs):
        for left in Path(in_memory()).glob(f"{_PREFIX}{os.getuid()}-*"):
            if left.is_symlink() or left.stat().st_uid != os.getuid() or _of_another_box(left):
                continue
            if program and (left / "ctl").exists():
                with suppress(subprocess.SubprocessError, OSError):
                    subprocess.run(
                        [program, "-F", "none", "-S", str(left / "ctl"), "-O", "exit", "left"],
                        stdin=subprocess.DEVNULL,
                        capture_output=True,
                        timeout=_EXIT_PATIENCE_S,
                        check=False,
                    )
            shutil.rmtree(left, ignore_errors=True)


def _of_another_box(folder: Path) -> bool:
    """Whether the process that made it still runs. This one has made none yet when it sweeps."""
    pid = folder.name.removeprefix(f"{_PREFIX}{os.getuid()}-").partition("-")[0]
    if not pid.isdecimal() or int(pid) == os.getpid():
        return False
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def _write(path: Path, content: bytes | bytearray, mode: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)


def in_memory() -> str:
    """A folder on a memory file system. Raises NoTmpfs."""
    mounts = [line.split() for line in _mounts().splitlines()]
    places = {fields[1] for fields in mounts if len(fields) > 2 and fields[2] in ("tmpfs", "ramfs")}
    for place in (os.environ.get("XDG_RUNTIME_DIR", ""), "/dev/shm", "/run/shm"):  # noqa: S108 - judged here: it must be in memory, and the folder made in it is private
        if place in places and os.access(place, os.W_OK | os.X_OK):
            return place
    raise NoTmpfs("There is no tmpfs (such as /dev/shm) on which the key could lie for a moment.")


def _mounts() -> str:
    try:
        # /proc/mounts, which leads here, is not there under systemd's ProcSubset=pid
        return Path("/proc/self/mounts").read_text(errors="replace")
    except OSError:
        return ""
