"""A start that is refused says why, with a code and exit code 78, and leaves every file byte-identical."""

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from clawdbox.errors import StartRefused
from clawdbox.store.migrate import migrate
from clawdbox.store.peek import peek_meta
from clawdbox.vault import Keyring, verify_database

INSTANCE = "01900000-0000-7000-8000-000000000001"
OTHER = "01900000-0000-7000-8000-000000000002"
NOW = datetime(2026, 11, 21, tzinfo=UTC)
KILLED = """
import os, signal, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
for line in sys.argv[2:]:
    db.execute(line)
os.kill(os.getpid(), signal.SIGKILL)
"""


def database(folder: Path) -> Path:
    return folder / "clawdbox.db"


def killed_after(path: Path, *statements: str) -> None:
    """Run statements in a process that dies by kill -9, so that whatever logs it wrote stay behind."""
    ran = subprocess.run([sys.executable, "-c", KILLED, str(path), *statements], check=False)
    assert ran.returncode == -9


def make_box(folder: Path, instance: str = INSTANCE, *, killed: bool = False) -> Keyring:
    keyring, _ = Keyring.create(folder, instance, database=database(folder), environ={})
    migrate(database(folder), NOW)
    rows = [f"INSERT INTO box_meta VALUES ('{key}', '{value}')" for key, value in keyring.meta_rows().items()]
    if killed:
        killed_after(database(folder), *rows)
        assert (folder / "clawdbox.db-wal").stat().st_size > 0
    else:
        db = sqlite3.connect(database(folder), isolation_level=None)
        for row in rows:
            db.execute(row)
        db.close()
        assert not (folder / "clawdbox.db-wal").exists()
    return keyring


def start(folder: Path) -> str:
    """What the box does before it writes."""
    keyring = Keyring.open(folder, database=database(folder), environ={})
    return verify_database(keyring, database(folder))


class File(NamedTuple):
    mode: int
    modified: int
    content: bytes | str


def look(path: Path) -> File:
    info = path.lstat()
    content = str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else ""
    return File(info.st_mode, info.st_mtime_ns, content)


def files(folder: Path) -> dict[str, File]:
    """All but SQLite's `-shm`, a cache that holds nothing a database needs."""
    paths = [folder, *(path for path in folder.rglob("*") if not path.name.endswith("-shm"))]
    return {str(path): look(path) for path in paths if path != folder} | {
        ".": File(folder.stat().st_mode, 0, "")
    }


