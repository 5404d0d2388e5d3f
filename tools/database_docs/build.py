"""All pages of docs/database, by their path in it."""

from collections.abc import Mapping, Sequence

from tools.database_docs.facts import Schema
from tools.database_docs.notes import Notes
from tools.database_docs.overview_pages import relationships_page, schema_page
from tools.database_docs.table_page import table_page


def pages(
    schema: Schema,
    notes: Mapping[str, Notes],
    settings: Sequence[tuple[str, str, str]],
    prose: Mapping[str, str],
) -> dict[str, str]:
    """`notes` without a flaw; `prose` of `schema` and `relationships`."""
    tables = {
        f"tables/{name}.md": table_page(schema, table, notes[name]) for name, table in schema.tables.items()
    }
    return {
        "schema.md": schema_page(schema, notes, settings, prose["schema"]),
        "relationships.md": relationships_page(schema, notes, prose["relationships"]),
        **tables,
    }
