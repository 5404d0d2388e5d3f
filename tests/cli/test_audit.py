"""The trail is read, and a broken one is found."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.cli.command import answer, clawdbox


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A box with six rows: an account and its key, three times."""
    folder = tmp_path_factory.mktemp("audit") / "box"
    for name in ("Anna", "Ben"):
        assert clawdbox("account", "create", name, "--data-dir", folder).returncode == 0
    return folder


@pytest.fixture
def where(made: Path, data_dir: Path) -> list[str]:
    shutil.copytree(made, data_dir)
    return ["--data-dir", str(data_dir)]


def tamper(data_dir: Path, *statements: str) -> None:
    db = sqlite3.connect(data_dir / "clawdbox.db")
    with db:
        for trigger in ("update", "delete"):
            db.execute(f"DROP TRIGGER IF EXISTS audit_log_is_append_only_{trigger}")
        for statement in statements:
            db.execute(statement)
    db.close()


def test_a_whole_trail_is_whole(where: list[str]) -> None:
    done = clawdbox("audit", "verify", *where)
    assert (done.returncode, done.stdout) == (0, "The audit trail is whole: 6 rows.\n")
    assert answer("audit", "verify", "--json", *where) == {"rows": 6, "first_bad": None, "reason": None}


@pytest.mark.parametrize(
    "statement, first_bad",
    [
        ("UPDATE audit_log SET action = 'nothing' WHERE id = 3", 3),
        ("UPDATE audit_log SET detail = '{\"x\": 1}' WHERE id = 2", 2),
        ("UPDATE audit_log SET created_at = 'no time' WHERE id = 4", 4),
        ("DELETE FROM audit_log WHERE id = 5", 5),
        ("DELETE FROM audit_log WHERE id = 6", 6),
    ],
)
def test_the_first_bad_row_is_named(where: list[str], data_dir: Path, statement: str, first_bad: int) -> None:
    tamper(data_dir, statement)
    done = clawdbox("audit", "verify", *where)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"broken at row {first_bad}:" in done.stderr


def test_a_tail_cut_off_together_with_its_counter_is_found_by_the_file(
    where: list[str], data_dir: Path
) -> None:
    tamper(
        data_dir,
        "DELETE FROM audit_log WHERE id = 6",
        "UPDATE sqlite_sequence SET seq = 5 WHERE name = 'audit_log'",
    )
    done = clawdbox("audit", "verify", *where)
    assert done.returncode == 1
    assert "cut off" in done.stderr


def test_the_newest_rows_come_last(where: list[str]) -> None:
    entries = answer("audit", "list", "--limit", "2", "--json", *where)
    assert [entry["id"] for entry in entries] == [5, 6]
    table = clawdbox("audit", "list", *where).stdout.splitlines()
    assert table[0].startswith("ROW  TIME")
    assert len(table) == 7


def test_the_append_only_copy_is_where_it_says(where: list[str]) -> None:
    path = Path(clawdbox("audit", "path", *where).stdout.strip())
    assert len(path.read_text().splitlines()) == 6
