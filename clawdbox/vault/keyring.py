"""The master keyring: made once, opened at every start, and refused before anything is written."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from clawdbox.errors import Conflict, Problem, StartRefused
from clawdbox.store.peek import has_content, peek_meta
from clawdbox.vault import files
from clawdbox.vault.host import HostKey, existing_host_key, new_or_existing_host_key
from clawdbox.vault.model import (
    KEY_BYTES,
    MAGIC,
    NONCE_BYTES,
    VERSION,
    HostSlot,
    KeyEntry,
    KeyringFile,
    KeyringStatus,
    KeyState,
    KeyStatus,
    RecoverySlot,
    Slot,
)
from clawdbox.vault.rules import keyfile, slots, words
from clawdbox.vault.seal import BOX, Sealer
from clawdbox.vault.secret import RecoveryWords, Secret

INSTANCE_ID = "instance_id"
CHECK = "keyring_check"
_CHECK_PLACE = ("box_meta", CHECK, "value", BOX)
_CHECK_TEXT = b"clawdbox keyring check"
_SALT_BYTES = 32
S = TypeVar("S", bound=HostSlot | RecoverySlot)


class Keyring:
    """An opened keyring. Use `create`, `open` or `open_with_words`."""

    def __init__(self, data_dir: Path, file: KeyringFile, masters: dict[str, Secret]) -> None:
        self._data_dir = data_dir
        self._file = file
        self._masters = masters

    def __repr__(self) -> str:
        return f"<Keyring instance={self.instance_id} active={self._file.active}>"

    @property
    def instance_id(self) -> str:
        return self._file.instance_id

    @staticmethod
    def exists(data_dir: Path) -> bool:
        """A symbolic link counts: it is refused when opened, never taken for a fresh box."""
        return os.path.lexists(data_dir / files.KEYRING)

    @classmethod
    def create(
        cls, data_dir: Path, instance_id: str, *, database: Path, environ: Mapping[str, str] = os.environ
    ) -> tuple["Keyring", RecoveryWords]:
        """Make the first key. Beside a database without its keyring this would lose what is sealed in it: refused."""
        if cls.exists(data_dir):
            raise Conflict("keyring_exists", f"{data_dir / files.KEYRING} exists already.")
        _refuse_orphaned_database(data_dir, database)
        files.prepare_folder(data_dir)
        entropy = os.urandom(KEY_BYTES)
        with files.opened_folder(data_dir) as folder:
            host_key = new_or_existing_host_key(folder, data_dir, environ)
            key_id, master = os.urandom(8).hex(), os.urandom(KEY_BYTES)
            entry = KeyEntry(
                id=key_id,
                state=KeyState.ACTIVE,
                slots=(
                    _wrap(HostSlot, instance_id, key_id, host_key.secret, master),
                    _wrap(RecoverySlot, instance_id, key_id, Secret(entropy), master),
                ),
            )
            file = KeyringFile(magic=MAGIC, v=VERSION, instance_id=instance_id, active=key_id, keys=(entry,))
            content = keyfile.encode(file)
            keyfile.decode(content)  # an instance id that could not be read back must not be written
            files.write_private(folder, files.KEYRING, content)
        recovery = RecoveryWords(words.to_words(entropy))
        cls.open_with_words(data_dir, " ".join(recovery.reveal()))
        return cls.open(data_dir, database=database, environ=environ), recovery

    @classmethod
    def open(cls, data_dir: Path, *, database: Path, environ: Mapping[str, str] = os.environ) -> "Keyring":
        """Open with the host key. Writes nothing; every refusal is a StartRefused."""
        with files.opened_folder(data_dir) as folder:
            file = _read(folder, data_dir, database)
            host_key = existing_host_key(folder, data_dir, environ)
        masters = _unwrap_all(file, HostSlot, host_key.secret)
        if masters is None:
            raise _wrong_host_key(data_dir, host_key)
        return cls(data_dir, file, masters)

    @classmethod
    def open_with_words(cls, data_dir: Path, text: str) -> "Keyring":
        """Open with the recovery words alone. Raises Problem("words_…") when they are mistyped or another box's."""
        secret = Secret(words.to_entropy(text))
        with files.opened_folder(data_dir) as folder:
            file = _read(folder, data_dir, None)
        masters = _unwrap_all(file, RecoverySlot, secret)
        if masters is None:
            raise Problem(
                "words_wrong",
                "These words are in order, but they do not open this keyring: they belong to another box, "
                "or newer words have replaced them.",
            )
        return cls(data_dir, file, masters)

    def renew_recovery(self) -> RecoveryWords:
        """New words for every key; the old ones open nothing from now on."""
        entropy = os.urandom(KEY_BYTES)
        entries = tuple(self._with_recovery(entry, Secret(entropy)) for entry in self._file.keys)
        self._replace(msgspec.structs.replace(self._file, keys=entries))
        recovery = RecoveryWords(words.to_words(entropy))
        Keyring.open_with_words(self._data_dir, " ".join(recovery.reveal()))
        return recovery

    def status(self) -> KeyringStatus:
        return _status(self._file)

    def sealer(self) -> Sealer:
        return Sealer(self.instance_id, self._file.active, self._masters)

    def check_row(self) -> str:
        """A value that only this keyring opens, for `box_meta`."""
        return self.sealer().seal(*_CHECK_PLACE, _CHECK_TEXT)

    def verify_check_row(self, value: str) -> None:
        """Raises StartRefused("keyring_wrong_key")."""
        try:
            opened = self.sealer().open(*_CHECK_PLACE, value)
        except Problem:
            opened = bytearray()
        if bytes(opened) != _CHECK_TEXT:
            raise StartRefused(
                "keyring_wrong_key",
                "The keyring names this database, but its key does not open it. Put back the master.keyring "
                "(and host.key) that were backed up together with the database; nothing was changed.",
            )

    def meta_rows(self) -> dict[str, str]:
        """The two rows of `box_meta` that bind a new database to this keyring."""
        return {INSTANCE_ID: self.instance_id, CHECK: self.check_row()}

    def _with_recovery(self, entry: KeyEntry, secret: Secret) -> KeyEntry:
        fresh = _wrap(RecoverySlot, self.instance_id, entry.id, secret, self._masters[entry.id].reveal())
        kept: list[Slot] = [slot for slot in entry.slots if not isinstance(slot, RecoverySlot)]
        return msgspec.structs.replace(entry, slots=(*kept, fresh))

    def _replace(self, file: KeyringFile) -> None:
        """Write the file anew, unless another process did: its keys must not be lost."""
        with files.opened_folder(self._data_dir) as folder:
            if _read(folder, self._data_dir, None) != self._file:
                raise Conflict(
                    "keyring_changed", "Another process changed the keyring. Restart the box, then try again."
                )
            files.write_private(folder, files.KEYRING, keyfile.encode(file))
        self._file = file


