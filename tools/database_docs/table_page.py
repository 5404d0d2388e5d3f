"""The page of one table."""

from tools.database_docs import markdown as md
from tools.database_docs.facts import Column, Index, Schema, Table
from tools.database_docs.notes import Notes, Protection, Query, Usage
from tools.database_docs.relations import Relation

HEAD = "<!-- Made by `make docs` from the migrations and clawdbox/store/notes. Do not edit. -->"


def table_page(schema: Schema, table: Table, notes: Notes) -> str:
    return md.page(
        [
            HEAD,
            f"# `{table.name}`",
            _paragraphs(notes.purpose),
            _facts(table, notes),
            "## Columns",
            _columns(table, notes),
            *_values(notes),
            "## Keys and relations",
            *_keys(schema, table, notes),
            *_checks(table, notes),
            *_indexes(table, notes),
            *_triggers(table, notes),
            "## Life of a row",
            _paragraphs(notes.lifecycle),
            f"**Retention.** {md.flat(notes.retention)}",
            "## Usage",
            _usage(notes.usage),
            *(_query(query) for query in notes.queries),
            "## Sensitive columns",
            _sensitive(notes),
            "---\n\n[All tables](../schema.md) · [Relationships](../relationships.md)",
        ]
    )


def _paragraphs(text: str) -> str:
    """Line breaks in the notes are the writer's; empty lines part paragraphs, and lists stay lists."""
    parts = text.strip().split("\n\n")
    return "\n\n".join(part if part.startswith(("- ", "```", "|")) else md.flat(part) for part in parts)


def _facts(table: Table, notes: Notes) -> str:
    form = "`STRICT`" if table.strict else "not `STRICT`"
    if table.without_rowid:
        form += ", `WITHOUT ROWID` (the table is the tree of its primary key)"
    made, *changed = [_migration(version) for version in table.migrations] or ["the migrator itself"]
    later = f", changed by {', '.join(changed)}" if changed else ""
    return f"*{notes.area}* · {form} · made by {made}{later}"


def _migration(version: str) -> str:
    return f"[`{version}`](../../../clawdbox/store/migrations/{version}.sql)"


def _columns(table: Table, notes: Notes) -> str:
    rows = (
        [
            md.code(column.name),
            column.type,
            "yes" if column.nullable else "no",
            md.code(column.default) if column.default else "",
            _constraints(table, column),
            _marked(column.name, notes),
        ]
        for column in table.columns
    )
    return md.table(["column", "type", "null", "default", "constraint", "note"], rows)


def _constraints(table: Table, column: Column) -> str:
    found = []
    if column.key:
        found.append(f"PK ({column.key} of {len(table.primary_key)})" if len(table.primary_key) > 1 else "PK")
    found += [f"FK → {md.table_link(key.table)}" for key in table.foreign_keys if key.column == column.name]
    for index in table.indexes:
        if index.unique and index.origin != "pk" and column.name in index.columns:
            together = "unique" if len(index.columns) == 1 else f"unique as {md.code(index.order)}"
            found.append(f"{together} where {md.code(index.where)}" if index.where else together)
    found += ["check" for check in table.checks if check.column == column.name]
    found += ["`AUTOINCREMENT`"] if column.key and "AUTOINCREMENT" in table.sql.upper() else []
    return "; ".join(dict.fromkeys(found))


def _marked(column: str, notes: Notes) -> str:
    known = notes.sensitive.get(column)
    shown = known is not None and known.protection is not Protection.PLAIN
    return f"**{known.protection}.** {notes.columns[column]}" if known and shown else notes.columns[column]


def _values(notes: Notes) -> list[str]:
    parts = []
    for column, values in notes.values.items():
        rows = ([md.code(value), note] for value, note in values.items())
        parts += [f"### Values of `{column}`", md.table(["value", "means"], rows)]
    return parts


def _keys(schema: Schema, table: Table, notes: Notes) -> list[str]:
    parts = [f"Primary key: {md.codes(table.primary_key)}."]
    if table.foreign_keys:
        rows = [
            [
                md.code(key.column),
                f"{md.table_link(key.table)} `{key.to}`",
                Relation(table, key).kind,
                md.code(key.on_delete),
                notes.relations[key.column].note,
            ]
            for key in table.foreign_keys
        ]
        parts.append(md.table(["foreign key", "refers to", "kind", "on delete", "note"], rows))
    else:
        parts.append("It refers to no other table.")
    children = schema.referring_to(table.name)
    if children:
        rows = [
            [
                f"{md.table_link(child.name)} `{key.column}`",
                Relation(child, key).kind,
                md.code(key.on_delete),
            ]
            for child, key in children
        ]
        parts += ["Referred to by:", md.table(["foreign key", "kind", "on delete"], rows)]
    else:
        parts.append("No other table refers to it.")
    if notes.loose:
        rows = [[md.code(column), note] for column, note in notes.loose.items()]
        parts += [
            "References that the database does not check:",
            md.table(["column", "refers to, and why there is no foreign key"], rows),
        ]
    return parts


def _checks(table: Table, notes: Notes) -> list[str]:
    if not table.checks:
        return []
    rows = []
    for check in table.checks:
        why = "Only the values above." if check.values else notes.checks[check.expression]
        rows.append([md.code(check.expression), md.code(check.column) if check.column else "the row", why])
    return ["## Checks", md.table(["check", "of", "why"], rows)]


def _indexes(table: Table, notes: Notes) -> list[str]:
    rows = [
        [
            md.code(index.title),
            index_columns(index),
            "yes" if index.unique else "no",
            notes.indexes.get(index.title, "Finds a row by its primary key."),
        ]
        for index in table.indexes
    ]
    if not rows:
        return ["## Indexes", "None: the table's own tree, in the order of its primary key, is enough."]
    return ["## Indexes", md.table(["index", "columns", "unique", "for"], rows)]


def index_columns(index: Index) -> str:
    shown = md.code(index.order)
    return f"{shown} where {md.code(index.where)}" if index.where else shown


def _triggers(table: Table, notes: Notes) -> list[str]:
    if not table.triggers:
        return []
    rows = [
        [md.code(trigger.name), md.code(trigger.when), md.code(trigger.body), notes.triggers[trigger.name]]
        for trigger in table.triggers
    ]
    return ["## Triggers", md.table(["trigger", "fires", "does", "for"], rows)]


def _usage(usage: tuple[Usage, ...]) -> str:
    if not usage:
        return "No code reads or writes it."
    rows = ([_room(one.file), md.code(one.file), one.does] for one in usage)
    return md.table(["room", "file", "what it does here"], rows)


def _room(file: str) -> str:
    return md.code(file.split("/")[1].removesuffix(".py"))


def _query(query: Query) -> str:
    served = f" (by {md.codes(query.uses)})" if query.uses else ""
    return f"{md.flat(query.title)}{served}:\n\n{md.fenced('sql', query.sql)}"


def _sensitive(notes: Notes) -> str:
    if not notes.sensitive:
        return "None: nothing here is secret, and nothing tells about a person or a server."
    rows = (
        [md.code(column), known.level, known.protection, known.note]
        for column, known in notes.sensitive.items()
    )
    return md.table(["column", "sensitivity", "protection", "note"], rows)
