"""`make docs`: write docs/database anew. It refuses while something in the schema has no note."""

import sys

from tools.database_docs.build import pages
from tools.database_docs.connection_settings import connection_settings
from tools.database_docs.facts import read_schema
from tools.database_docs.flaws import flaws
from tools.database_docs.notes import ROOT, read_notes, read_prose
from tools.database_docs.queries import query_flaws

TARGET = ROOT / "docs" / "database"


def main() -> int:
    schema, notes = read_schema(), read_notes()
    found = flaws(schema, notes) or query_flaws(schema, notes)
    if found:
        sys.stderr.write(
            "\n".join(["The notes in clawdbox/store/notes do not fit the schema:", *found]) + "\n"
        )
        return 1
    prose = {name: read_prose(name) for name in ("schema", "relationships")}
    made = {TARGET / name: text for name, text in pages(schema, notes, connection_settings(), prose).items()}
    for stale in {*TARGET.glob("tables/*.md")} - made.keys():
        stale.unlink()
    for path, text in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
