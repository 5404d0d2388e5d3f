"""Real programs from npm, each pinned by a lock of its own and installed once below `.cache`."""

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_INSTALL_S = 900


def installed(lock: Path, name: str) -> Path:
    """The folder `node_modules` of that lock, made when it is missing or the lock has changed."""
    total = hashlib.sha256(
        b"".join((lock / file).read_bytes() for file in ("package.json", "package-lock.json"))
    )
    cache = ROOT / ".cache" / name
    folder = cache / total.hexdigest()[:20]
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # several test runs may want it at once
        if not folder.is_dir():
            _install(lock, cache, folder)
    return folder / "node_modules"


def _install(lock: Path, cache: Path, folder: Path) -> None:
    for old in cache.iterdir():
        if old.is_dir():
            shutil.rmtree(old)
    making = cache / "making"
    shutil.copytree(lock, making)
    npm = npm_command()
    done = subprocess.run(
        [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=making, capture_output=True, text=True, check=False, timeout=_INSTALL_S,
        env=os.environ | {"PATH": os.pathsep.join([str(Path(npm[0]).parent), os.environ.get("PATH", os.defpath)])},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    making.rename(folder)


def npm_command() -> list[str]:
    """As the UI is built with it: from PATH, or the one that PyPI brings."""
    spec = importlib.util.spec_from_file_location("build_ui", ROOT / "packaging" / "build_ui.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    command: list[str] = module.npm_command()
    return command