def read_status(data_dir: Path) -> KeyringStatus:
    """What the file says, without any key: for `clawdbox keyring status` on a box that does not start."""
    with files.opened_folder(data_dir) as folder:
        return _status(_read(folder, data_dir, None))


def verify_database(keyring: Keyring, db_path: Path) -> Literal["new", "matches"]:
    """Whether this keyring belongs to this database; writes neither `*.db` nor `*.db-wal`.

    "new" means that nothing is sealed in it yet: after migrating, write `keyring.meta_rows()` before anything else.
    """
    meta = peek_meta(db_path)
    if not meta:
        return "new"
    if meta.get(INSTANCE_ID) != keyring.instance_id:
        raise StartRefused(
            "keyring_foreign_database",
            f"The database {db_path} belongs to another box (instance {meta.get(INSTANCE_ID)}) than the keyring "
            f"(instance {keyring.instance_id}). Put the pair back together; nothing was changed.",
            database=meta.get(INSTANCE_ID),
            keyring=keyring.instance_id,
        )
    keyring.verify_check_row(meta.get(CHECK, ""))
    return "matches"


def _read(folder: int, data_dir: Path, database: Path | None) -> KeyringFile:
    raw = files.read_private(folder, data_dir, files.KEYRING, keyfile.MAX_BYTES)
    if raw is not None:
        return keyfile.decode(raw)
    if database is not None:
        _refuse_orphaned_database(data_dir, database)
    raise StartRefused(
        "keyring_missing", f"There is no {data_dir / files.KEYRING}.", path=str(data_dir / files.KEYRING)
    )


def _refuse_orphaned_database(data_dir: Path, database: Path) -> None:
    wal = database.with_name(database.name + "-wal")
    if has_content(database) or has_content(wal) or database.is_symlink():
        raise StartRefused(
            "keyring_missing",
            f"There is a database ({database}) but no {data_dir / files.KEYRING}. A new key could not open what is sealed "
            "in it, so none was made. Put back master.keyring from a backup, or move the database away to begin anew.",
            path=str(data_dir / files.KEYRING),
        )


def _wrong_host_key(data_dir: Path, host_key: HostKey) -> StartRefused:
    return StartRefused(
        "keyring_wrong_key",
        f"The host key ({host_key.source}) does not open {data_dir / files.KEYRING}: it is another box's, or one of the two "
        "was changed. Put back the pair from a backup: no command takes the recovery words yet. Nothing was changed.",
        source=host_key.source,
    )


def _wrap(kind: type[S], instance_id: str, key_id: str, secret: Secret, master: bytes | bytearray) -> S:
    salt, nonce = os.urandom(_SALT_BYTES), os.urandom(NONCE_BYTES)
    return slots.wrap(kind, instance_id, key_id, secret.reveal(), master, salt, nonce)


def _unwrap_all(
    file: KeyringFile, kind: type[HostSlot] | type[RecoverySlot], secret: Secret
) -> dict[str, Secret] | None:
    """Every key, or None: half a keyring would fail later, at some sealed value."""
    masters = {}
    for entry in file.keys:
        slot = slots.find(entry, kind)
        master = slots.unwrap(slot, file.instance_id, entry.id, secret.reveal()) if slot else None
        if master is None:
            return None
        masters[entry.id] = Secret(master)
    return masters


def _status(file: KeyringFile) -> KeyringStatus:
    keys = tuple(
        KeyStatus(id=entry.id, state=entry.state, slots=tuple(slots.slot_type(slot) for slot in entry.slots))
        for entry in file.keys
    )
    return KeyringStatus(instance_id=file.instance_id, active=file.active, keys=keys)
