"""Migrations: one `.sql` file each, applied in one transaction together with its version."""

import sqlite3
from datetime import datetime
from importlib import resources
from pathlib import Path

from clawdbox.clock import iso
from clawdbox.errors import StartRefused
from clawdbox.store.db import storage_problem
from clawdbox.store.peek import peek_versions

_VERSIONS = (
    "CREATE TABLE IF NOT EXISTS schema_migrations (version TEXT PRIMARY KEY, applied_at TEXT NOT NULL) STRICT"
)


def available() -> list[tuple[str, str]]:
    """(version, SQL), oldest first. The version is the file's name, which begins with its timestamp."""
    folder = resources.files("clawdbox.store").joinpath("migrations")
    files = [entry for entry in folder.iterdir() if entry.name.endswith(".sql")]
    return sorted((entry.name.removesuffix(".sql"), entry.read_text()) for entry in files)


def migrate(path: Path, now: datetime) -> list[str]:
    """Bring the database up to date and return the versions applied. Raises StartRefused for a newer one, Unavailable without room."""
    known = available()
    _refuse_newer(
        peek_versions(path) - {version for version, _ in known}
    )  # opening it to write may change it
    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute(_VERSIONS)
        done = {row[0] for row in db.execute("SELECT version FROM schema_migrations")}
        missing = [(version, sql) for version, sql in known if version not in done]
        for version, sql in missing:
            _apply(db, version, sql, now)
        return [version for version, _ in missing]
    except sqlite3.OperationalError as error:
        raise storage_problem(error) from None
    finally:
        db.close()


def _refuse_newer(unknown: set[str]) -> None:
    if unknown:
        raise StartRefused(
            "database_newer",
            f"This database was written by a newer clawdbox (migration {max(unknown)}). Start that version instead.",
        )


def _apply(db: sqlite3.Connection, version: str, sql: str, now: datetime) -> None:
    try:
        db.executescript(f"BEGIN IMMEDIATE;\n{sql}")
        db.execute("INSERT INTO schema_migrations VALUES (?, ?)", (version, iso(now)))
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
