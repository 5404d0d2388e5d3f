"""The database's documentation says what the schema and the code say: nothing is missing, invented or stale."""

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from clawdbox.cli.sealed import is_sealed
from clawdbox.store import migrate as migrations
from clawdbox.store.migrate import available
from tools.database_docs import facts, notes, sql_text
from tools.database_docs.build import pages
from tools.database_docs.connection_settings import connection_settings
from tools.database_docs.facts import Index, Schema, Table, read_schema
from tools.database_docs.flaws import flaws, hidden_columns
from tools.database_docs.markdown import one_up
from tools.database_docs.notes import Notes, Query, Relation, read_notes, read_prose
from tools.database_docs.overview_pages import diagram, filled
from tools.database_docs.queries import query_flaws
from tools.database_docs.relations import deletions, relations

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "database"
SCHEMA = read_schema()
NOTES = read_notes()
SOURCES = {str(file.relative_to(ROOT)): file.read_text() for file in sorted(ROOT.glob("clawdbox/**/*.py"))}

NAMES = ["schema.md", "relationships.md", *(f"tables/{name}.md" for name in SCHEMA.tables)]


@functools.cache
def made() -> dict[str, str]:
    assert flaws(SCHEMA, NOTES) == []
    prose = {name: read_prose(name) for name in ("schema", "relationships")}
    return pages(SCHEMA, NOTES, connection_settings(), prose)


# notes and schema


def test_everything_in_the_schema_has_a_note_and_every_note_its_thing() -> None:
    assert flaws(SCHEMA, NOTES) == []


@dataclass(frozen=True)
class Broken:
    """A note taken away or made up, and what is said of it."""

    table: str
    change: Callable[[Notes], Notes]
    said: str


def changed(field: str, change: Callable[[dict[str, object]], object]) -> Callable[[Notes], Notes]:
    def replaced(known: Notes) -> Notes:
        values = dict(getattr(known, field))
        change(values)
        return msgspec.structs.replace(known, **{field: values})

    return replaced


BROKEN = [
    Broken("turns", changed("columns", lambda it: it.pop("text")), "the column 'text' has no note"),
    Broken(
        "turns",
        changed("columns", lambda it: it.update(colour="What the message looks like.")),
        "a note on the column 'colour', which does not exist",
    ),
    Broken(
        "turns", changed("columns", lambda it: it.update(created_at="Created at.")), "no more than its name"
    ),
    Broken(
        "events", changed("checks", lambda it: it.pop("json_valid(payload)")), "the check 'json_valid(payload)'"
    ),
    Broken("events", changed("checks", lambda it: it.update({"seq > 0": "It counts."})), "'seq > 0', which"),
    Broken("events", changed("indexes", lambda it: it.pop("UNIQUE (id)")), "the index 'UNIQUE (id)' has no"),
    Broken("events", changed("indexes", lambda it: it.pop("events_account_id_idx")), "_id_idx' has no note"),
    Broken(
        "conversation_events",
        changed("indexes", lambda it: it.pop("PRIMARY KEY (conversation_id, seq)")),
        "the index 'PRIMARY KEY (conversation_id, seq)' has no note",
    ),
    Broken("events", changed("indexes", lambda it: it.update(events_idx="Fast.")), "'events_idx', which"),
    Broken(
        "audit_log",
        changed("triggers", lambda it: it.pop("audit_log_is_append_only_update")),
        "the trigger 'audit_log_is_append_only_update' has no note",
    ),
    Broken("events", changed("triggers", lambda it: it.update(bell="Rings.")), "'bell', which does not exist"),
    Broken("turns", changed("relations", lambda it: it.pop("conversation_id")), "the foreign key 'conversation_id'"),
    Broken(
        "turns",
        changed("relations", lambda it: it.update(text=Relation("says", "It is said."))),
        "the foreign key 'text', which does not exist",
    ),
    Broken("turns", changed("values", lambda it: it.update(state={})), "turns.state: the value 'running' has no"),
    Broken("turns", changed("values", lambda it: it.update(mood={"good": "Well."})), "no such column"),
    Broken("turns", changed("sensitive", lambda it: it.update(mood=it["text"])), "no such column"),
    Broken("turns", changed("loose", lambda it: it.update(mood="Somewhere.")), "no such column"),
]  # fmt: skip


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.said)
def test_a_note_that_is_missing_or_made_up_is_found(broken: Broken) -> None:
    after = NOTES | {broken.table: broken.change(NOTES[broken.table])}
    assert [flaw for flaw in flaws(SCHEMA, after) if broken.said in flaw and broken.table in flaw] != []


