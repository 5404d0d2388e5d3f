"""Audit rows of months long past: into a signed file each, out of the table, and away after a year."""

import asyncio
import hashlib
import os
from datetime import timedelta
from pathlib import Path

import msgspec

from clawdbox import logs
from clawdbox.clock import iso, parse
from clawdbox.events import rules, sql
from clawdbox.events.model import SYSTEM, AuditArchive, AuditEntry
from clawdbox.events.service import Ledger
from clawdbox.settings import Settings
from clawdbox.store import Store, Tx

log = logs.get("events")
FOLDER = "audit-archive"
_EVERY_S = 6 * 3600.0
_PAGE = 1000


class Archivist:
    """Looks at every start and some times a day. One month is one file, written whole before a row goes."""

    def __init__(self, folder: Path, store: Store, ledger: Ledger, settings: Settings) -> None:
        self._folder = folder
        self._store = store
        self._ledger = ledger
        self._hot = timedelta(days=settings.audit_hot_days)
        self._kept = timedelta(days=settings.audit_archive_days)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            try:
                await self.look()
            except Exception:
                log.exception("audit_archive.failed", path=str(self._folder))
            await asyncio.sleep(_EVERY_S)

    async def look(self) -> int:
        """Archive what is due and remove what is too old; returns how many months were archived."""
        months = 0
        while await self._next_month():
            months += 1
        await self._remove_old()
        return months

    async def _next_month(self) -> bool:
        last = await self._store.read(sql.last_archive)
        after = last.last_id if last else 0
        oldest = await self._store.read(lambda r: sql.audit_rows_after(r, after, 1))
        if not oldest:
            return False
        end = rules.month_end(parse(oldest[0]["created_at"]))
        if end > self._store.clock.now() - self._hot:
            return False
        until = await self._store.read(lambda r: sql.last_audit_id_before(r, after, end))
        rows = await self._rows(after, until)
        if not await self._store.read(lambda r: self._ledger.follows(r, last, rows)):
            log.error("audit_archive.broken_chain", first_id=after + 1)
            return False
        await self._archive(rows)
        return True

    async def _rows(self, after: int, until: int) -> list[AuditEntry]:
        found: list[AuditEntry] = []
        while after < until:
            page = await self._store.read(
                lambda r, after=after: sql.audit_after(r, after, min(_PAGE, until - after))  # type: ignore[misc]
            )
            found += page
            after = page[-1].id
        return found

    async def _archive(self, rows: list[AuditEntry]) -> None:
        """The file first: dying in between leaves a file that the next look writes again."""
        body = b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
        month = f"{rows[0].created_at:%Y-%m}"
        made = AuditArchive(
            last_id=rows[-1].id,
            first_id=rows[0].id,
            month=month,
            file_name=f"{month}-{rows[0].id}.jsonl",
            sha256=hashlib.sha256(body).hexdigest(),
            last_mac=rows[-1].mac,
            key_id=None,
            created_at=self._store.clock.now(),
            mac="",
            removed_at=None,
        )
        signed = self._ledger.sign_archive(made)
        await asyncio.to_thread(_write, self._folder / signed.file_name, body + signed_line(signed))

        def change(tx: Tx) -> None:
            detail = {"month": month, "first_id": signed.first_id, "last_id": signed.last_id}
            self._ledger.audit(tx, SYSTEM, "audit.archive", detail=detail)
            tx.insert("audit_archives", msgspec.structs.asdict(signed))
            sql.delete_archived(tx, signed.last_id)

        await self._store.write(change)
        log.info("audit_archive.made", month=month, rows=len(rows))

    async def _remove_old(self) -> None:
        before = self._store.clock.now() - self._kept
        for old in await self._store.read(lambda r: sql.archives_before(r, before)):
            await asyncio.to_thread((self._folder / old.file_name).unlink, missing_ok=True)
            await self._store.write(lambda tx, old=old: self._removed(tx, old))  # type: ignore[misc]

    def _removed(self, tx: Tx, old: AuditArchive) -> None:
        sql.archive_removed(tx, old.last_id)
        detail = {"month": old.month, "first_id": old.first_id, "last_id": old.last_id}
        self._ledger.audit(tx, SYSTEM, "audit.archive_remove", detail=detail)


def signed_line(archive: AuditArchive) -> bytes:
    """The file's last line: what it holds, and the signature over that."""
    said = {name: value for name, value in msgspec.structs.asdict(archive).items() if name != "removed_at"}
    return msgspec.json.encode({"archive": {**said, "created_at": iso(archive.created_at)}}) + b"\n"


def first_flaw(folder: Path, archives: list[AuditArchive]) -> tuple[int, str] | None:
    """(first row, reason) of the first archive whose file is not what was signed."""
    for archive in archives:
        if archive.removed_at is None:
            reason = _flaw(folder / archive.file_name, archive)
            if reason:
                return archive.first_id, reason
    return None


def _flaw(path: Path, archive: AuditArchive) -> str | None:
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except OSError:
        return f"{path.name}, the archive that holds it, is not there"
    body, last = b"".join(lines[:-1]), b"".join(lines[-1:])
    whole = hashlib.sha256(body).hexdigest() == archive.sha256 and last == signed_line(archive)
    return None if whole else f"{path.name}, the archive that holds it, was changed"


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(handle)
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
