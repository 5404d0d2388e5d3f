"""The master keyring: made once, opened at every start, and refused before anything is written."""

import functools
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Concatenate, Literal, ParamSpec, TypeVar

import msgspec

from clawdbox.errors import Conflict, Problem, StartRefused
from clawdbox.store.peek import peek_meta
from clawdbox.vault import files, host, opening, refusals
from clawdbox.vault.model import (
    KEY_BYTES,
    MAGIC,
    VERSION,
    HostSlot,
    KeyEntry,
    KeyringFile,
    KeyringStatus,
    KeyState,
    PassphraseSlot,
    RecoverySlot,
    Slot,
    SlotType,
)
from clawdbox.vault.portable import portable
from clawdbox.vault.rules import keyfile, passphrase, slots, words
from clawdbox.vault.seal import BOX, Sealer
from clawdbox.vault.secret import RecoveryWords, Secret

INSTANCE_ID = "instance_id"
CHECK = "keyring_check"
_CHECK_PLACE = ("box_meta", CHECK, "value", BOX)
_CHECK_TEXT = b"clawdbox keyring check"
T = TypeVar("T")
P = ParamSpec("P")


def _one_at_a_time(
    change: Callable[Concatenate["Keyring", P], T],
) -> Callable[Concatenate["Keyring", P], T]:
    """Changes run in threads, since stretching a passphrase takes its time."""

    @functools.wraps(change)
    def alone(self: "Keyring", /, *args: P.args, **kwargs: P.kwargs) -> T:
        with self._changing:
            return change(self, *args, **kwargs)

    return alone


