"""The master keyring, key-encryption keys and sealed fields."""

from clawdbox.vault.files import prepare_folder
from clawdbox.vault.hardening import harden_process
from clawdbox.vault.keyring import Keyring, read_status, verify_database
from clawdbox.vault.model import KeyringStatus
from clawdbox.vault.rules.derive import Label
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
    "StreamReader",
    "StreamWriter",
    "harden_process",
    "new_stream_key",
    "prepare_folder",
    "read_status",
    "verify_database",
]
