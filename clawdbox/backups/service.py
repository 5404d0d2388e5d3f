"""Making a backup of a box that runs."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import msgspec

from clawdbox import __version__, logs
from clawdbox.backups.archive import DATABASE, Writer
from clawdbox.clock import iso
from clawdbox.errors import Conflict, Problem, Unavailable
from clawdbox.events import Actor, Ledger
from clawdbox.events.archive import FOLDER as ARCHIVES
from clawdbox.events.model import SYSTEM
from clawdbox.events.wire import AUDIT_FILE
from clawdbox.ids import new_id
from clawdbox.recovery import Recovery
from clawdbox.settings import Settings
from clawdbox.store import Store, Tx
from clawdbox.store.backup import copy_database
from clawdbox.vault import Keyring, SlotType

log = logs.get("backups")
FOLDER = "backups"
_FOLDERS = (("recordings", "*.cast"), (ARCHIVES, "*.jsonl"))
ENDING = ".clawdbox"
_COPY = "database.copy"
_TAKEN = "taken-"
_ATTEMPTS = 3
_LOOK_S = 300.0


class Made(msgspec.Struct, frozen=True):
    """A backup's file, and its size in bytes."""

    id: str
    path: Path
    size: int


class Backups:
    """Files named by their time in the folder `backups` of the data folder, or wherever the setting `backup_folder` says."""

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        settings: Settings,
        keyring: Keyring,
        recovery: Recovery,
        data_dir: Path,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._keyring = keyring
        self._recovery = recovery
        self._data_dir = data_dir
        self._every = timedelta(hours=settings.backup_every_h)
        self._keep = settings.backup_keep
        self._own = data_dir / FOLDER
        self._folder = data_dir / (settings.backup_folder or FOLDER)
        self._making = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    # by the clock

    def start(self) -> None:
        for left in (*self._own.glob(f"{_TAKEN}*"), self._own / _COPY):  # by one that was killed
            left.unlink(missing_ok=True)
        if self._every:
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            try:
                await self.make_if_due()
            except Problem as problem:
                log.warning("backup.failed", problem=problem.code, reason=problem.message)
            except Exception:
                log.exception("backup.failed")
            await asyncio.sleep(_LOOK_S)

    async def make_if_due(self) -> Made | None:
        """One when the newest is older than `backup_every_h`; then the oldest go, until `backup_keep` are left."""
        newest = max(self._there(), default=None)
        if newest and newest.name[: len(self._stamp())] > self._stamp(self._every):
            return None
        made = await self._make(SYSTEM, self._folder, f"{self._stamp()}-")
        for old in sorted(self._there())[: -self._keep]:
            old.unlink(missing_ok=True)
        return made

    def _there(self) -> list[Path]:
        """Those that were made here, by their names; anything else in the folder is none of ours."""
        return [path for path in self._folder.glob(f"*{ENDING}") if _is_ours(path.name)]

    def _stamp(self, ago: timedelta = timedelta()) -> str:
        return (self._store.clock.now() - ago).strftime("%Y%m%dT%H%M%SZ")

    # by hand

    async def make_to_take(self, actor: Actor) -> Made:
        """For somebody who takes the file away.

        Raises Conflict `recovery_words_pending`, Unavailable `backup_folder` and `storage_full`.
        """
        return await self._make(actor, self._own, _TAKEN)

    async def _make(self, actor: Actor, folder: Path, name: str) -> Made:
        if not await self._recovery.is_written_down() and SlotType.PASSPHRASE not in self._keyring.slots:
            raise Conflict(
                "recovery_words_pending",
                "Nothing would open this backup elsewhere: the recovery words are not written down yet. The web app and"
                " the next start on a terminal show them.",
            )
        async with self._making:
            backup_id = new_id(self._store.clock.now())
            path = folder / f"{name}{backup_id[-8:]}{ENDING}"
            try:
                await asyncio.to_thread(self._pack, path, backup_id)
                size = path.stat().st_size
            except OSError as error:
                raise Unavailable(
                    "backup_folder",
                    f"The backup could not be written to {folder}: {error.strerror}. Nothing of it was left there.",
                ) from None
            await self._store.write(lambda tx: self._tell(tx, actor, backup_id, size))
        return Made(backup_id, path, size)

    def _tell(self, tx: Tx, actor: Actor, backup_id: str, size: int) -> None:
        self._ledger.audit(tx, actor, "backup.make", "backup", backup_id, detail={"size_bytes": size})

    def _pack(self, path: Path, backup_id: str) -> None:
        """The trail first: the database, copied later, has all its rows. Recordings only grow."""
        _private_folder(path.parent)
        part = path.with_suffix(".part")
        with _opened(self._data_dir / AUDIT_FILE) as trail:
            trail_size = _whole_lines(trail)
            keyring, copy = self._copy()
            told = {
                "id": backup_id,
                "instance_id": self._keyring.instance_id,
                "created_at": iso(self._store.clock.now()),
                "version": __version__,
                "keyring": keyring,
            }
            try:
                with Writer(part, self._keyring.sealer(), **told) as writer:
                    _add(writer, DATABASE, copy)
                    if trail:
                        writer.add(AUDIT_FILE, trail, trail_size)
                    for folder, pattern in _FOLDERS:
                        for file in sorted((self._data_dir / folder).glob(pattern)):
                            _add(writer, f"{folder}/{file.name}", file)
                    writer.finish()
                part.rename(path)
            finally:
                copy.unlink(missing_ok=True)
                part.unlink(missing_ok=True)

    def _copy(self) -> tuple[str, Path]:
        """(the keyring's file, a copy of the database that it opens): a rotation may change the keys in between."""
        copy = self._own / _COPY
        _private_folder(self._own)
        for _ in range(_ATTEMPTS):
            copy.unlink(missing_ok=True)  # a crash may have left one
            before = self._keyring.portable()
            copy_database(self._store.path, copy)
            if before == self._keyring.portable():
                return before.decode(), copy
        copy.unlink(missing_ok=True)
        raise Unavailable("keyring_changing", "The keyring is being changed. Make the backup a moment later.")


def _private_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _add(writer: Writer, name: str, path: Path) -> None:
    with _opened(path) as file:
        if file is not None:  # a recording that was deleted meanwhile
            writer.add(name, file, os.fstat(file.fileno()).st_size)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO | None]:
    try:
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")
    except FileNotFoundError:
        yield None
        return
    with file:
        yield file


def _whole_lines(file: BinaryIO | None) -> int:
    """How many bytes of it are whole lines; it is read from its beginning next."""
    if file is None:
        return 0
    end = os.fstat(file.fileno()).st_size
    back = min(end, 1_048_576)
    found = os.pread(file.fileno(), back, end - back).rfind(b"\n")
    return end - back + found + 1


def _is_ours(name: str) -> bool:
    stamp, dash, rest = name.partition("-")
    return len(stamp) == 16 and stamp.endswith("Z") and dash == "-" and len(rest) == 8 + len(ENDING)