class Keyring:
    """An opened keyring. Use `create`, `open`, `open_with_passphrase` or `open_with_words`.

    What changes the file replaces it whole: `keyring_changed` when another process did so meanwhile.
    """

    def __init__(self, data_dir: Path, file: KeyringFile, masters: dict[str, Secret]) -> None:
        self._data_dir = data_dir
        self._file = file
        self._masters = masters
        self._changing = threading.Lock()
        self._sealer = Sealer(file.instance_id, file.active, masters)

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
        opening.refuse_orphaned_database(data_dir, database)
        files.prepare_folder(data_dir)
        entropy = os.urandom(KEY_BYTES)
        with opening.opened(data_dir, environ) as folder:
            host_key = host.new_or_existing_host_key(folder)
            key_id, master = os.urandom(8).hex(), os.urandom(KEY_BYTES)
            entry = KeyEntry(
                id=key_id,
                state=KeyState.ACTIVE,
                slots=(
                    opening.wrap(HostSlot, instance_id, key_id, host_key.secret, master),
                    opening.wrap(RecoverySlot, instance_id, key_id, Secret(entropy), master),
                ),
            )
            file = KeyringFile(magic=MAGIC, v=VERSION, instance_id=instance_id, active=key_id, keys=(entry,))
            content = keyfile.encode(file)
            keyfile.decode(content)  # an instance id that could not be read back must not be written
            files.write_private(folder.fd, files.KEYRING, content)
        recovery = RecoveryWords(words.to_words(entropy))
        cls.open_with_words(data_dir, " ".join(recovery.reveal()))
        return cls.open(data_dir, database=database, environ=environ), recovery

    @classmethod
    def open(cls, data_dir: Path, *, database: Path, environ: Mapping[str, str] = os.environ) -> "Keyring":
        """Open with the host key. Writes nothing; every refusal is a StartRefused.

        `keyring_locked` says that the passphrase opens it, `keyring_no_slot` that only the words do.
        """
        with opening.opened(data_dir, environ) as folder:
            file = opening.read(folder, database)
            masters = opening.open_unattended(file, folder)
        return cls(data_dir, file, masters)

    @classmethod
    def open_with_passphrase(cls, data_dir: Path, text: str, *, database: Path | None = None) -> "Keyring":
        """Raises Problem("passphrase_wrong"). Takes a while on purpose, and 64 MiB: not for the event loop."""
        with opening.opened(data_dir) as folder:
            file = opening.read(folder, database)
        masters = opening.unwrap_all(file, PassphraseSlot, Secret(passphrase.to_bytes(text)))
        if masters is None:
            raise Problem(
                "passphrase_wrong", "This passphrase does not open the keyring. Mind the Caps Lock key."
            )
        return cls(data_dir, file, masters)

    @classmethod
    def open_with_words(cls, data_dir: Path, text: str) -> "Keyring":
        """Open with the recovery words alone. Raises Problem("words_…") when they are mistyped or another box's."""
        secret = Secret(words.to_entropy(text))
        with opening.opened(data_dir) as folder:
            file = opening.read(folder, None)
        masters = opening.unwrap_all(file, RecoverySlot, secret)
        if masters is None:
            raise Problem(
                "words_wrong",
                "These words are in order, but they do not open this keyring: they belong to another box, "
                "or newer words have replaced them.",
            )
        return cls(data_dir, file, masters)

    # slots

    @_one_at_a_time
    def renew_recovery(self) -> RecoveryWords:
        """New words for every key; the old ones open nothing from now on."""
        entropy = os.urandom(KEY_BYTES)
        self._replace_keys(self._wrapped_for(RecoverySlot, Secret(entropy)))
        return self._recovery(entropy)

    @_one_at_a_time
    def set_passphrase(self, text: str) -> None:
        """Instead of the one before, if any. Raises Invalid for one that is too short."""
        passphrase.check_new(text)
        self._replace_keys(self._wrapped_for(PassphraseSlot, Secret(passphrase.to_bytes(text))))

    @_one_at_a_time
    def renew_host_key(self, *, in_os: bool = False, environ: Mapping[str, str] = os.environ) -> None:
        """A new host key, in `host.key` or in the OS keyring, instead of the one before; killed in between, both open."""
        with opening.opened(self._data_dir, environ) as folder:
            secret = host.prepare_next(folder, in_os=in_os)
            self._replace_keys(self._wrapped_for(HostSlot, secret))
            host.promote_next(folder)

    @_one_at_a_time
    def adopt_credential(self, environ: Mapping[str, str] = os.environ) -> None:
        """The host key that systemd hands over, instead of the one before."""
        with opening.opened(self._data_dir, environ) as folder:
            found, flaw = host.host_keys(folder)
            if flaw or not found or files.credential_path(environ) is None:
                raise flaw or refusals.no_credential()
            self._replace_keys(self._wrapped_for(HostSlot, found[0].secret))
            host.forget_host_key(folder)

    @_one_at_a_time
    def remove_slot(self, kind: SlotType, environ: Mapping[str, str] = os.environ) -> None:
        """Raises Conflict: `slot_missing`, or `slot_recovery` for the one that stays."""
        if kind is SlotType.RECOVERY:
            raise Conflict(
                "slot_recovery",
                "The recovery words stay: they are the way in when all else is lost. `clawdbox keyring renew-words` makes new ones.",
            )
        if kind not in self.slots:
            raise Conflict("slot_missing", f"This keyring has no slot of the kind {kind}.", slot=kind)
        self._replace_keys(
            tuple(
                msgspec.structs.replace(
                    entry, slots=tuple(slot for slot in entry.slots if slots.slot_type(slot) is not kind)
                )
                for entry in self._file.keys
            )
        )
        if kind is SlotType.HOST:
            with opening.opened(self._data_dir, environ) as folder:
                host.forget_host_key(folder)

    @_one_at_a_time
    def settle_host_key(self, environ: Mapping[str, str] = os.environ) -> None:
        """Finish what a change of the host key left when it was killed. At a start, once the database is known to fit."""
        with opening.opened(self._data_dir, environ) as folder:
            if not os.path.lexists(self._data_dir / files.NEXT_HOST_KEY):
                return
            found, _ = host.host_keys(folder)
            fits = [key for key in found if opening.unwrap_all(self._file, HostSlot, key.secret) is not None]
            if fits and fits[0].is_next:
                host.promote_next(folder)
            else:
                host.forget_next(folder)

    @property
    def slots(self) -> tuple[SlotType, ...]:
        """What opens it."""
        return tuple(slots.slot_type(slot) for slot in self._active_entry.slots)

    @property
    def words_id(self) -> str:
        """Another one with each new set of words; it tells nothing of them."""
        slot = slots.find(self._active_entry, RecoverySlot)
        assert slot is not None
        return slot.nonce.hex()

    # keys

    @property
    def old_keys(self) -> tuple[str, ...]:
        """Those that only open what is not sealed anew yet."""
        return tuple(entry.id for entry in self._file.keys if entry.state is KeyState.DECRYPT_ONLY)

    def check_rotation(self, text: str | None, environ: Mapping[str, str] = os.environ) -> None:
        """What `rotate` would refuse, before anything is changed."""
        self._secrets(text, environ)

    @_one_at_a_time
    def rotate(self, text: str | None, environ: Mapping[str, str] = os.environ) -> RecoveryWords:
        """Add a key and seal with it from now on; the others only open. It has the same slots, and new words.

        `text` is the passphrase, where there is one. Raises Problem: `passphrase_needed`, `passphrase_wrong`.
        """
        secrets = self._secrets(text, environ)
        entropy = os.urandom(KEY_BYTES)
        key_id, master = os.urandom(8).hex(), Secret(os.urandom(KEY_BYTES))
        old = tuple(
            msgspec.structs.replace(entry, state=KeyState.DECRYPT_ONLY)
            for entry in self._wrapped_for(RecoverySlot, Secret(entropy))
        )
        made = [
            opening.wrap(kind, self.instance_id, key_id, secret, master.reveal()) for kind, secret in secrets
        ]
        made.append(opening.wrap(RecoverySlot, self.instance_id, key_id, Secret(entropy), master.reveal()))
        entry = KeyEntry(id=key_id, state=KeyState.ACTIVE, slots=tuple(made))
        self._replace(msgspec.structs.replace(self._file, active=key_id, keys=(*old, entry)))
        self._adopt({**self._masters, key_id: master})
        return self._recovery(entropy)

    @_one_at_a_time
    def drop_key(self, key_id: str) -> None:
        """An old key that nothing refers to any more."""
        if key_id not in self.old_keys:
            raise ValueError("this key is in use")
        self._replace_keys(tuple(entry for entry in self._file.keys if entry.id != key_id))
        self._adopt({name: master for name, master in self._masters.items() if name != key_id})

    def status(self) -> KeyringStatus:
        return opening.status(self._file)

    def portable(self) -> bytes:
        """The keyring's file for a backup: without the slots that only this machine opens."""
        return keyfile.encode(portable(self._file))

    def sealer(self) -> Sealer:
        """The one for the life of this keyring: a rotation reaches whoever holds it."""
        return self._sealer

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

    @property
    def _active_entry(self) -> KeyEntry:
        return next(entry for entry in self._file.keys if entry.id == self._file.active)

    def _secrets(self, text: str | None, environ: Mapping[str, str]) -> list[tuple[type[Slot], Secret]]:
        """What opens the slots that a new key is to have, beside its words."""
        found: list[tuple[type[Slot], Secret]] = []
        if SlotType.HOST in self.slots:
            with opening.opened(self._data_dir, environ) as folder:
                found.append((HostSlot, opening.fitting_host_key(self._file, folder).secret))
        if SlotType.PASSPHRASE in self.slots:
            if text is None:
                raise Problem(
                    "passphrase_needed", "The new key is to open with the passphrase, too: give it."
                )
            secret = Secret(passphrase.to_bytes(text))
            if opening.unwrap_all(self._file, PassphraseSlot, secret) is None:
                raise Problem(
                    "passphrase_wrong", "This passphrase does not open the keyring. Nothing was changed."
                )
            found.append((PassphraseSlot, secret))
        return found

    def _wrapped_for(self, kind: type[Slot], secret: Secret) -> tuple[KeyEntry, ...]:
        """Every key with a slot for this secret, instead of the one of its kind."""
        entries = []
        for entry in self._file.keys:
            fresh = opening.wrap(kind, self.instance_id, entry.id, secret, self._masters[entry.id].reveal())
            kept = [slot for slot in entry.slots if not isinstance(slot, kind)]
            entries.append(msgspec.structs.replace(entry, slots=(*kept, fresh)))
        return tuple(entries)

    def _recovery(self, entropy: bytes) -> RecoveryWords:
        """The words, once they were seen to open the file."""
        recovery = RecoveryWords(words.to_words(entropy))
        Keyring.open_with_words(self._data_dir, " ".join(recovery.reveal()))
        return recovery

    def _adopt(self, masters: dict[str, Secret]) -> None:
        self._masters = masters
        self._sealer.adopt(self._file.active, masters)

    def _replace_keys(self, entries: tuple[KeyEntry, ...]) -> None:
        self._replace(msgspec.structs.replace(self._file, keys=entries))

    def _replace(self, file: KeyringFile) -> None:
        """Write the file anew, unless another process did: its keys must not be lost."""
        content = keyfile.encode(file)
        keyfile.decode(content)
        with opening.opened(self._data_dir) as folder:
            if opening.read(folder, None) != self._file:
                raise Conflict(
                    "keyring_changed", "Another process changed the keyring. Restart the box, then try again."
                )
            files.write_private(folder.fd, files.KEYRING, content)
        self._file = file


def recover(data_dir: Path, text: str, *, database: Path, environ: Mapping[str, str] = os.environ) -> Keyring:
    """A new host key for a box whose own is lost. Raises Problem or StartRefused before anything is written."""
    keyring = Keyring.open_with_words(data_dir, text)
    verify_database(keyring, database)
    keyring.renew_host_key(environ=environ)
    return keyring


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