def test_every_table_is_strict_as_the_overview_says() -> None:
    assert [table.name for table in SCHEMA.tables.values() if not table.strict] == []


def test_a_table_without_notes_and_notes_without_a_table_are_found() -> None:
    after = {("rotations" if name == "turns" else name): known for name, known in NOTES.items()}
    assert flaws(SCHEMA, after) == [
        "the table 'turns' has no note",
        "there is a note on the table 'rotations', which does not exist",
    ]


def test_a_file_of_notes_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    monkeypatch.setattr(notes, "FOLDER", folder)
    monkeypatch.setattr(notes, "ROOT", tmp_path)
    for text in ("area = ", 'colour = "green"'):
        (folder / "turns.toml").write_text(text)
        with pytest.raises(ValueError, match=r"notes/turns\.toml: "):
            read_notes()


def test_what_a_new_migration_brings_has_no_note_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    more = (
        "99990101T000000_more",
        """
        ALTER TABLE accounts ADD COLUMN locale TEXT NOT NULL DEFAULT 'en' CHECK (length(locale) < 9);
        CREATE INDEX accounts_locale_idx ON accounts (locale);
        CREATE TABLE moods (id TEXT PRIMARY KEY) STRICT;
        """,
    )
    known = [*available(), more]
    for module in (migrations, facts):
        monkeypatch.setattr(module, "available", lambda: known)
    grown = read_schema()
    assert flaws(grown, NOTES) == [
        "the table 'moods' has no note",
        "accounts: the column 'locale' has no note",
        "accounts: the check 'length(locale) < 9' has no note",
        "accounts: the index 'accounts_locale_idx' has no note",
    ]
    assert grown.tables["accounts"].migrations == (*SCHEMA.tables["accounts"].migrations, more[0])
    assert grown.tables["moods"].migrations == (more[0],)
    assert grown.tables["turns"].migrations == SCHEMA.tables["turns"].migrations


# pages


@pytest.mark.parametrize("name", NAMES)
def test_the_page_is_what_the_schema_and_the_notes_make(name: str) -> None:
    assert (PAGES / name).read_text() == made()[name], "run `make docs`"


def test_no_page_is_missing_or_left_of_a_table_that_is_gone() -> None:
    assert made().keys() == set(NAMES)
    assert {f"tables/{page.name}" for page in PAGES.glob("tables/*.md")} <= set(NAMES)


def test_a_changed_note_makes_its_page_stale() -> None:
    known = NOTES["turns"]
    after = msgspec.structs.replace(known, columns=known.columns | {"text": "Something else entirely."})
    prose = {name: read_prose(name) for name in ("schema", "relationships")}
    again = pages(SCHEMA, NOTES | {"turns": after}, connection_settings(), prose)
    assert [name for name, text in made().items() if again[name] != text] == ["tables/turns.md"]


def test_prose_has_exactly_the_places_that_are_filled() -> None:
    assert filled("a <!-- b -->", {"b": "c"}).endswith("a c\n")
    with pytest.raises(ValueError, match="colour"):
        filled("<!-- colour -->", {})
    with pytest.raises(ValueError, match="colour"):
        filled("", {"colour": "green"})


def test_a_link_in_a_note_leads_there_from_the_overview_too() -> None:
    note = "[turns](turns.md), [ADR](../../adr/0001-one.md), [here](#here)"
    assert one_up(note) == "[turns](tables/turns.md), [ADR](../adr/0001-one.md), [here](#here)"


# the diagram, and what follows from the foreign keys


def missing(text: str) -> set[str]:
    """Tables and foreign keys that a diagram does not name."""
    tables = {name for name in SCHEMA.tables if not re.search(rf"^  {name} {{$", text, re.MULTILINE)}
    keys = {
        f"{one.child.name}.{one.key.column}"
        for one in relations(SCHEMA)
        if not re.search(
            rf'^  {one.key.table} \|[|o]--o[|{{] {one.child.name} : ".+ \({one.key.column}\)"$',
            text,
            re.MULTILINE,
        )
    }
    return tables | keys


