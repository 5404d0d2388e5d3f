"""Where the notes and the schema part: what has no note, and notes on what is not there."""

import re
from collections.abc import Iterable, Iterator, Mapping

from tools.database_docs.facts import Schema, Table
from tools.database_docs.notes import Notes, Protection

_UNREADABLE = {Protection.SEALED, Protection.HASHED, Protection.HIDDEN}
_WORD = re.compile(r"[a-z]+")
_FILLERS = {"a", "an", "and", "for", "it", "its", "of", "row", "s", "table", "the", "this", "value"}


def flaws(schema: Schema, notes: Mapping[str, Notes]) -> list[str]:
    """One sentence for each; none when every page can be written."""
    found = list(_compare("table", "", schema.tables, notes))
    for name, table in schema.tables.items():
        if name in notes:
            found += _of_table(table, notes[name])
    return found


def noted_indexes(table: Table) -> list[str]:
    """Those that need a note of their own: a primary key of one column has it in that column's."""
    return [index.title for index in table.indexes if index.origin != "pk" or len(index.columns) > 1]


def hidden_columns(notes: Notes) -> set[str]:
    """What `clawdbox db` must not show."""
    return {name for name, column in notes.sensitive.items() if column.protection in _UNREADABLE}


def _of_table(table: Table, notes: Notes) -> Iterator[str]:
    columns = [column.name for column in table.columns]
    listed = dict(check.values for check in table.checks if check.values)
    explained = [check.expression for check in table.checks if not check.values]
    yield from _compare("column", table.name, columns, notes.columns)
    yield from _compare("check", table.name, explained, notes.checks)
    yield from _compare("index", table.name, noted_indexes(table), notes.indexes)
    yield from _compare("trigger", table.name, [trigger.name for trigger in table.triggers], notes.triggers)
    yield from _compare(
        "foreign key", table.name, [key.column for key in table.foreign_keys], notes.relations
    )
    for column, values in listed.items():
        yield from _compare("value", f"{table.name}.{column}", values, notes.values.get(column, {}))
    for kind, named in (("values", notes.values), ("sensitive", notes.sensitive), ("loose", notes.loose)):
        for column in named:
            if column not in columns:
                yield f"{table.name}.{column} has a note under [{kind}], but there is no such column"
    for column, note in notes.columns.items():
        if not _says_more(note, f"{table.name} {column}"):
            yield f"the note on the column {table.name}.{column} says no more than its name"


def _compare(kind: str, where: str, there: Iterable[str], noted: Iterable[str]) -> Iterator[str]:
    place = f"{where}: " if where else ""
    for name in there:
        if name not in noted:
            yield f"{place}the {kind} {name!r} has no note"
    for name in noted:
        if name not in there:
            yield f"{place}there is a note on the {kind} {name!r}, which does not exist"


def _says_more(note: str, name: str) -> bool:
    known = _stems(name) | _FILLERS
    return len(_stems(note) - known) >= 2


def _stems(text: str) -> set[str]:
    return {word.removesuffix("s") for word in _WORD.findall(text.lower())}
