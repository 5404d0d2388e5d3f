"""From the keyring's file and a secret to its keys, and back: what the keyring itself is made of."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from clawdbox.errors import StartRefused
from clawdbox.store.peek import has_content
from clawdbox.vault import files, host, refusals
from clawdbox.vault.host import Folder, HostKey
from clawdbox.vault.model import (
    NONCE_BYTES,
    HostSlot,
    KeyringFile,
    KeyringStatus,
    KeyStatus,
    Slot,
    SlotType,
)
from clawdbox.vault.rules import keyfile, slots
from clawdbox.vault.secret import Secret

_SALT_BYTES = 32
S = TypeVar("S", bound=Slot)


def read_status(data_dir: Path) -> KeyringStatus:
    """What the file says, without any key: for `clawdbox keyring status` on a box that does not start."""
    with opened(data_dir) as folder:
        return status(read(folder, None))


@contextmanager
def opened(data_dir: Path, environ: Mapping[str, str] = os.environ) -> Iterator[Folder]:
    with files.opened_folder(data_dir) as fd:
        yield Folder(fd, data_dir, environ)


def read(folder: Folder, database: Path | None) -> KeyringFile:
    raw = files.read_private(folder.fd, folder.path, files.KEYRING, keyfile.MAX_BYTES)
    if raw is not None:
        return keyfile.decode(raw)
    if database is not None:
        refuse_orphaned_database(folder.path, database)
    raise StartRefused(
        "keyring_missing",
        f"There is no {folder.path / files.KEYRING}.",
        path=str(folder.path / files.KEYRING),
    )


def open_unattended(file: KeyringFile, folder: Folder) -> dict[str, Secret]:
    """Every key, by the host key. A passphrase stands in where there is none, but not for a wrong one."""
    kinds = {slots.slot_type(slot) for entry in file.keys for slot in entry.slots}
    if SlotType.HOST not in kinds:
        raise refusals.locked() if SlotType.PASSPHRASE in kinds else refusals.no_slot(folder.path)
    found, flaw = host.host_keys(folder)
    for key in found:
        masters = unwrap_all(file, HostSlot, key.secret)
        if masters is not None:
            return masters
    if flaw or found:
        raise flaw or refusals.wrong_host_key(folder.path, found[0])
    raise refusals.locked() if SlotType.PASSPHRASE in kinds else refusals.no_host_key(folder.path)


def fitting_host_key(file: KeyringFile, folder: Folder) -> HostKey:
    found, flaw = host.host_keys(folder)
    for key in found:
        if unwrap_all(file, HostSlot, key.secret) is not None:
            return key
    if flaw or found:
        raise flaw or refusals.wrong_host_key(folder.path, found[0])
    raise refusals.no_host_key(folder.path)


def refuse_orphaned_database(data_dir: Path, database: Path) -> None:
    wal = database.with_name(database.name + "-wal")
    if has_content(database) or has_content(wal) or database.is_symlink():
        raise StartRefused(
            "keyring_missing",
            f"There is a database ({database}) but no {data_dir / files.KEYRING}. A new key could not open what is sealed "
            "in it, so none was made. Put back master.keyring from a backup, or move the database away to begin anew.",
            path=str(data_dir / files.KEYRING),
        )


def wrap(kind: type[S], instance_id: str, key_id: str, secret: Secret, master: bytes | bytearray) -> S:
    salt, nonce = os.urandom(_SALT_BYTES), os.urandom(NONCE_BYTES)
    return slots.wrap(kind, instance_id, key_id, secret.reveal(), master, salt, nonce)


def unwrap_all(file: KeyringFile, kind: type[Slot], secret: Secret) -> dict[str, Secret] | None:
    """Every key, or None: half a keyring would fail later, at some sealed value."""
    masters = {}
    for entry in file.keys:
        slot = slots.find(entry, kind)
        master = slots.unwrap(slot, file.instance_id, entry.id, secret.reveal()) if slot else None
        if master is None:
            return None
        masters[entry.id] = Secret(master)
    return masters


def status(file: KeyringFile) -> KeyringStatus:
    keys = tuple(
        KeyStatus(id=entry.id, state=entry.state, slots=tuple(slots.slot_type(slot) for slot in entry.slots))
        for entry in file.keys
    )
    return KeyringStatus(instance_id=file.instance_id, active=file.active, keys=keys)
