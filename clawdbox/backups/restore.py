"""Looking through a backup, and making a box of it on an empty folder."""

import os
import shutil
from pathlib import Path

import msgspec

from clawdbox.backups.archive import DATABASE, Header, Reader
from clawdbox.errors import Conflict, Problem
from clawdbox.store.backup import check_database
from clawdbox.vault import Keyring, Sealer, Way, open_portable, prepare_folder, verify_database
from clawdbox.vault.files import KEYRING, opened_folder, write_private

_ASIDE = ".restoring"


class Contents(msgspec.Struct, frozen=True):
    """What a backup holds. `size` in bytes, of all its files."""

    header: Header
    recordings: int
    size: int


def look_through(path: Path, sealer: Sealer | None = None, *, text: str = "", by: Way = "words") -> Contents:
    """Every byte, to its end; nothing is written. Opened by a box's own keyring, or by words or a passphrase.

    Raises Problem: `backup_none`, `backup_newer`, `backup_damaged`, `words_…`, `passphrase_…`.
    """
    with Reader(path) as reader:
        reader.unlock(sealer or open_portable(reader.keyring, text, by=by))
        return _contents(reader)


def restore(path: Path, data_dir: Path, text: str, *, by: Way) -> Contents:
    """A box in `data_dir`, which must be empty or not there, with a new host key. It appears at once, or not at all.

    Raises Problem as `look_through` does, and Conflict("restore_not_empty").
    """
    if data_dir.exists() and any(data_dir.iterdir()):
        raise Conflict(
            "restore_not_empty",
            f"{data_dir} is not empty. A backup is restored to an empty folder: choose another with --data-dir.",
        )
    with Reader(path) as reader:
        reader.unlock(open_portable(reader.keyring, text, by=by))
        contents = _contents(reader)
        aside = data_dir.with_name(f"{data_dir.name}{_ASIDE}")
        shutil.rmtree(aside, ignore_errors=True)  # left by one that was killed
        try:
            prepare_folder(aside)
            _write_all(reader, aside)
            _open_as_box(aside, reader.header.keyring.encode(), text, by)
            _put_in_place(aside, data_dir)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return contents


def _contents(reader: Reader) -> Contents:
    size = recordings = 0
    for entry, pieces in reader.entries():
        size += sum(map(len, pieces))
        recordings += entry.name.startswith("recordings/")
    return Contents(reader.header, recordings, size)


def _write_all(reader: Reader, folder: Path) -> None:
    for entry, pieces in reader.entries():
        target = folder / entry.name
        target.parent.mkdir(mode=0o700, exist_ok=True)
        fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())


def _open_as_box(folder: Path, keyring: bytes, text: str, by: Way) -> None:
    """The database is whole and this keyring's, and a new host key opens that from now on."""
    database = folder / DATABASE
    check_database(database)
    with opened_folder(folder) as fd:
        write_private(fd, KEYRING, keyring)
    opened = (
        Keyring.open_with_words(folder, text) if by == "words" else Keyring.open_with_passphrase(folder, text)
    )
    if verify_database(opened, database) != "matches":
        raise Problem("backup_damaged", "The database in this backup is empty. Use another backup.")
    opened.renew_host_key()


def _put_in_place(aside: Path, data_dir: Path) -> None:
    """One rename; where the folder itself has to stay (a mount), file by file with the keyring last: until it is there no box starts."""
    try:
        if data_dir.exists():
            data_dir.rmdir()
        aside.rename(data_dir)
    except OSError:
        data_dir.mkdir(mode=0o700, exist_ok=True)
        data_dir.chmod(0o700)
        for found in sorted(aside.iterdir(), key=lambda found: found.name == KEYRING):
            shutil.move(found, data_dir / found.name)
    with opened_folder(data_dir) as fd:
        os.fsync(fd)