def test_the_diagram_names_every_table_and_every_foreign_key() -> None:
    text = diagram(SCHEMA, NOTES)
    assert text in (PAGES / "relationships.md").read_text()
    assert missing(text) == set()
    assert sum("--" in line for line in text.splitlines()) == len(relations(SCHEMA))


def test_a_line_less_in_the_diagram_is_found() -> None:
    lines = diagram(SCHEMA, NOTES).splitlines()
    found = [missing("\n".join(lines[:place] + lines[place + 1 :])) for place in range(len(lines))]
    assert len([names for names in found if names]) == len(SCHEMA.tables) + len(relations(SCHEMA))


def test_kinds_of_relation_follow_from_nulls_and_unique_indexes() -> None:
    kinds = {f"{one.child.name}.{one.key.column}": one.kind for one in relations(SCHEMA)}
    assert kinds["ssh_connections.account_id"] == "1 : N"
    assert kinds["account_settings.account_id"] == "1 : 0..1"
    assert kinds["conversations.connection_id"] == "1 : N"
    assert kinds["runtime_states.conversation_id"] == "1 : 0..1"
    assert kinds["executions.turn_id"] == "0..1 : N"
    assert kinds["turns.conversation_id"] == "1 : N"  # unique among running ones only


def test_what_a_deletion_does_follows_from_the_foreign_keys() -> None:
    child = facts.Column("id", "TEXT", False, None, 1)
    empty = Table("", "", (child,), (), (), (), (), True, False, ())

    def table(name: str, *keys: tuple[str, str]) -> Table:
        foreign = tuple(facts.ForeignKey("id", parent, "id", action) for parent, action in keys)
        return msgspec.structs.replace(empty, name=name, foreign_keys=foreign)

    tables = [
        table("a"),
        table("b", ("a", "CASCADE")),
        table("c", ("b", "CASCADE")),
        table("d", ("c", "SET NULL")),
        table("e", ("b", "NO ACTION")),
        table("f", ("a", "CASCADE"), ("c", "NO ACTION")),
    ]
    first = deletions(Schema({one.name: one for one in tables}, ()))[0]
    assert (first.table, first.gone, first.emptied, first.refusing) == ("a", ("b", "f", "c"), ("d",), ("e",))


# queries


def test_every_example_query_runs_and_takes_the_indexes_it_names() -> None:
    assert query_flaws(SCHEMA, NOTES) == []


