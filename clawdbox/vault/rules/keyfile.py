"""The keyring file's text: strict both ways, so that one keyring has one meaning."""

import msgspec

from clawdbox.errors import StartRefused
from clawdbox.vault.model import KeyringFile, KeyState, RecoverySlot
from clawdbox.vault.rules.slots import find, slot_type

MAX_BYTES = 64 * 1024
_DECODER = msgspec.json.Decoder(KeyringFile)


def encode(file: KeyringFile) -> bytes:
    return msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n"


def decode(raw: bytes) -> KeyringFile:
    """Raises StartRefused("keyring_corrupt") for anything that `encode` could not have written, but for blanks."""
    if len(raw) > MAX_BYTES:
        raise corrupt(f"it is larger than {MAX_BYTES} bytes")
    try:
        file = _DECODER.decode(raw)
        plain = msgspec.json.format(raw, indent=-1).strip()
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise corrupt(str(error)) from None
    if plain != msgspec.json.encode(file):
        raise corrupt("a field is repeated, out of order or not in its one spelling")
    _check(file)
    return file


def corrupt(reason: str) -> StartRefused:
    return StartRefused(
        "keyring_corrupt",
        f"The keyring file is damaged: {reason}. Put back master.keyring from a backup of this box; "
        "nothing was changed.",
        reason=reason,
    )


def _check(file: KeyringFile) -> None:
    if len({entry.id for entry in file.keys}) != len(file.keys):
        raise corrupt("two keys have the same id")
    if [entry.id for entry in file.keys if entry.state is KeyState.ACTIVE] != [file.active]:
        raise corrupt("it does not have exactly one active key")
    for entry in file.keys:
        if len({slot_type(slot) for slot in entry.slots}) != len(entry.slots):
            raise corrupt(f"key {entry.id} has two slots of one type")
        if find(entry, RecoverySlot) is None:
            raise corrupt(f"key {entry.id} has no recovery slot")
