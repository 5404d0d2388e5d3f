"""Where a box keeps its files."""

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from clawdbox.cli import exits

LOCK = "box.lock"
SOCKET = "admin.sock"
RUNNING = "box.json"
AUDIT = "audit.jsonl"
KEYRING = "master.keyring"
DATABASE = "clawdbox.db"


def folder(given: Path | None, demo: bool, environment: Mapping[str, str] = os.environ) -> Path:
    """`--data-dir`, else what systemd made for the service, else the XDG data folder. The demo has one beside it."""
    if given is not None:
        return Path(os.path.abspath(given.expanduser()))  # noqa: PTH100 - resolve() would follow links
    service = environment.get("STATE_DIRECTORY", "").partition(":")[0]
    if service:
        return Path(service, "demo") if demo else Path(service)
    data_home = environment.get("XDG_DATA_HOME", "")
    parent = Path(data_home) if data_home.startswith("/") else Path.home() / ".local" / "share"
    return parent / ("clawdbox-demo" if demo else "clawdbox")


def prepare(data_dir: Path) -> None:
    """Make the folder (0700), or check whose it is and who may enter it."""
    from clawdbox.vault import prepare_folder

    try:
        data_dir.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        pass
    except OSError as error:
        raise exits.Stop(
            "cannot_create",
            f"The data folder {data_dir} cannot be made: {error.strerror}. Choose another one with --data-dir.",
            exits.CANNOT_CREATE,
        ) from None
    prepare_folder(data_dir)


def flags(data_dir: Path, demo: bool) -> str:
    """What a command needs after its name to find this box, or nothing when it would find it anyway."""
    if data_dir == folder(None, False):
        return ""
    if demo and data_dir == folder(None, True):
        return " --demo"
    return f" --data-dir {shlex.quote(str(data_dir))}"


def program() -> str:
    """How a person in this folder would type this command."""
    me = Path(sys.argv[0])
    if me.name == "__main__.py":
        return "python -m clawdbox"
    found = shutil.which("clawdbox")
    if found and Path(found).resolve() == me.resolve():
        return "clawdbox"
    return os.path.relpath(me) if me.is_relative_to(Path.cwd()) else str(me)
