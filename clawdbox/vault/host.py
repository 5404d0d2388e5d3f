"""The host key: 32 bytes that open the host slot without anybody being asked.

It lies in a systemd credential, in the file `host.key`, or in the keyring of the operating system, and then `host.key`
is one line that says so. A new one waits in `host.key.next` until the keyring is wrapped for it, so that no moment in
between leaves a box that does not open.
"""

import base64
import binascii
import contextlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from clawdbox.errors import StartRefused
from clawdbox.vault import files, os_keyring
from clawdbox.vault.model import KEY_BYTES
from clawdbox.vault.secret import Secret

_MAX_BYTES = 1024
_POINTER = b"os-keyring "
_NO_KEY = ("keyring_wrong_key", "keyring_os_unavailable")


class HostKey(NamedTuple):
    secret: Secret
    source: str  # for a person: where it came from
    is_next: bool = False


class Folder(NamedTuple):
    """The data folder, open, and what systemd handed over."""

    fd: int
    path: Path
    environ: Mapping[str, str]


def host_keys(folder: Folder) -> tuple[list[HostKey], StartRefused | None]:
    """Those there are, in the order in which they are tried, and what was wrong with the first one that is none.

    Raises StartRefused for a file that others may read.
    """
    found, flaw = [], None
    for read in (_credential, _reader(files.HOST_KEY), _reader(files.NEXT_HOST_KEY)):
        try:
            key = read(folder)
        except StartRefused as refused:
            if refused.code not in _NO_KEY:
                raise
            flaw = flaw or refused
        else:
            found += [key] if key else []
    return found, flaw


def new_or_existing_host_key(folder: Folder) -> HostKey:
    """For a new keyring. A key file that a first start left before it was cut off is used again, never replaced."""
    found, flaw = host_keys(folder)
    if flaw:
        raise flaw
    if not found:
        files.write_private(folder.fd, files.HOST_KEY, _line(os.urandom(KEY_BYTES)))
        found, _ = host_keys(folder)
    return found[0]


def prepare_next(folder: Folder, *, in_os: bool) -> Secret:
    """A new host key beside the one in use; `promote_next` puts it in place once the keyring is wrapped for it."""
    key = os.urandom(KEY_BYTES)
    if in_os:
        name = os.urandom(8).hex()
        os_keyring.put(name, base64.b64encode(key).decode())
        files.write_private(folder.fd, files.NEXT_HOST_KEY, _POINTER + name.encode() + b"\n")
    else:
        files.write_private(folder.fd, files.NEXT_HOST_KEY, _line(key))
    return Secret(key)


def promote_next(folder: Folder) -> None:
    """The new one takes the old one's place."""
    before = _pointed_at(folder, files.HOST_KEY)
    with contextlib.suppress(FileNotFoundError):
        files.rename_private(folder.fd, files.NEXT_HOST_KEY, files.HOST_KEY)
        _forget(before)


def forget_host_key(folder: Folder) -> None:
    """After its slot has gone. A credential stays where systemd keeps it."""
    for name in (files.NEXT_HOST_KEY, files.HOST_KEY):
        before = _pointed_at(folder, name)
        files.remove_private(folder.fd, name)
        _forget(before)


def forget_next(folder: Folder) -> None:
    """Left by a change that was cut off before the keyring was wrapped for it."""
    before = _pointed_at(folder, files.NEXT_HOST_KEY)
    files.remove_private(folder.fd, files.NEXT_HOST_KEY)
    _forget(before)


def _credential(folder: Folder) -> HostKey | None:
    path = files.credential_path(folder.environ)
    raw = files.read_credential(path, _MAX_BYTES) if path else None
    return HostKey(_parse(raw, path), str(path)) if path is not None and raw is not None else None


def _reader(name: str) -> Callable[[Folder], HostKey | None]:
    def read(folder: Folder) -> HostKey | None:
        raw = files.read_private(folder.fd, folder.path, name, _MAX_BYTES)
        return None if raw is None else _from_file(raw, folder.path / name)

    return read


def _from_file(raw: bytes, path: Path) -> HostKey:
    if not raw.startswith(_POINTER):
        return HostKey(_parse(raw, path), str(path), path.name == files.NEXT_HOST_KEY)
    stored = os_keyring.get(_name(raw))
    source = f"the OS keyring, as {path} says"
    key = _parse((stored or "").encode(), path, source)
    return HostKey(key, source, path.name == files.NEXT_HOST_KEY)


def _pointed_at(folder: Folder, name: str) -> str | None:
    raw = files.read_private(folder.fd, folder.path, name, _MAX_BYTES)
    return _name(raw) if raw is not None and raw.startswith(_POINTER) else None


def _name(raw: bytes) -> str:
    return raw.removeprefix(_POINTER).strip().decode("ascii", "replace")


def _forget(name: str | None) -> None:
    if name is not None:
        os_keyring.forget(name)


def _line(key: bytes) -> bytes:
    return base64.b64encode(key) + b"\n"


def _parse(raw: bytes, path: Path, source: str | None = None) -> Secret:
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
            f"{source or path} is not a host key: it should hold 32 bytes, raw or as one line of base64. Put it back from a "
            "backup, or make a new one with the 24 words: clawdbox keyring recover",
            source=str(source or path),
        )
    return Secret(secret)
