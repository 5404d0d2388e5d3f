"""`schema.md` and `relationships.md`: prose from the notes, and in it what follows from the schema."""

import re
from collections.abc import Mapping, Sequence

from tools.database_docs import markdown as md
from tools.database_docs.facts import Schema, Table
from tools.database_docs.notes import Area, Notes
from tools.database_docs.relations import Relation, deletions, joins, relations
from tools.database_docs.table_page import HEAD, index_columns

_PLACE = re.compile(r"<!-- ([a-z-]+) -->")
_TABLES = "tables/"


def filled(prose: str, pieces: Mapping[str, str]) -> str:
    """The prose with every place filled. Raises ValueError unless places and pieces are the same."""
    places = set(_PLACE.findall(prose))
    if places != set(pieces):
        raise ValueError(f"places and pieces differ: {sorted(places ^ set(pieces))}")
    return md.page([HEAD, _PLACE.sub(lambda found: pieces[found[1]], prose)])


def schema_page(
    schema: Schema, notes: Mapping[str, Notes], settings: Sequence[tuple[str, str, str]], prose: str
) -> str:
    return filled(
        prose,
        {
            "counts": _counts(schema),
            "tables": _summary(schema, notes),
            "settings": md.table(
                ["PRAGMA", "the writer", "a reader"],
                ([md.code(name), md.code(writer), md.code(reader)] for name, writer, reader in settings),
            ),
            "migrations": _migrations(schema),
            "sensitive": _sensitive(schema, notes),
        },
    )


def relationships_page(schema: Schema, notes: Mapping[str, Notes], prose: str) -> str:
    return filled(
        prose,
        {
            "diagram": md.fenced("mermaid", diagram(schema, notes)),
            "kinds": _kinds(schema, notes),
            "many-to-many": _many_to_many(schema),
            "cascades": _cascades(schema),
            "loose": _loose(schema, notes),
            "indexes": _indexes(schema, notes),
            "unindexed": _unindexed(schema),
        },
    )


def diagram(schema: Schema, notes: Mapping[str, Notes]) -> str:
    """A Mermaid ER diagram with the key columns of every table, and a line for every foreign key."""
    lines = ["erDiagram"]
    for relation in relations(schema):
        child, key = relation.child.name, relation.key
        left = "|o" if relation.is_optional else "||"
        right = "o|" if relation.is_single else "o{"
        label = f"{notes[child].relations[key.column].verb} ({key.column})"
        lines.append(f'  {key.table} {left}--{right} {child} : "{label}"')
    for table in schema.tables.values():
        lines += [f"  {table.name} {{", *_key_columns(table), "  }"]
    return "\n".join(lines)


def _key_columns(table: Table) -> list[str]:
    foreign = {key.column for key in table.foreign_keys}
    unique = {
        index.columns[0]
        for index in table.indexes
        if index.unique and index.where is None and len(index.columns) == 1 and index.origin == "u"
    }
    found = []
    for column in table.columns:
        marks = [("PK", bool(column.key)), ("FK", column.name in foreign), ("UK", column.name in unique)]
        roles = [mark for mark, is_so in marks if is_so]
        if roles:
            found.append(f"    {column.type} {column.name} {', '.join(roles)}")
    return found


def _counts(schema: Schema) -> str:
    tables = schema.tables.values()
    indexes = sum(index.origin == "c" for table in tables for index in table.indexes)
    return (
        f"{len(tables)} tables with {sum(len(table.columns) for table in tables)} columns, "
        f"{sum(len(table.foreign_keys) for table in tables)} foreign keys, "
        f"{sum(len(table.checks) for table in tables)} checks, "
        f"{indexes} indexes besides those of keys and UNIQUE constraints, "
        f"and {sum(len(table.triggers) for table in tables)} triggers."
    )


def _summary(schema: Schema, notes: Mapping[str, Notes]) -> str:
    parts = []
    for area in Area:
        rows = [
            [md.table_link(name, _TABLES), md.one_up(notes[name].summary), md.codes(table.primary_key)]
            for name, table in schema.tables.items()
            if notes[name].area is area
        ]
        if rows:
            parts += [f"### {area}", md.table(["table", "what a row is", "primary key"], rows)]
    return "\n\n".join(parts)


def _migrations(schema: Schema) -> str:
    rows = [
        [
            f"[`{version}`](../../clawdbox/store/migrations/{version}.sql)",
            ", ".join(
                md.table_link(name, _TABLES)
                for name, table in schema.tables.items()
                if version in table.migrations
            ),
        ]
        for version in schema.migrations
    ]
    return md.table(["migration", "tables that it made or changed"], rows)


def _sensitive(schema: Schema, notes: Mapping[str, Notes]) -> str:
    rows = [
        [md.code(column), md.table_link(name, _TABLES), known.level, known.protection, md.one_up(known.note)]
        for name in schema.tables
        for column, known in notes[name].sensitive.items()
    ]
    return md.table(["field", "table", "sensitivity", "protection", "note"], rows)


def _kinds(schema: Schema, notes: Mapping[str, Notes]) -> str:
    rows = [
        [
            md.table_link(relation.key.table, _TABLES),
            f"{notes[relation.child.name].relations[relation.key.column].verb} →",
            f"{md.table_link(relation.child.name, _TABLES)} `{relation.key.column}`",
            relation.kind,
            md.code(relation.key.on_delete),
        ]
        for relation in sorted(relations(schema), key=lambda one: list(schema.tables).index(one.key.table))
    ]
    return md.table(["from", "", "to", "kind", "on delete"], rows)


def _many_to_many(schema: Schema) -> str:
    found = joins(schema)
    if not found:
        return "No table relates two others many to many (N : M)."
    rows = [
        [
            md.table_link(table.name, _TABLES),
            ", ".join(md.table_link(key.table, _TABLES) for key in table.foreign_keys),
        ]
        for table in found
    ]
    return "Many to many (N : M):\n\n" + md.table(["table", "relates"], rows)


def _cascades(schema: Schema) -> str:
    rows = [
        [
            md.table_link(one.table, _TABLES),
            _linked(one.gone),
            _linked(one.emptied),
            _linked(one.refusing),
        ]
        for one in deletions(schema)
    ]
    return md.table(
        ["delete a row of", "go with it", "lose the reference", "forbid it while they refer"], rows
    )


def _linked(tables: Sequence[str]) -> str:
    return ", ".join(md.table_link(name, _TABLES) for name in tables) or "none"


def _loose(schema: Schema, notes: Mapping[str, Notes]) -> str:
    rows = [
        [f"{md.table_link(name, _TABLES)} `{column}`", md.one_up(note)]
        for name in schema.tables
        for column, note in notes[name].loose.items()
    ]
    return md.table(["column", "refers to, and why there is no foreign key"], rows)


def _indexes(schema: Schema, notes: Mapping[str, Notes]) -> str:
    rows = [
        [
            md.table_link(table.name, _TABLES),
            md.code(index.title),
            index_columns(index) if index.origin == "c" else "",
            "yes" if index.unique else "no",
            md.one_up(notes[table.name].indexes[index.title]),
        ]
        for table in schema.tables.values()
        for index in table.indexes
        if index.title in notes[table.name].indexes
    ]
    return md.table(["table", "index", "columns", "unique", "for"], rows)


def _unindexed(schema: Schema) -> str:
    bare = [relation for relation in relations(schema) if not relation.is_indexed]
    if not bare:
        return "Every foreign key leads an index."
    return "\n".join(f"- {_named(relation)}" for relation in bare)


def _named(relation: Relation) -> str:
    return f"{md.table_link(relation.child.name, _TABLES)} `{relation.key.column}`"
