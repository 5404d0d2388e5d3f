"""What follows from the foreign keys: kinds of relation, and what a deletion does."""

import msgspec

from tools.database_docs.facts import ForeignKey, Schema, Table


class Relation(msgspec.Struct, frozen=True):
    """`child.key.column` refers to a row of `key.table`."""

    child: Table
    key: ForeignKey

    @property
    def is_single(self) -> bool:
        """At most one row of the child for each row that is referred to."""
        mine = (self.key.column,)
        unique = [index.columns for index in self.child.indexes if index.unique and index.where is None]
        return mine in unique or self.child.primary_key == mine

    @property
    def is_optional(self) -> bool:
        return next(column.nullable for column in self.child.columns if column.name == self.key.column)

    @property
    def kind(self) -> str:
        """`1 : N` reads: each row of the child has one row above it, which may have many."""
        return f"{'0..1' if self.is_optional else '1'} : {'0..1' if self.is_single else 'N'}"

    @property
    def is_indexed(self) -> bool:
        """Whether the rows of one parent are found without reading the whole table."""
        leading = [index.columns[0] for index in self.child.indexes if index.where is None]
        return self.key.column in leading or self.child.primary_key[:1] == (self.key.column,)


def relations(schema: Schema) -> list[Relation]:
    return [Relation(child, key) for child in schema.tables.values() for key in child.foreign_keys]


def joins(schema: Schema) -> list[Table]:
    """Tables that exist to relate others many to many: their primary key is made of foreign keys alone."""
    found = []
    for table in schema.tables.values():
        foreign = {key.column for key in table.foreign_keys}
        if len(table.primary_key) > 1 and set(table.primary_key) <= foreign:
            found.append(table)
    return found


class Deletion(msgspec.Struct, frozen=True):
    """What deleting a row of `table` does: rows of `gone` go with it, and rows in `refusing` forbid it."""

    table: str
    gone: tuple[str, ...]
    emptied: tuple[str, ...]
    refusing: tuple[str, ...]


def deletions(schema: Schema) -> list[Deletion]:
    """Of every table that another refers to."""
    found = (_deletion(schema, name) for name in schema.tables)
    return [one for one in found if one.gone or one.emptied or one.refusing]


def _deletion(schema: Schema, table: str) -> Deletion:
    gone = [table]
    for parent in gone:  # grows while it is walked
        gone += [child for child in _children(schema, parent, "CASCADE") if child not in gone]
    emptied = {child for parent in gone for child in _children(schema, parent, "SET NULL", "SET DEFAULT")}
    refusing = {child for parent in gone for child in _children(schema, parent, "NO ACTION", "RESTRICT")}
    order = list(schema.tables)
    return Deletion(
        table,
        tuple(gone[1:]),
        tuple(sorted(emptied - set(gone), key=order.index)),
        tuple(sorted(refusing - set(gone[1:]), key=order.index)),
    )


def _children(schema: Schema, parent: str, *actions: str) -> list[str]:
    return [child.name for child, key in schema.referring_to(parent) if key.on_delete in actions]
