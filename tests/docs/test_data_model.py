"""docs/planning/02-data-model.md says what is in the database, and how its rows live."""

import re
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from clawdbox.agents.reverts import rules as reverts
from clawdbox.agents.rules import turns
from clawdbox.approvals import rules as approvals
from clawdbox.keys import rules as keys
from clawdbox.notify.rules import deliveries
from clawdbox.ssh import model
from clawdbox.ssh.rules import connections, fleet, forwards, leases, recordings
from clawdbox.store.migrate import migrate
from tests.docs import markdown, sources

TEXT = markdown.planning("02-data-model.md")
TABLES = markdown.sections(markdown.sections(TEXT, 2)["Tables"], 3)
STATES = markdown.sections(markdown.sections(TEXT, 2)["Lifecycle State Diagrams"], 3)
POSTGRES, SQLITE = "-- PostgreSQL", "-- SQLite, as it runs"
SEVEN = (
    "accounts",
    "oauth_identities",
    "agent_keypairs",
    "ssh_connections",
    "session_leases",
    "app_sessions",
    "audit_log",
)
NOW = datetime(2026, 11, 21, tzinfo=UTC)


def blocks(form: str) -> list[str]:
    found = [fence.text for fence in markdown.fences(TEXT, "sql") if fence.text.startswith(form)]
    assert found
    return [re.sub(r"--[^\n]*", "", text) for text in found]


def statements(text: str) -> list[str]:
    """Split as SQLite itself would: a trigger has semicolons inside."""
    found, part = [], ""
    for piece in re.split(r"(?<=;)", text):
        part += piece
        if sqlite3.complete_statement(part):
            found.append(normal(part))
            part = ""
    assert not part.strip()
    return found


def normal(sql: str) -> str:
    """Without what spaces and quotes say: SQLite writes an added column, and a renamed table, in its own way."""
    sql = re.sub(r'^CREATE TABLE "(\w+)"', r"CREATE TABLE \1", sql.strip())
    return re.sub(r" ?([(),]) ?", r"\1", re.sub(r"\s+", " ", sql)).strip().rstrip(";").strip()


def columns(create: str) -> list[str]:
    """The column names of a CREATE TABLE."""
    inside = create[create.index("(") + 1 : create.rindex(")")]
    parts, depth, part = [], 0, ""
    for char in inside:
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            parts.append(part)
            part = ""
        else:
            part += char
    names = [text.split()[0].partition("(")[0] for text in [*parts, part]]
    return [name for name in names if name not in ("UNIQUE", "CHECK", "PRIMARY")]


# DDL


def test_the_sqlite_blocks_are_the_database() -> None:
    printed = [statement for text in blocks(SQLITE) for statement in statements(text)]
    assert sorted(printed) == sorted(normal(sql) for _kind, _name, _table, sql in sources.database_sql())


def test_each_of_the_seven_tables_stands_in_both_forms_with_the_same_columns() -> None:
    sqlite = {name: sql for kind, name, _table, sql in sources.database_sql() if kind == "table"}
    for name in SEVEN:
        first, second = markdown.fences(TABLES[name], "sql")
        assert first.text.startswith(f"{POSTGRES}, as specified\nCREATE TABLE {name} (")
        assert f"CREATE TABLE {name} (" in second.text
        specified = columns(statements(re.sub(r"--[^\n]*", "", first.text))[0])
        ours = columns(sqlite[name])
        assert [column for column in ours if column in specified] == specified
        added = set(ours) - set(specified)
        told = {code for row in markdown.rows(TABLES[name]) for code in markdown.codes(row[0])}
        assert added <= told, f"{name}: {added - told} are not in the table of what was added"


