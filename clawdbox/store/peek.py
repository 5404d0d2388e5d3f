"""A look into a database before it may be written: at most SQLite's `-shm` cache is touched, never `*.db` or `*.db-wal`.

A read-only connection to a WAL database creates `-wal` and `-shm` where there are none and leaves them behind
(sqlite.org/wal.html, "Read-Only Databases"). So the database is declared immutable when no log has content; with a log
(a crash left it, or a box is running), `mode=ro` reads it and cannot checkpoint it, for want of a write lock.
"""

import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from clawdbox.errors import StartRefused

T = TypeVar("T")


def peek_meta(db_path: Path) -> dict[str, str] | None:
    """The rows of `box_meta`; None when there is no database, or nothing but the list of migrations in it."""
    return _look(db_path, _meta)


def peek_versions(db_path: Path) -> set[str]:
    """The migrations that a database says it has had."""
    return _look(db_path, _versions) or set()


def _look(db_path: Path, what: Callable[[sqlite3.Connection, str], T | None]) -> T | None:
    try:
        if not has_content(db_path):
            return None
        if has_content(_beside(db_path, "-journal")):
            return _peek_copy(db_path, what)
        immutable = not has_content(_beside(db_path, "-wal"))
        found = _peek(db_path, immutable, what)
        if immutable and has_content(_beside(db_path, "-wal")):
            return _peek(db_path, False, what)  # someone began to write in the meantime
        return found
    except (sqlite3.Error, OSError) as error:
        raise StartRefused(
            "database_unreadable",
            f"The database {db_path} cannot be read: {error}. Nothing was changed; restore it from a backup, "
            "or start with another --data-dir.",
            path=str(db_path),
        ) from None


def has_content(path: Path) -> bool:
    """SQLite takes an empty file for no database and for no log."""
    try:
        return path.stat().st_size > 0
    except (FileNotFoundError, NotADirectoryError):
        return False


def _beside(db_path: Path, suffix: str) -> Path:
    return db_path.with_name(db_path.name + suffix)


def _peek(db_path: Path, immutable: bool, what: Callable[[sqlite3.Connection, str], T]) -> T:
    return _select(db_path, f"mode=ro&immutable={int(immutable)}", what)


def _peek_copy(db_path: Path, what: Callable[[sqlite3.Connection, str], T]) -> T:
    """A rollback journal is to be rolled back first, and only a small database has one: the box died turning WAL on."""
    with tempfile.TemporaryDirectory(prefix="clawdbox-peek-") as folder:
        for path in (db_path, _beside(db_path, "-journal")):
            shutil.copyfile(path, Path(folder, path.name))
        return _select(Path(folder, db_path.name), "mode=rw", what)


def _select(path: Path, options: str, what: Callable[[sqlite3.Connection, str], T]) -> T:
    db = sqlite3.connect(f"{path.absolute().as_uri()}?{options}", uri=True, isolation_level=None)
    try:
        return what(db, path.name)
    finally:
        db.close()


def _tables(db: sqlite3.Connection) -> set[str]:
    return {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _versions(db: sqlite3.Connection, _name: str) -> set[str]:
    if "schema_migrations" not in _tables(db):
        return set()
    return {str(version) for (version,) in db.execute("SELECT version FROM schema_migrations")}


def _meta(db: sqlite3.Connection, name: str) -> dict[str, str] | None:
    tables = _tables(db)
    if "box_meta" in tables:
        return {str(key): str(value) for key, value in db.execute("SELECT key, value FROM box_meta")}
    if tables <= {"schema_migrations"}:
        return None
    raise StartRefused(
        "keyring_foreign_database",
        f"The database {name} was not made by clawdbox. Move it away, or start with another --data-dir.",
    )
