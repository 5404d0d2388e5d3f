"""The schema is what the specification lists, and what the migrations add up to."""

import re
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from clawdbox.errors import StartRefused
from clawdbox.store import migrate as migrations
from clawdbox.store.migrate import available, migrate
from clawdbox.store.schema import schema

NOW = datetime(2026, 11, 21, tzinfo=UTC)
SCHEMA = Path(migrations.__file__).with_name("schema.sql")

# Document 02, word for word: the data definition of the seven tables, without its comments.
SPECIFICATION = """
CREATE TABLE accounts (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  display_name TEXT NOT NULL,
  email TEXT,
  created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
  last_seen_at TIMESTAMPTZ,
  is_active BOOLEAN NOT NULL DEFAULT TRUE
);
CREATE TABLE oauth_identities (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  account_id UUID NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,
  provider TEXT NOT NULL,
  provider_user_id TEXT NOT NULL,
  provider_username TEXT,
  provider_email TEXT,
  access_token TEXT,
  refresh_token TEXT,
  token_expires_at TIMESTAMPTZ,
  scopes TEXT[],
  created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
  updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
  UNIQUE (provider, provider_user_id)
);
CREATE TABLE agent_keypairs (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  account_id UUID NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,
  label TEXT NOT NULL DEFAULT 'default',
  algorithm TEXT NOT NULL DEFAULT 'ed25519',
  public_key TEXT NOT NULL,
  private_key_enc TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
  rotated_at TIMESTAMPTZ,
  revoked_at TIMESTAMPTZ,
  is_active BOOLEAN NOT NULL DEFAULT TRUE,
  UNIQUE (account_id, label)
);
CREATE TABLE ssh_connections (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  account_id UUID NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,
  keypair_id UUID NOT NULL REFERENCES agent_keypairs(id),
  label TEXT NOT NULL,
  host TEXT NOT NULL,
  port INTEGER NOT NULL DEFAULT 22,
  username TEXT NOT NULL,
  host_key_fingerprint TEXT,
  last_tested_at TIMESTAMPTZ,
  last_test_result TEXT,
  created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
  updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
  deleted_at TIMESTAMPTZ,
  UNIQUE (account_id, label)
);
CREATE TABLE session_leases (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  account_id UUID NOT NULL REFERENCES accounts(id),
  connection_id UUID NOT NULL REFERENCES ssh_connections(id),
  keypair_id UUID NOT NULL REFERENCES agent_keypairs(id),
  status TEXT NOT NULL DEFAULT 'pending',
  agent_session_id TEXT,
  started_at TIMESTAMPTZ,
  closed_at TIMESTAMPTZ,
  close_reason TEXT,
  last_heartbeat_at TIMESTAMPTZ,
  error_detail TEXT,
  created_at TIMESTAMPTZ NOT NULL DEFAULT NOW()
);
CREATE TABLE app_sessions (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  account_id UUID NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,
  token_hash TEXT NOT NULL UNIQUE,
  device_name TEXT,
  ip_address INET,
  user_agent TEXT,
  created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
  expires_at TIMESTAMPTZ NOT NULL,
  last_used_at TIMESTAMPTZ,
  revoked_at TIMESTAMPTZ
);
CREATE TABLE audit_log (
  id BIGSERIAL PRIMARY KEY,
  account_id UUID REFERENCES accounts(id),
  actor TEXT,
  action TEXT NOT NULL,
  target_type TEXT,
  target_id UUID,
  ip_address INET,
  result TEXT,
  detail JSONB,
  created_at TIMESTAMPTZ NOT NULL DEFAULT NOW()
);
CREATE INDEX audit_log_account_id_idx ON audit_log(account_id);
CREATE INDEX audit_log_created_at_idx ON audit_log(created_at DESC);
"""

# Types as SQLite has them, and what a default of the specification becomes.
TYPES = {
    "UUID": "TEXT",
    "TIMESTAMPTZ": "TEXT",
    "TEXT[]": "TEXT",
    "INET": "TEXT",
    "JSONB": "TEXT",
    "BOOLEAN": "INTEGER",
}
TYPES |= {"TEXT": "TEXT", "INTEGER": "INTEGER", "BIGSERIAL": "INTEGER"}
DEFAULTS = {"TRUE": "1", "NOW()": "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')"}
# Ids are UUIDv7, made by the application: a default of the database would be of another version.
BY_APPLICATION = "gen_random_uuid()"
# Values that the specification lists in comments.
CHECKED = {
    ("ssh_connections", "last_test_result"): ("ok", "failed", "timeout", "host_key_mismatch"),
    ("session_leases", "status"): ("pending", "active", "closed", "error"),
    ("session_leases", "close_reason"): ("user", "timeout", "error", "server_closed"),
    ("audit_log", "result"): ("ok", "failed"),
}
# Unique among living rows only, since rotation and soft deletion need their labels again.
PARTIAL = {("agent_keypairs", "account_id, label"), ("ssh_connections", "account_id, label")}


