"""`clawdbox db query` shows no secret, not even through joins whose columns SQLite's authorizer is not asked about."""

import sqlite3
from pathlib import Path

import pytest

from tests.cli.command import clawdbox

BLANK = "(SELECT NULL AS {column}) AS blank"
JOINS = [
    "SELECT {column} FROM {blank} FULL JOIN main.{table} USING ({column})",
    "SELECT {column} FROM main.{table} FULL JOIN {blank} USING ({column})",
    "SELECT * FROM main.{table} NATURAL FULL JOIN {blank}",
    "WITH x AS (SELECT {column} FROM {blank} FULL JOIN main.{table} USING ({column})) SELECT hex({column}) FROM x",
]
SECRETS = [("app_sessions", "token_hash"), ("agent_keypairs", "private_key_enc"), ("box_meta", "value")]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("db") / "box"
    assert clawdbox("token", "create", "--name", "x", "--data-dir", folder).returncode == 0
    return folder


def secrets(data_dir: Path, table: str, column: str) -> list[str]:
    db = sqlite3.connect(data_dir / "clawdbox.db")
    try:
        found = [str(row[0]) for row in db.execute(f"SELECT {column} FROM {table}")]
    finally:
        db.close()
    assert found
    return found


@pytest.mark.skipif(sqlite3.sqlite_version_info < (3, 39), reason="this SQLite knows no FULL JOIN")
@pytest.mark.parametrize("join", JOINS)
@pytest.mark.parametrize("table, column", SECRETS)
def test_a_join_behind_the_copy_shows_nothing(data_dir: Path, join: str, table: str, column: str) -> None:
    sql = join.format(table=table, column=column, blank=BLANK.format(column=column))
    done = clawdbox("db", "query", sql, "--format", "csv", "--data-dir", data_dir)
    assert (done.returncode, done.stdout) == (1, "")
    assert "never what is sealed" in done.stderr
    assert not [secret for secret in secrets(data_dir, table, column) if secret in done.stderr]


def test_a_join_does_not_confirm_a_guess(data_dir: Path) -> None:
    (known,) = secrets(data_dir, "app_sessions", "token_hash")
    sql = f"SELECT 1 FROM (SELECT '{known}' AS token_hash) AS guess JOIN main.app_sessions USING (token_hash)"
    assert clawdbox("db", "query", sql, "--data-dir", data_dir).returncode == 1


def test_what_is_not_sealed_can_be_joined_as_ever(data_dir: Path) -> None:
    sql = (
        "SELECT display_name, device_name, token_hash FROM accounts"
        " JOIN app_sessions ON account_id = accounts.id LEFT JOIN events USING (account_id) LIMIT 1"
    )
    done = clawdbox("db", "query", sql, "--format", "csv", "--data-dir", data_dir)
    assert done.stdout == "display_name,device_name,token_hash\nOwner,x,[sealed]\n"


def test_a_plan_can_still_be_asked_for(data_dir: Path) -> None:
    done = clawdbox("db", "query", " EXPLAIN QUERY PLAN SELECT * FROM events", "--data-dir", data_dir)
    assert "SCAN events" in done.stdout
