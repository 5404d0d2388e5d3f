"""The append-only copy of the audit trail: `audit.jsonl`, one committed row a line."""

import asyncio
import os
from pathlib import Path

import msgspec

from clawdbox.events import sql
from clawdbox.events.hub import Hub
from clawdbox.events.model import AuditEntry
from clawdbox.store import Store

_PAGE = 500
_TAIL = 65_536


class AuditFile:
    """Follows the table: writes what was committed since the file's last line, also after a crash between the two."""

    def __init__(self, path: Path, store: Store, hub: Hub) -> None:
        self._path = path
        self._store = store
        self._hub = hub
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self._catch_up()
        self._task = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._catch_up()

    async def _follow(self) -> None:
        with self._hub.listen("audit") as signal:
            while True:
                await signal.wait()
                signal.clear()
                await self._catch_up()

    async def _catch_up(self) -> None:
        anchor = last_line(self._path)
        after = anchor[0] if anchor else 0
        while page := await self._store.read(lambda r, after=after: sql.audit_after(r, after, _PAGE)):  # type: ignore[misc]
            await asyncio.to_thread(_append, self._path, page)
            after = page[-1].id


def _append(path: Path, page: list[AuditEntry]) -> None:
    lines = b"".join(msgspec.json.encode(entry) + b"\n" for entry in page)
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        os.write(handle, lines)
        os.fsync(handle)
    finally:
        os.close(handle)


def last_line(path: Path) -> tuple[int, str] | None:
    """(id, mac) of the last whole line, or None. A torn last line, left by a crash, is cut off first."""
    try:
        with path.open("r+b") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL))
            tail = file.read()
            whole = tail[: tail.rfind(b"\n") + 1]
            if len(whole) < len(tail):
                file.truncate(size - (len(tail) - len(whole)))
    except FileNotFoundError:
        return None
    if not whole:
        return None
    entry = msgspec.json.decode(whole.splitlines()[-1], type=AuditEntry)
    return entry.id, entry.mac