def tables() -> Iterator[tuple[str, list[str]]]:
    for name, body in re.findall(r"CREATE TABLE (\w+) \((.*?)\n\);", SPECIFICATION, re.DOTALL):
        yield name, [line.strip().rstrip(",") for line in body.strip().splitlines()]


def columns() -> list[tuple[str, str]]:
    return [(table, line) for table, lines in tables() for line in lines if not line.startswith("UNIQUE")]


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    migrate(tmp_path / "new.db", NOW)
    opened = sqlite3.connect(tmp_path / "new.db")
    opened.execute("PRAGMA foreign_keys=ON")
    yield opened
    opened.close()


def test_the_specification_was_read_whole() -> None:
    assert len(list(tables())) == 7
    assert len(columns()) == 74


@pytest.mark.parametrize("table, line", columns(), ids=lambda value: value.split()[0])
def test_a_column_of_the_specification_is_there(db: sqlite3.Connection, table: str, line: str) -> None:
    name, kind, *rest = line.split()
    more = " ".join(rest)
    found = {row[1]: row for row in db.execute(f"PRAGMA table_info({table})")}
    _, _, has_type, not_null, default, primary = found[name]
    assert has_type == TYPES[kind]
    assert bool(primary) == ("PRIMARY KEY" in more)
    assert bool(not_null) == ("NOT NULL" in more) or primary
    wanted = re.search(r"DEFAULT (\S+)", more)
    if wanted and wanted[1] != BY_APPLICATION:
        assert default == DEFAULTS.get(wanted[1], wanted[1])
    else:
        assert default is None
    reference = re.search(r"REFERENCES (\w+)\((\w+)\)( ON DELETE CASCADE)?", more)
    keys = {row[3]: (row[2], row[4], row[6]) for row in db.execute(f"PRAGMA foreign_key_list({table})")}
    if reference:
        assert keys[name] == (reference[1], reference[2], "CASCADE" if reference[3] else "NO ACTION")
    else:
        assert name not in keys
    if "UNIQUE" in more:
        assert [name] in unique_columns(db, table)


def unique_columns(db: sqlite3.Connection, table: str) -> list[list[str]]:
    names = [row[1] for row in db.execute(f"PRAGMA index_list({table})") if row[2]]
    return [[row[2] for row in db.execute(f"PRAGMA index_info({name})")] for name in names]


def test_what_the_specification_calls_unique_is_unique(db: sqlite3.Connection) -> None:
    found = 0
    for table, lines in tables():
        for line in lines:
            if line.startswith("UNIQUE"):
                together = line.removeprefix("UNIQUE (").removesuffix(")")
                assert together.split(", ") in unique_columns(db, table)
                partial = [
                    row[4] for row in db.execute(f"PRAGMA index_list({table})") if row[2] and row[3] == "c"
                ]
                assert ((table, together) in PARTIAL) == (1 in partial)
                found += 1
    assert found == 3


def test_the_indexes_of_the_specification_are_there(db: sqlite3.Connection) -> None:
    wanted = re.findall(r"CREATE INDEX (\w+) ON (\w+)\((\w+)( DESC)?\)", SPECIFICATION)
    assert len(wanted) == 2
    for name, table, column, descending in wanted:
        info = [row for row in db.execute(f"PRAGMA index_xinfo({name})") if row[5]]
        assert [(row[2], bool(row[3])) for row in info] == [(column, bool(descending))]
        assert name in [row[1] for row in db.execute(f"PRAGMA index_list({table})")]


def test_every_foreign_key_has_an_index_to_be_found_by(db: sqlite3.Connection) -> None:
    for table in ("oauth_identities", "agent_keypairs", "ssh_connections", "session_leases", "app_sessions"):
        names = [row[1] for row in db.execute(f"PRAGMA index_list({table})")]
        leading = {next(iter(db.execute(f"PRAGMA index_info({name})")))[2] for name in names}
        keys = {row[3] for row in db.execute(f"PRAGMA foreign_key_list({table})")}
        assert keys <= leading, table


