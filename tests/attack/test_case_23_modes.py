"""Whatever the umask allows, what the box writes is its user's alone (case 23)."""

import os
import stat
from pathlib import Path

from tests.cli.command import Served, clawdbox


def test_case_23_what_the_box_writes_is_its_users_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        served = Served(tmp_path / "box", "--demo").wait()
        exported = tmp_path / "box" / "audit.csv"
        done = clawdbox("audit", "export", "--output", exported, "--data-dir", served.data_dir)
        assert done.returncode == 0, done.stderr
        found = {path.name: path.lstat() for path in served.data_dir.rglob("*")}
        assert served.stop() == 0
    finally:
        os.umask(before)
        served.end()
    assert {"clawdbox.db", "master.keyring", "host.key", "audit.jsonl", "admin.sock", "audit.csv"} <= set(
        found
    )
    open_to_others = {
        name: stat.filemode(seen.st_mode)
        for name, seen in found.items()
        if stat.S_IMODE(seen.st_mode) & 0o077
    }
    assert open_to_others == {}
    assert stat.S_IMODE(served.data_dir.stat().st_mode) == 0o700
