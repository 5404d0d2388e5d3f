"""The tree as git sees it: what is committed, and what would be."""

import functools
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@functools.cache
def files() -> tuple[Path, ...]:
    """Every file that git tracks or would, as it lies on disk."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    answer = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return tuple(ROOT / name for name in sorted(set(answer.split("\0"))) if name and (ROOT / name).is_file())


def texts() -> list[tuple[Path, str]]:
    """Those that are text, with their content."""
    found = []
    for file in files():
        content = file.read_bytes()
        if b"\0" not in content:
            found.append((file, content.decode()))
    return found


def matching(*patterns: str) -> list[Path]:
    return [file for file in files() if any(file.relative_to(ROOT).match(pattern) for pattern in patterns)]


def name(file: Path) -> str:
    return str(file.relative_to(ROOT))