@pytest.fixture(params=[False, True], ids=["closed", "killed"])
def box(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A box that was stopped properly, and one that died with its last writes in the log only."""
    make_box(tmp_path / "data", killed=request.param)
    return tmp_path / "data"


def exchange(folder: Path, instance: str, *names: str) -> None:
    """Put files of another box in place of this one's."""
    other = folder.with_name("other")
    make_box(other, instance)
    for name in names:
        shutil.copy(other / name, folder / name)


def remove_database(folder: Path) -> Path:
    for path in folder.glob("clawdbox.db*"):
        path.unlink()
    return folder


def link(path: Path, target: str = "elsewhere") -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(target)


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def replace_by_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def sql(folder: Path, statement: str) -> None:
    db = sqlite3.connect(database(folder), isolation_level=None)
    db.execute(statement)
    db.close()


REFUSALS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no keyring": (lambda box: (box / "master.keyring").unlink(), "keyring_missing"),
    "no host key": (lambda box: (box / "host.key").unlink(), "keyring_host_key_missing"),
    "host key of another box": (lambda box: exchange(box, OTHER, "host.key"), "keyring_wrong_key"),
    "host key cut short": (lambda box: os.truncate(box / "host.key", 20), "keyring_wrong_key"),
    "host key emptied": (lambda box: os.truncate(box / "host.key", 0), "keyring_wrong_key"),
    "both of another box": (
        lambda box: exchange(box, OTHER, "host.key", "master.keyring"),
        "keyring_foreign_database",
    ),
    "another key of this name": (
        lambda box: exchange(box, INSTANCE, "host.key", "master.keyring"),
        "keyring_wrong_key",
    ),
    "database of another box": (
        lambda box: exchange(remove_database(box), OTHER, "clawdbox.db"),
        "keyring_foreign_database",
    ),
    "check row gone": (
        lambda box: sql(box, "DELETE FROM box_meta WHERE key = 'keyring_check'"),
        "keyring_wrong_key",
    ),
    "check row damaged": (
        lambda box: sql(box, "UPDATE box_meta SET value = 'AAAA' WHERE key = 'keyring_check'"),
        "keyring_wrong_key",
    ),
    "instance row gone": (
        lambda box: sql(box, "DELETE FROM box_meta WHERE key = 'instance_id'"),
        "keyring_foreign_database",
    ),
    "another program's database": (
        lambda box: sql(remove_database(box), "CREATE TABLE photos (id)"),
        "keyring_foreign_database",
    ),
    "no database file": (
        lambda box: database(box).write_bytes(b"this is not a database, whatever its name " * 100),
        "database_unreadable",
    ),
    "keyring emptied": (lambda box: os.truncate(box / "master.keyring", 0), "keyring_corrupt"),
    "keyring cut": (lambda box: os.truncate(box / "master.keyring", 300), "keyring_corrupt"),
    "keyring too large": (lambda box: os.truncate(box / "master.keyring", 1 << 20), "keyring_corrupt"),
    "keyring readable by the group": (
        lambda box: (box / "master.keyring").chmod(0o640),
        "keyring_permissions",
    ),
    "keyring readable by all": (lambda box: (box / "master.keyring").chmod(0o604), "keyring_permissions"),
    "host key readable by all": (lambda box: (box / "host.key").chmod(0o644), "keyring_permissions"),
    "folder open": (lambda box: box.chmod(0o755), "keyring_directory_permissions"),
    "keyring linked": (lambda box: link(box / "master.keyring"), "keyring_symlink"),
    "keyring linked to nothing": (
        lambda box: link(box / "master.keyring", "nowhere"),
        "keyring_symlink",
    ),
    "host key linked": (lambda box: link(box / "host.key"), "keyring_symlink"),
    "keyring is a folder": (lambda box: replace_by_folder(box / "master.keyring"), "keyring_not_a_file"),
    "host key is a fifo": (lambda box: replace_by_fifo(box / "host.key"), "keyring_not_a_file"),
}


