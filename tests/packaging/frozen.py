"""The one-file box, frozen once for the sources as they are."""

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "frozen"


def inputs() -> str:
    """A name for everything that goes into the binary."""
    total = hashlib.sha256(sys.version.encode())
    sources = [file for file in (ROOT / "clawdbox").rglob("*") if file.is_file() and file.suffix != ".pyc"]
    others = [ROOT / "packaging" / "clawdbox.spec", *(ROOT / "requirements").glob("*.txt")]
    for file in sorted([*sources, *others]):
        total.update(f"{file.relative_to(ROOT)}\0{file.stat().st_size}\0".encode() + file.read_bytes())
    return total.hexdigest()[:20]


def frozen() -> Path:
    """The binary of these sources; made anew, with the real spec, when any of them changed."""
    binary = CACHE / inputs() / "clawdbox"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test runs may want it at once
        if not binary.is_file():
            freeze(binary)
    return binary


def freeze(binary: Path) -> None:
    for old in CACHE.iterdir():
        if old.is_dir():
            shutil.rmtree(old)
    making = CACHE / "making"
    options = ["--log-level=WARN", "--noconfirm", f"--distpath={making}", f"--workpath={CACHE / 'work'}"]
    command = [sys.executable, "-m", "PyInstaller", *options, str(ROOT / "packaging" / "clawdbox.spec")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    making.rename(binary.parent)
