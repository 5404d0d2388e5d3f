"""A look into the database changes nothing and shows no secret."""

import json
import sqlite3
import stat
from pathlib import Path

import pytest

from clawdbox.cli import sealed
from tests.cli.command import answer, clawdbox


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One box for all of them, since none can change it."""
    folder = tmp_path_factory.mktemp("db") / "box"
    assert clawdbox("token", "create", "--name", "x", "--data-dir", folder).returncode == 0
    return folder


@pytest.fixture(scope="module")
def secrets(data_dir: Path) -> list[str]:
    with sqlite3.connect(data_dir / "clawdbox.db") as db:
        rows = db.execute(
            "SELECT token_hash FROM app_sessions UNION SELECT private_key_enc FROM agent_keypairs"
            " UNION SELECT value FROM box_meta WHERE key = 'keyring_check'"
        ).fetchall()
    db.close()
    return [str(row[0]) for row in rows]


def query(data_dir: Path, sql: str) -> tuple[int, str, str]:
    done = clawdbox("db", "query", sql, "--format", "json", "--data-dir", data_dir)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM events",
        "DELETE FROM main.events",
        "UPDATE accounts SET display_name = 'x'",
        "INSERT INTO box_meta VALUES ('a', 'b')",
        "CREATE TABLE x (a)",
        "CREATE TEMP TABLE x (a)",
        "DROP TABLE events",
        "DROP VIEW app_sessions",
        "ATTACH 'other.db' AS other",
        "VACUUM",
        "VACUUM INTO 'copy.db'",
        "PRAGMA query_only = OFF",
        "PRAGMA writable_schema = ON",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "COMMIT",
        "SELECT 1; DELETE FROM events",
        "SELECT load_extension('x')",
    ],
)
def test_a_query_cannot_write(data_dir: Path, tmp_path: Path, sql: str) -> None:
    before = (data_dir / "clawdbox.db").read_bytes()
    done = clawdbox("db", "query", sql, "--data-dir", data_dir, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    assert (data_dir / "clawdbox.db").read_bytes() == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM app_sessions",
        "SELECT hex(token_hash) AS h FROM app_sessions",
        "SELECT private_key_enc || '' AS p FROM agent_keypairs",
        "SELECT * FROM main.app_sessions",
        "SELECT t.token_hash FROM main.app_sessions AS t",
        "SELECT value FROM main.box_meta",
        "WITH box_meta AS (SELECT value FROM main.box_meta) SELECT * FROM box_meta",
        "SELECT count(*) FROM main.app_sessions WHERE token_hash > 'a'",
        "SELECT rowid, * FROM box_meta",
        "EXPLAIN SELECT token_hash FROM main.app_sessions",
        "SELECT * FROM sqlite_dbpage",
    ],
)
def test_a_query_shows_no_secret(data_dir: Path, secrets: list[str], sql: str) -> None:
    code, out, err = query(data_dir, sql)
    assert not [secret for secret in secrets if secret in out + err or secret.encode().hex().upper() in out]
    if code == 0:
        assert sealed.SHOWN in out or sealed.SHOWN.encode().hex().upper() in out
    else:
        assert out in ("", "[]")


def test_a_comparison_with_a_secret_tells_nothing(data_dir: Path, secrets: list[str]) -> None:
    for secret in secrets:
        code, out, _ = query(
            data_dir, f"SELECT count(*) AS n FROM app_sessions WHERE token_hash = '{secret}'"
        )
        assert (code, json.loads(out)) == (0, [{"n": 0}])


def test_an_export_hides_what_is_sealed(data_dir: Path, secrets: list[str], tmp_path: Path) -> None:
    file = tmp_path / "box.json"
    done = clawdbox("db", "export", "--output", file, "--data-dir", data_dir)
    assert done.returncode == 0, done.stderr
    text = file.read_text()
    assert not [secret for secret in secrets if secret in text]
    exported = json.loads(text)
    assert exported["app_sessions"][0]["token_hash"] == "[sealed]"
    assert exported["agent_keypairs"][0]["private_key_enc"] == "[sealed]"
    assert {row["key"]: row["value"] for row in exported["box_meta"]}["keyring_check"] == "[sealed]"
    assert exported["accounts"][0]["display_name"] == "Owner"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = clawdbox("db", "export", "--output", file, "--data-dir", data_dir)
    assert again.returncode == 73
    assert file.read_text() == text


def test_every_column_of_the_schema_that_sounds_secret_is_sealed() -> None:
    """A new column named like a secret has to be judged."""
    from clawdbox.store.migrate import available

    db = sqlite3.connect(":memory:")
    for _, sql in available():
        db.executescript(sql)
    tables = [row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    columns = [(table, row[1]) for table in tables for row in db.execute(f"PRAGMA table_info({table})")]
    db.close()
    loud = {
        (table, column)
        for table, column in columns
        if any(word in column for word in ("token", "secret", "hash", "_enc", "code", "private", "password"))
    }
    harmless = {
        ("oauth_identities", "token_expires_at"), ("idempotency_keys", "request_hash"),
        ("account_settings", "turn_max_tokens"), ("turns", "input_tokens"), ("turns", "output_tokens"),
    }  # fmt: skip
    assert {pair for pair in loud - harmless if not sealed.is_sealed(*pair)} == set()


def test_tables_and_schema_tell_what_there_is(data_dir: Path) -> None:
    rows = {row["table"]: row["rows"] for row in answer("db", "tables", "--json", "--data-dir", data_dir)}
    assert (rows["accounts"], rows["app_sessions"], rows["box_meta"]) == (1, 1, 2)
    schema = clawdbox("db", "schema", "audit_log", "--data-dir", data_dir).stdout
    assert schema.startswith("CREATE TABLE audit_log")
    assert "audit_log_is_append_only_delete" in schema
    assert clawdbox("db", "schema", "nothing", "--data-dir", data_dir).returncode == 2


def test_rows_can_be_read_as_csv_and_as_a_table(data_dir: Path) -> None:
    sql = "SELECT display_name, role FROM accounts"
    assert clawdbox("db", "query", sql, "--format", "csv", "--data-dir", data_dir).stdout == (
        "display_name,role\nOwner,owner\n"
    )
    assert (
        clawdbox("db", "query", sql, "--data-dir", data_dir).stdout
        == "display_name  role\nOwner         owner\n"
    )


def test_a_mistake_in_the_sql_is_a_sentence(data_dir: Path) -> None:
    code, out, err = query(data_dir, "SELEKT 1")
    assert (code, out) == (1, "")
    assert err.startswith("clawdbox: Near")
