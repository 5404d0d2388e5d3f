"""A keyring on its way to another machine: without what only this machine opens."""

from typing import Literal

import msgspec

from clawdbox.errors import Conflict, Problem
from clawdbox.vault import opening
from clawdbox.vault.model import HostSlot, KeyringFile, PassphraseSlot, RecoverySlot
from clawdbox.vault.rules import keyfile, passphrase, words
from clawdbox.vault.seal import Sealer
from clawdbox.vault.secret import Secret

Way = Literal["words", "passphrase"]


def portable(file: KeyringFile) -> KeyringFile:
    """The same keys, opened by the recovery words, and by the passphrase where there is one."""
    entries = tuple(
        msgspec.structs.replace(
            entry, slots=tuple(slot for slot in entry.slots if not isinstance(slot, HostSlot))
        )
        for entry in file.keys
    )
    return msgspec.structs.replace(file, keys=entries)


def read_portable(raw: bytes) -> KeyringFile:
    """Raises StartRefused("keyring_corrupt"), and Conflict for one that a host key would open."""
    file = keyfile.decode(raw)
    if portable(file) != file:
        raise Conflict("keyring_not_portable", "This keyring opens by the key of a machine.")
    return file


def open_portable(file: KeyringFile, text: str, *, by: Way) -> Sealer:
    """Raises Problem: `words_…`, `passphrase_wrong`, `passphrase_none`. A passphrase takes a while on purpose."""
    if by == "words":
        masters = opening.unwrap_all(file, RecoverySlot, Secret(words.to_entropy(text)))
        wrong = Problem(
            "words_wrong",
            "These words are in order, but they do not open this backup: they belong to another box, or to another"
            " time. A backup opens with the words that were in force when it was made.",
        )
    else:
        if not all(any(isinstance(slot, PassphraseSlot) for slot in entry.slots) for entry in file.keys):
            raise Problem("passphrase_none", "No passphrase opens this backup. Use the 24 recovery words.")
        masters = opening.unwrap_all(file, PassphraseSlot, Secret(passphrase.to_bytes(text)))
        wrong = Problem(
            "passphrase_wrong", "This passphrase does not open the backup. Mind the Caps Lock key."
        )
    if masters is None:
        raise wrong
    return Sealer(file.instance_id, file.active, masters)
