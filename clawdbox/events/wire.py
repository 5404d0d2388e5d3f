"""The append-only copy of the audit trail: `audit.jsonl`, one committed row a line."""

import asyncio
import math
import os
from pathlib import Path
from typing import IO

import msgspec

from clawdbox import logs
from clawdbox.errors import StartRefused
from clawdbox.events import sql
from clawdbox.events.hub import Hub
from clawdbox.events.model import AuditEntry
from clawdbox.store import Store

log = logs.get("events")
AUDIT_FILE = "audit.jsonl"
_PAGE = 500
_TAIL = 65_536
# Rows gather this long: the copy's own fsync and its changes of thread would else stand beside every command.
_GATHER_S = 0.2
_ANCHOR_S = 3600.0


class AuditFile:
    """Follows the table: writes what was committed since the file's last line, also after a crash between the two."""

    def __init__(self, path: Path, store: Store, hub: Hub) -> None:
        self._path = path
        self._store = store
        self._hub = hub
        self._task: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()
        self._newest: AuditEntry | None = None
        self._anchored_at = -math.inf

    async def start(self) -> None:
        try:
            await self._catch_up()
        except msgspec.MsgspecError:
            raise StartRefused(
                "audit_file_unreadable",
                f"The last line of {self._path} is no audit row: the file was changed. Move it away to keep it; the"
                " box then writes a new one from its database.",
                path=str(self._path),
            ) from None
        self._task = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._try()
        self._anchor(None, closing=True)

    async def _follow(self) -> None:
        with self._hub.listen("audit") as signal:
            while True:
                await asyncio.shield(asyncio.ensure_future(self._try()))
                await signal.wait()
                await asyncio.sleep(_GATHER_S)
                signal.clear()

    async def _try(self) -> None:
        """What cannot be written now (a full disk) is written the next time: the table has it all."""
        try:
            await self._catch_up()
        except Exception:
            log.exception("audit_file.failed", path=str(self._path))

    async def _catch_up(self) -> None:
        async with self._writing:
            await asyncio.to_thread(cut_torn_line, self._path)
            anchor = await asyncio.to_thread(last_line, self._path)
            after = anchor[0] if anchor else 0
            last: AuditEntry | None = None
            while page := await self._store.read(lambda r, after=after: sql.audit_after(r, after, _PAGE)):  # type: ignore[misc]
                await asyncio.to_thread(_append, self._path, page)
                last = page[-1]
                after = last.id
            self._anchor(last)

    def _anchor(self, last: AuditEntry | None, *, closing: bool = False) -> None:
        """Now and then the newest row in the log, which often lies elsewhere: whoever cuts the trail and this file
        does not reach it there."""
        self._newest = last or self._newest
        now = self._store.clock.monotonic()
        if self._newest and (closing or now - self._anchored_at >= _ANCHOR_S):
            log.info("audit.anchor", id=self._newest.id, mac=self._newest.mac)
            self._newest, self._anchored_at = None, now


def _append(path: Path, page: list[AuditEntry]) -> None:
    lines = memoryview(b"".join(msgspec.json.encode(entry) + b"\n" for entry in page))
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        size = os.fstat(handle).st_size
        try:
            while lines:
                lines = lines[os.write(handle, lines) :]
        except OSError:
            os.ftruncate(handle, size)
            raise
        os.fsync(handle)
    finally:
        os.close(handle)


def last_line(path: Path) -> tuple[int, str] | None:
    """(id, mac) of the last whole line, or None; a torn one after it does not count. It only reads."""
    try:
        with path.open("rb") as file:
            line = _last_whole(file)[1]
    except FileNotFoundError:
        return None
    if not line:
        return None
    entry = msgspec.json.decode(line, type=AuditEntry)
    return entry.id, entry.mac


def cut_torn_line(path: Path) -> None:
    """Take away what a crash left after the last whole line. Only its one writer may do that, before it writes."""
    try:
        with path.open("r+b") as file:
            end = _last_whole(file)[0]
            if end < file.seek(0, os.SEEK_END):
                file.truncate(end)
    except FileNotFoundError:
        pass


def _last_whole(file: IO[bytes]) -> tuple[int, bytes]:
    """(where the last whole line ends, that line), looking from the end backwards."""
    size, length = file.seek(0, os.SEEK_END), _TAIL
    while True:
        start = max(0, size - length)
        file.seek(start)
        whole, newline, _torn = file.read(size - start).rpartition(b"\n")
        _before, found, line = whole.rpartition(b"\n")
        if start == 0 or found:
            return start + len(whole) + len(newline), line if newline else b""
        length *= 4
