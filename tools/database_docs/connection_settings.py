"""How the store really sets its connections: asked of an open one, so that the page cannot say otherwise."""

import asyncio
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from clawdbox.clock import Clock
from clawdbox.store import Store
from clawdbox.store.db import Reader
from clawdbox.store.migrate import migrate

PRAGMAS = ("journal_mode", "synchronous", "foreign_keys", "query_only", "busy_timeout", "mmap_size")
_WORDS = {"synchronous": {0: "OFF", 1: "NORMAL", 2: "FULL", 3: "EXTRA"}}
_SWITCHES = {"foreign_keys", "query_only"}


def connection_settings() -> list[tuple[str, str, str]]:
    """(pragma, on the writer, on a reader)"""
    return asyncio.run(_ask())


async def _ask() -> list[tuple[str, str, str]]:
    with tempfile.TemporaryDirectory(prefix="clawdbox-docs-") as folder:
        path = Path(folder, "settings.db")
        migrate(path, datetime.now(UTC))
        store = Store.open(path, Clock())
        try:
            writer, reader = await store.write(_values), await store.read(_values)
        finally:
            await store.close()
    return [(name, writer[name], reader[name]) for name in PRAGMAS]


def _values(r: Reader) -> dict[str, str]:
    return {name: _word(name, r.value(f"PRAGMA {name}")) for name in PRAGMAS}


def _word(name: str, value: object) -> str:
    if name in _SWITCHES:
        return "ON" if value else "OFF"
    return str(_WORDS.get(name, {}).get(value, value)) if isinstance(value, int) else str(value).upper()