@pytest.mark.parametrize(
    "query, said",
    [
        (Query("Broken", "SELECT colour FROM turns"), "no such column: colour"),
        (Query("Broken", "SELECT FROM turns"), "syntax error"),
        (Query("Other", "SELECT * FROM turns", ("turns_running_idx",)), "does not take turns_running_idx"),
        (Query("None", "SELECT * FROM turns", ("turns_idx",)), "there is no index turns_idx"),
        (
            Query(
                "Scan", "SELECT * FROM idempotency_keys WHERE body = :b", ("PRIMARY KEY (account_id, key)",)
            ),
            "does not take PRIMARY KEY (account_id, key) but: SCAN",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_query_that_fails_or_goes_another_way_is_found(query: Query, said: str) -> None:
    after = msgspec.structs.replace(NOTES["turns"], queries=(query,))
    (flaw,) = query_flaws(SCHEMA, {"turns": after})
    assert said in flaw


def test_an_index_is_shown_at_work_or_serves_a_foreign_key() -> None:
    shown = {title for known in NOTES.values() for query in known.queries for title in query.uses}
    assert [index.title for table in SCHEMA.tables.values() for index in idle(table, shown)] == []


def idle(table: Table, shown: set[str]) -> list[Index]:
    foreign = {key.column for key in table.foreign_keys}
    made = [index for index in table.indexes if index.origin == "c" and index.title not in shown]
    return [index for index in made if index.columns[0] not in foreign]


def test_an_index_that_nothing_needs_would_be_found() -> None:
    assert [index.title for index in idle(SCHEMA.tables["executions"], set())] == ["executions_started_idx"]


# what the notes say of the code


def users(table: str) -> set[str]:
    """Files whose SQL names the table."""
    sql = re.compile(rf"\b(?:FROM|INTO|UPDATE|JOIN) {table}\b|\binsert\(\s*\"{table}\"")
    return {file for file, text in SOURCES.items() if sql.search(text)}


@pytest.mark.parametrize("table", SCHEMA.tables)
def test_usage_names_every_file_with_sql_on_the_table_and_no_other(table: str) -> None:
    named = {one.file for one in NOTES[table].usage}
    assert users(table) - named == set()
    speaking = {file for file, text in SOURCES.items() if re.search(rf"\b{table}\b", text)}
    assert named - speaking == set()


def test_files_with_sql_are_found() -> None:
    assert users("executions") == {"clawdbox/ssh/sql/control.py", "clawdbox/ssh/sql/leases.py"}
    assert users("pairing_codes") == {"clawdbox/accounts/service.py", "clawdbox/accounts/sql.py"}


def test_the_box_deletes_only_where_the_pages_say_so() -> None:
    deleted = {table for text in SOURCES.values() for table in re.findall(r"DELETE FROM (\w+)", text)}
    assert deleted == {
        "audit_log",
        "box_meta",
        "event_inbox",
        "fleet_runs",
        "idempotency_keys",
        "login_flows",
        "notify_channels",
        "notify_deliveries",
        "passkeys",
        "recovery_codes",
        "oauth_identities",
        "runtime_states",
        "snippets",
    }


def test_values_that_no_check_lists_occur_in_the_code() -> None:
    everything = "\n".join(SOURCES.values())
    for name, known in NOTES.items():
        checked = {check.values[0] for check in SCHEMA.tables[name].checks if check.values}
        for column in known.values.keys() - checked:
            absent = [
                value
                for value in known.values[column]
                if not re.search(rf"[\"']{re.escape(value)}[\"']", everything)
            ]
            assert absent == [], f"{name}.{column}"


def test_what_the_notes_call_unreadable_is_what_the_command_line_hides() -> None:
    for name, table in SCHEMA.tables.items():
        hidden = {column.name for column in table.columns if is_sealed(name, column.name)}
        assert hidden_columns(NOTES[name]) == hidden, name


def test_settings_of_the_connections_are_asked_of_a_store() -> None:
    settings = {name: (writer, reader) for name, writer, reader in connection_settings()}
    assert settings["journal_mode"] == ("WAL", "WAL")
    assert settings["query_only"] == ("OFF", "ON")


# what SQLite keeps only as text


def test_checks_are_found_whatever_stands_around_them() -> None:
    table = """
    CREATE TABLE odd (
      a TEXT CHECK (a <> ')' AND a <> 'CHECK (no)'), -- CHECK (neither)
      "b" INTEGER NOT NULL DEFAULT (abs(-1)) CHECK ((b > 0) AND b IN (1,
        2)) CHECK (b < 9),
      /* CHECK (nor this) */
      UNIQUE (a, b),
      CONSTRAINT both CHECK (a IS NULL OR b = 1)
    ) STRICT
    """
    assert sql_text.checks(table) == [
        ("a", "a <> ')' AND a <> 'CHECK (no)'"),
        ("b", "(b > 0) AND b IN (1, 2)"),
        ("b", "b < 9"),
        (None, "a IS NULL OR b = 1"),
    ]


def test_every_check_of_the_schema_was_found() -> None:
    written = sum(table.sql.count("CHECK (") for table in SCHEMA.tables.values())
    assert sum(len(table.checks) for table in SCHEMA.tables.values()) == written > 0


def test_conditions_and_triggers_are_read() -> None:
    assert sql_text.condition("CREATE INDEX i ON t (a)\n  WHERE a = ' where '") == "a = ' where '"
    assert sql_text.condition("CREATE INDEX i ON t (a)") is None
    assert sql_text.trigger("CREATE TRIGGER g AFTER UPDATE OF a, b ON t\n  BEGIN SELECT 1; END") == (
        "AFTER UPDATE OF a, b",
        "BEGIN SELECT 1; END",
    )
    with pytest.raises(ValueError, match="cannot be read"):
        sql_text.trigger("CREATE TRIGGER")


def test_values_are_read_out_of_a_check() -> None:
    assert facts.Check("a IN ('x', 'y')", "a").values == ("a", ("x", "y"))
    assert facts.Check("a IN (0, 1)", "a").values is None
    assert facts.Check("a IN ('x') OR b", None).values is None