@pytest.mark.parametrize("table, column", CHECKED)
def test_only_the_listed_values_are_taken(db: sqlite3.Connection, table: str, column: str) -> None:
    sql = db.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]
    listed = ", ".join(f"'{value}'" for value in CHECKED[table, column])
    assert f"CHECK ({column} IN ({listed}))" in sql


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO accounts (id, display_name, is_active) VALUES ('a', 'A', 2)",
        "INSERT INTO accounts (id, display_name, role) VALUES ('a', 'A', 'king')",
        "INSERT INTO session_leases (id, account_id, connection_id, keypair_id) VALUES ('l', 'x', 'x', 'x')",
        "UPDATE ssh_connections SET port = 0",
        "UPDATE ssh_connections SET port = 65536",
        "UPDATE ssh_connections SET port = 'ssh'",
        "UPDATE ssh_connections SET last_test_result = 'fine'",
        "UPDATE session_leases SET status = 'open'",
        "UPDATE session_leases SET close_reason = 'bored'",
        "UPDATE session_leases SET status = 'closed'",
        "UPDATE session_leases SET closed_at = 'now'",
        "UPDATE agent_keypairs SET revoked_at = 'now'",
        "UPDATE audit_log SET action = 'other'",
        "DELETE FROM audit_log",
        "INSERT INTO audit_log (action, mac, detail) VALUES ('a', 'm', '{')",
        "INSERT INTO audit_log (action, mac, result) VALUES ('a', 'm', 'maybe')",
        "INSERT INTO agent_keypairs (id, account_id, public_key, private_key_enc, fingerprint) VALUES ('k2', 'o', '', '', '')",
    ],
)
def test_the_database_itself_refuses_what_cannot_be(db: sqlite3.Connection, statement: str) -> None:
    db.executescript(
        """
        INSERT INTO accounts (id, display_name) VALUES ('o', 'Owner');
        INSERT INTO agent_keypairs (id, account_id, public_key, private_key_enc, fingerprint) VALUES ('k', 'o', '', '', '');
        INSERT INTO ssh_connections (id, account_id, keypair_id, label, host, username) VALUES ('c', 'o', 'k', 'l', 'h', 'u');
        INSERT INTO session_leases (id, account_id, connection_id, keypair_id) VALUES ('s', 'o', 'c', 'k');
        INSERT INTO audit_log (action, mac) VALUES ('a', 'm');
        """
    )
    with pytest.raises(sqlite3.IntegrityError):
        db.execute(statement)


def test_the_label_of_a_revoked_key_and_of_a_removed_connection_is_free(db: sqlite3.Connection) -> None:
    key = "INSERT INTO agent_keypairs (id, account_id, public_key, private_key_enc, fingerprint) VALUES (?, 'o', '', '', '')"
    place = "INSERT INTO ssh_connections (id, account_id, keypair_id, label, host, username) VALUES (?, 'o', 'k1', 'l', 'h', 'u')"
    db.execute("INSERT INTO accounts (id, display_name) VALUES ('o', 'Owner')")
    db.execute(key, ("k1",))
    db.execute(place, ("c1",))
    db.execute("UPDATE agent_keypairs SET is_active = 0, revoked_at = 'now'")
    db.execute("UPDATE ssh_connections SET deleted_at = 'now'")
    db.execute(key, ("k2",))
    db.execute(place, ("c2",))


def test_a_time_by_default_has_the_fixed_width_of_all_times(db: sqlite3.Connection) -> None:
    db.execute("INSERT INTO accounts (id, display_name) VALUES ('o', 'Owner')")
    (made,) = db.execute("SELECT created_at FROM accounts").fetchone()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", made)


# migrations


def test_schema_sql_is_the_sum_of_the_migrations() -> None:
    assert SCHEMA.read_text() == schema(), "run `make schema`"


def test_migrations_bear_a_timestamp_and_apply_once(tmp_path: Path) -> None:
    versions = [version for version, _ in available()]
    assert versions == sorted(versions)
    assert all(re.fullmatch(r"\d{8}T\d{6}_[a-z0-9_]+", version) for version in versions)
    assert migrate(tmp_path / "a.db", NOW) == versions
    assert migrate(tmp_path / "a.db", NOW) == []


def test_a_migration_that_fails_leaves_nothing_of_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = ("99990101T000000_broken", "CREATE TABLE half (id TEXT); INSERT INTO nowhere VALUES (1);")
    known = available()
    monkeypatch.setattr(migrations, "available", lambda: [*known, broken])
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        migrate(tmp_path / "a.db", NOW)
    db = sqlite3.connect(tmp_path / "a.db")
    names = {row[0] for row in db.execute("SELECT name FROM sqlite_master")}
    versions = [row[0] for row in db.execute("SELECT version FROM schema_migrations ORDER BY version")]
    db.close()
    assert "half" not in names
    assert versions == [version for version, _ in known]


def test_a_populated_database_is_upgraded_with_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(tmp_path / "a.db", NOW)
    db = sqlite3.connect(tmp_path / "a.db")
    db.execute("INSERT INTO accounts (id, display_name) VALUES ('o', 'Owner')")
    db.commit()
    db.close()
    more = ("99990101T000000_more", "ALTER TABLE accounts ADD COLUMN locale TEXT NOT NULL DEFAULT 'en';")
    known = available()
    monkeypatch.setattr(migrations, "available", lambda: [*known, more])
    assert migrate(tmp_path / "a.db", NOW) == [more[0]]
    db = sqlite3.connect(tmp_path / "a.db")
    assert db.execute("SELECT display_name, locale FROM accounts").fetchall() == [("Owner", "en")]
    db.close()


def test_a_newer_database_is_refused_and_not_opened_for_writing(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    migrate(path, NOW)
    db = sqlite3.connect(path)
    db.execute("INSERT INTO schema_migrations VALUES ('99990101T000000_later', '')")
    db.commit()
    before = path.read_bytes(), (tmp_path / "a.db-wal").read_bytes()
    with pytest.raises(StartRefused) as refused:  # the log of a box that was killed looks like this
        migrate(path, NOW)
    assert refused.value.code == "database_newer"
    assert "99990101T000000_later" in refused.value.message
    assert (path.read_bytes(), (tmp_path / "a.db-wal").read_bytes()) == before
    db.close()
