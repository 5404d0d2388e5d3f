"""A copy of the database while it is written to, and whether a copy is whole."""

import sqlite3
from pathlib import Path

from clawdbox.errors import Problem

_PAGES = 4096  # at a time, so that the copy does not hold up a checkpoint for long


def copy_database(source: Path, target: Path) -> None:
    """One consistent state, with SQLite's backup API (sqlite.org/backup.html). `target` is a new file of mode 0600."""
    target.touch(0o600, exist_ok=False)
    reader = sqlite3.connect(f"file:{source.as_posix()}?mode=ro", uri=True, timeout=10)
    try:
        writer = sqlite3.connect(target)
        try:
            reader.backup(writer, pages=_PAGES)
            writer.execute("PRAGMA journal_mode=DELETE")
        finally:
            writer.close()
    finally:
        reader.close()


def check_database(path: Path) -> None:
    """Raises Problem("backup_damaged") for a file that SQLite takes for no whole database."""
    db = sqlite3.connect(f"file:{path.as_posix()}?mode=ro&immutable=1", uri=True)
    try:
        found = db.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.DatabaseError:
        found = None
    finally:
        db.close()
    if found != ("ok",):
        raise Problem("backup_damaged", "The database in this backup is damaged. Use another backup.")