def test_the_recommended_indexes_fit_the_tables(tmp_path: Path) -> None:
    """Their syntax is that of both databases, so the real tables can take them."""
    migrate(tmp_path / "x.db", NOW)
    db = sqlite3.connect(tmp_path / "x.db")
    try:
        for (name,) in db.execute(
            "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        ).fetchall():
            db.execute(f"DROP INDEX {name}")
        for text in blocks(f"{POSTGRES}, recommended"):
            db.executescript(text)
    finally:
        db.close()


def test_every_index_is_listed_with_what_it_serves() -> None:
    listed = {row[0].strip("`"): row for row in markdown.table(TEXT, "index", "on", "serves")}
    made = {name: table for kind, name, table, _sql in sources.database_sql() if kind == "index"}
    assert set(listed) == set(made)
    for name, row in listed.items():
        assert row[1].startswith(f"`{made[name]} (")
        assert row[2]


def test_every_table_is_in_the_overview_and_in_the_diagram() -> None:
    made = {name for kind, name, _table, _sql in sources.database_sql() if kind == "table"}
    overview = {name for row in markdown.table(TEXT, "table", "a row is") for name in markdown.codes(row[0])}
    assert overview == made
    (diagram,) = [
        fence.text for fence in markdown.fences(TEXT, "mermaid") if fence.text.startswith("erDiagram")
    ]
    drawn = set(re.findall(r"\b([a-z_]+) [|}][|o]--[|o][{|] ([a-z_]+)", diagram))
    keys = {
        (parent, table)
        for kind, table, _table, sql in sources.database_sql()
        if kind == "table"
        for parent in re.findall(r"REFERENCES (\w+)", sql)
    }
    assert {pair for pair in drawn if pair not in keys} == set()
    # Columns that repeat whose a row is, or where; the diagram shows the way through their parents.
    asked = ("approvals", "approval_grants", "reverts")
    owned = (*asked, "conversations", "executions", "terminals", "kept_terminals")
    placed = {("ssh_connections", name) for name in ("approval_grants", "terminals")}
    assert keys - drawn == {("accounts", name) for name in owned} | placed


def test_every_sensitive_field_is_a_column() -> None:
    tables = {name: columns(sql) for kind, name, _table, sql in sources.database_sql() if kind == "table"}
    for row in markdown.table(TEXT, "field", "table", "sensitivity", "protection mechanism", "notes"):
        fields, (table,) = markdown.codes(row[0]), markdown.codes(row[1])
        known = [field for field in fields if " = " not in field]
        assert known
        assert set(known) <= set(tables[table])
        assert all(row[2:4])


# states


def told(heading: str) -> set[tuple[str, str]]:
    rows = markdown.table(STATES[heading], "from", "to", "when")
    return {(markdown.codes(row[0])[0], markdown.codes(row[1])[0]) for row in rows}


def drawn(heading: str) -> set[tuple[str, str]]:
    (diagram,) = markdown.fences(STATES[heading], "mermaid")
    return set(re.findall(r"^  (\w+) --> (\w+)", diagram.text, re.MULTILINE))


@pytest.mark.parametrize(
    "heading, transitions",
    [
        ("session_leases.status", leases.TRANSITIONS),
        ("agent_keypairs", keys.TRANSITIONS),
        ("turns.state", turns.TRANSITIONS),
        ("approvals.state", approvals.TRANSITIONS),
        ("reverts.state", reverts.TRANSITIONS),
        ("recordings.state", recordings.TRANSITIONS),
        ("fleet_runs.state", fleet.RUN_TRANSITIONS),
        ("fleet_answers.state", fleet.ANSWER_TRANSITIONS),
        ("forwards.state", forwards.TRANSITIONS),
        ("notify_deliveries.state", deliveries.TRANSITIONS),
    ],
)
def test_a_state_table_is_that_of_the_rules(heading: str, transitions: dict[str, frozenset[str]]) -> None:
    wanted = {(str(state), str(after)) for state, following in transitions.items() for after in following}
    assert told(heading) == wanted
    assert drawn(heading) == wanted


def test_the_states_of_a_connection_are_what_the_rules_make() -> None:
    never = dict.fromkeys(model.Connection.__struct_fields__)
    place = {
        "id": "c",
        "account_id": "a",
        "keypair_id": "k",
        "label": "l",
        "host": "h",
        "port": 22,
        "username": "u",
    }
    draft = model.Connection(**{**never, **place, "created_at": NOW, "updated_at": NOW})  # type: ignore[arg-type]
    key = model.HostKey("SHA256:x", "ssh-ed25519")
    tested = connections.pinned(connections.tested(draft, model.TestResult.OK, "", 1.0, NOW), key, NOW)
    moved = connections.edited(tested, connections.Place("l", "other", 22, "u"), "k", [], NOW)
    deleted = [msgspec.structs.replace(one, deleted_at=NOW) for one in (draft, tested)]
    made = {(draft.state, tested.state), (tested.state, moved.state)}
    made |= {(before.state, after.state) for before, after in zip((draft, tested), deleted, strict=True)}
    assert told("ssh_connections") == drawn("ssh_connections") == made


@pytest.mark.parametrize("table", ["executions", "terminals"])
def test_the_states_of_what_only_ends(table: str) -> None:
    (sql,) = [sql for kind, name, _table, sql in sources.database_sql() if (kind, name) == ("table", table)]
    match = re.search(r"state IN \(([^)]+)\)", sql)
    assert match
    first, *ends = re.findall(r"'(\w+)'", match[1])
    assert told(f"{table}.state") == {(first, end) for end in ends}


def test_the_reasons_of_an_ended_terminal_are_names_of_the_code() -> None:
    match = re.search(r"`end_reason` is one of ([^.]+)\.", TEXT)
    assert match
    assert set(markdown.codes(match[1])) <= sources.texts()
