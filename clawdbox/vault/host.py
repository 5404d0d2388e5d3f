"""The host key: 32 bytes that open the host slot without anybody being asked."""

import base64
import binascii
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from clawdbox.errors import StartRefused
from clawdbox.vault import files
from clawdbox.vault.model import KEY_BYTES
from clawdbox.vault.secret import Secret

_MAX_BYTES = 1024


class HostKey(NamedTuple):
    secret: Secret
    source: str  # for a person: which file it came from


def existing_host_key(folder_fd: int, folder: Path, environ: Mapping[str, str]) -> HostKey:
    """A credential comes before the key file. Raises StartRefused("keyring_host_key_missing")."""
    found = _find(folder_fd, folder, environ)
    if found is None:
        raise StartRefused(
            "keyring_host_key_missing",
            f"The keyring is there, but its host key is not: neither {folder / files.HOST_KEY} nor the systemd "
            f"credential {files.CREDENTIAL}. Put it back from a backup: no command takes the recovery words yet. Nothing was changed.",
            path=str(folder / files.HOST_KEY),
        )
    return found


def new_or_existing_host_key(folder_fd: int, folder: Path, environ: Mapping[str, str]) -> HostKey:
    """For a new keyring. A key file that a first start left before it was cut off is used again, never replaced."""
    found = _find(folder_fd, folder, environ)
    if found is not None:
        return found
    files.write_private(folder_fd, files.HOST_KEY, base64.b64encode(os.urandom(KEY_BYTES)) + b"\n")
    return existing_host_key(folder_fd, folder, environ)


def _find(folder_fd: int, folder: Path, environ: Mapping[str, str]) -> HostKey | None:
    credential = files.credential_path(environ)
    if credential is not None:
        raw, path = files.read_credential(credential, _MAX_BYTES), credential
    else:
        raw, path = files.read_private(folder_fd, folder, files.HOST_KEY, _MAX_BYTES), folder / files.HOST_KEY
    return None if raw is None else HostKey(_parse(raw, path), str(path))


def _parse(raw: bytes, path: Path) -> Secret:
    """32 bytes as they are, or as base64 on one line (what `openssl rand -base64 32` prints)."""
    if len(raw) == KEY_BYTES:
        return Secret(raw)
    try:
        secret = base64.b64decode(raw.strip(), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) != KEY_BYTES:
        raise StartRefused(
            "keyring_wrong_key",
            f"{path} is not a host key: it should hold 32 bytes, raw or as one line of base64. Put it back from a backup.",
            source=str(path),
        )
    return Secret(secret)
