"""What is said of a keyring that does not open: each its own code, and what to do next."""

from pathlib import Path

from clawdbox.errors import Conflict, StartRefused
from clawdbox.vault import files
from clawdbox.vault.host import HostKey


def no_host_key(data_dir: Path) -> StartRefused:
    return StartRefused(
        "keyring_host_key_missing",
        f"The keyring is there, but its host key is not: neither {data_dir / files.HOST_KEY} nor the systemd "
        f"credential {files.CREDENTIAL}. Put it back from a backup, or make a new one with the 24 words: "
        "clawdbox keyring recover. Nothing was changed.",
        path=str(data_dir / files.HOST_KEY),
    )


def wrong_host_key(data_dir: Path, host_key: HostKey) -> StartRefused:
    return StartRefused(
        "keyring_wrong_key",
        f"The host key ({host_key.source}) does not open {data_dir / files.KEYRING}: it is another box's, or one of the two "
        "was changed. Put back the pair from a backup, or make a new host key with the 24 words: clawdbox keyring recover. "
        "Nothing was changed.",
        source=host_key.source,
    )


def locked() -> StartRefused:
    return StartRefused(
        "keyring_locked",
        "This box opens with its passphrase. `clawdbox serve` asks for it; a command asks for it on a terminal.",
    )


def no_slot(data_dir: Path) -> StartRefused:
    return StartRefused(
        "keyring_no_slot",
        f"Only the 24 recovery words open {data_dir / files.KEYRING}: it has neither host key nor passphrase. Make a new "
        "host key with them: clawdbox keyring recover. Nothing was changed.",
        path=str(data_dir / files.KEYRING),
    )


def no_credential() -> Conflict:
    return Conflict(
        "credential_missing",
        f"systemd handed over no credential {files.CREDENTIAL}. Add LoadCredentialEncrypted={files.CREDENTIAL} to the unit "
        "of the box, restart it, then try again.",
    )
