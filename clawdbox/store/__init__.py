"""SQLite: one writer, read-only readers, migrations."""

from clawdbox.store.db import Reader, Store, Tx

__all__ = ["Reader", "Store", "Tx"]
