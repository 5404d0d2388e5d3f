"""The master keyring, key-encryption keys and sealed fields."""

from clawdbox.vault.files import has_credential, prepare_folder
from clawdbox.vault.hardening import harden_process
from clawdbox.vault.keyring import Keyring, recover, verify_database
from clawdbox.vault.model import KeyringStatus, SlotType
from clawdbox.vault.opening import read_status
from clawdbox.vault.portable import Way, open_portable, read_portable
from clawdbox.vault.rules.derive import Label
from clawdbox.vault.rules.sealed import key_mark
from clawdbox.vault.seal import BOX, Sealer
from clawdbox.vault.secret import RecoveryWords, Secret
from clawdbox.vault.stream import StreamReader, StreamWriter, new_stream_key

__all__ = [
    "BOX",
    "Keyring",
    "KeyringStatus",
    "Label",
    "RecoveryWords",
    "Sealer",
    "Secret",
    "SlotType",
    "StreamReader",
    "StreamWriter",
    "Way",
    "harden_process",
    "has_credential",
    "key_mark",
    "new_stream_key",
    "open_portable",
    "prepare_folder",
    "read_portable",
    "read_status",
    "recover",
    "verify_database",
]