@pytest.mark.parametrize("spoil, code", REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refused_start_has_its_code_and_changes_nothing(
    box: Path, spoil: Callable[[Path], object], code: str
) -> None:
    spoil(box)
    before = files(box)
    with pytest.raises(StartRefused) as caught:
        start(box)
    assert (caught.value.code, caught.value.exit_code) == (code, 78)
    assert files(box) == before


def test_a_proper_start_changes_nothing_either(box: Path) -> None:
    before = files(box)
    assert start(box) == "matches"
    assert files(box) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("name", ["master.keyring", "host.key", "."])
def test_a_file_of_another_user_is_refused(box: Path, name: str) -> None:
    os.chown(box / name, 65534, -1)
    with pytest.raises(StartRefused) as caught:
        start(box)
    assert caught.value.code == "keyring_owner"


def test_a_folder_of_another_user_is_refused(box: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.geteuid()
    monkeypatch.setattr("clawdbox.vault.files.os.geteuid", lambda: real + 1)
    with pytest.raises(StartRefused) as caught:
        start(box)
    assert caught.value.code == "keyring_owner"


@pytest.mark.parametrize("left", ["clawdbox.db", "clawdbox.db-wal"])
def test_no_key_is_ever_made_beside_a_database(tmp_path: Path, left: str) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    (folder / left).write_bytes(b"x")
    before = files(folder)
    with pytest.raises(StartRefused) as caught:
        Keyring.create(folder, INSTANCE, database=database(folder), environ={})
    assert caught.value.code == "keyring_missing"
    assert files(folder) == before


def test_no_key_is_made_beside_a_linked_database(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    database(folder).symlink_to("/mnt/not-mounted-yet/clawdbox.db")
    with pytest.raises(StartRefused) as caught:
        Keyring.create(folder, INSTANCE, database=database(folder), environ={})
    assert caught.value.code == "keyring_missing"


def test_a_database_in_which_nothing_was_sealed_yet_is_new(tmp_path: Path) -> None:
    """Each of these is what a first start leaves that was killed a moment later than the one before."""
    folder = tmp_path / "data"
    Keyring.create(folder, INSTANCE, database=database(folder), environ={})
    assert start(folder) == "new"
    database(folder).touch(mode=0o600)
    assert start(folder) == "new"
    killed_after(
        database(folder), "PRAGMA journal_mode=WAL", "CREATE TABLE schema_migrations (version, applied_at)"
    )
    assert start(folder) == "new"
    remove_database(folder)
    migrate(database(folder), NOW)
    assert start(folder) == "new"


def test_a_look_at_a_closed_database_leaves_no_file_beside_it(tmp_path: Path) -> None:
    make_box(tmp_path / "data")
    before = sorted(path.name for path in (tmp_path / "data").iterdir())
    assert peek_meta(database(tmp_path / "data"))
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == before


def test_a_look_sees_what_only_the_log_of_a_killed_box_holds(tmp_path: Path) -> None:
    keyring = make_box(tmp_path / "data", killed=True)
    meta = peek_meta(database(tmp_path / "data"))
    assert meta is not None
    assert meta["instance_id"] == keyring.instance_id
    (tmp_path / "data" / "clawdbox.db-wal").unlink()
    assert peek_meta(database(tmp_path / "data")) == {}


def test_a_log_whose_index_was_lost_is_read_all_the_same(tmp_path: Path) -> None:
    make_box(tmp_path / "data", killed=True)
    (tmp_path / "data" / "clawdbox.db-shm").unlink()
    before = files(tmp_path / "data")
    assert start(tmp_path / "data") == "matches"
    assert files(tmp_path / "data") == before


def test_a_log_that_a_power_cut_tore_is_read_up_to_the_tear_and_kept(tmp_path: Path) -> None:
    make_box(tmp_path / "data", killed=True)
    wal = tmp_path / "data" / "clawdbox.db-wal"
    wal.write_bytes(wal.read_bytes()[:-100])
    before = files(tmp_path / "data")
    with pytest.raises(StartRefused):
        start(tmp_path / "data")  # the instance id is there, the check row was in the torn part
    assert files(tmp_path / "data") == before


def test_a_look_beside_a_running_box_disturbs_neither(tmp_path: Path) -> None:
    make_box(tmp_path / "data")
    db = sqlite3.connect(database(tmp_path / "data"), isolation_level=None)
    db.execute("INSERT INTO box_meta VALUES ('more', '1')")
    before = files(tmp_path / "data")
    meta = peek_meta(database(tmp_path / "data"))
    assert meta is not None
    assert meta["more"] == "1"
    assert files(tmp_path / "data") == before
    db.execute("INSERT INTO box_meta VALUES ('still', '1')")
    db.close()


def test_a_write_that_died_before_the_log_was_turned_on_is_seen_as_undone(tmp_path: Path) -> None:
    """A rollback journal is hot here: SQLite would first mend the database, which a look must not."""
    path = tmp_path / "clawdbox.db"
    spill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<3000) INSERT INTO filling SELECT i, hex(zeroblob(200)) FROM n"
    killed_after(
        path,
        "PRAGMA cache_size=5",
        "CREATE TABLE box_meta (key, value)",
        "CREATE TABLE filling (key, value)",
        "INSERT INTO box_meta VALUES ('instance_id', 'kept')",
        "BEGIN",
        "UPDATE box_meta SET value = 'undone'",
        spill,
    )
    assert (tmp_path / "clawdbox.db-journal").stat().st_size > 0
    assert b"undone" in path.read_bytes()
    before = files(tmp_path)
    assert peek_meta(path) == {"instance_id": "kept"}
    assert files(tmp_path) == before


def test_a_path_with_marks_that_mean_something_in_an_address_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "100% #1? é;x"
    make_box(folder)
    assert start(folder) == "matches"
    assert stat.S_ISREG(database(folder).stat().st_mode)
