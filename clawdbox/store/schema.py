"""The sum of all migrations as one text: `python -m clawdbox.store.schema > clawdbox/store/schema.sql` (`make schema`)."""

import sqlite3
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from clawdbox.store.migrate import migrate

_HEAD = "-- The sum of migrations/*.sql, for reading. Made by `make schema`; a test compares the two.\n"


def schema() -> str:
    """Every table, index and trigger of a database that has had all migrations, as SQLite keeps them."""
    with tempfile.TemporaryDirectory(prefix="clawdbox-schema-") as folder:
        path = Path(folder, "schema.db")
        migrate(path, datetime.now(UTC))
        db = sqlite3.connect(path)
        try:
            rows = db.execute(
                "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
                " ORDER BY rowid"
            ).fetchall()
        finally:
            db.close()
    return _HEAD + "".join(f"\n{sql};\n" for (sql,) in rows)


if __name__ == "__main__":
    sys.stdout.write(schema())
