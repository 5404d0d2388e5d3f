"""A file without a name whose blocks are sealed with a key that only this process has.

Nothing in it can be read once the process has gone: neither the name nor the key outlives it. Every block is
AES-256-GCM with its own number as nonce, so a block that was overwritten meanwhile does not open as another one.
"""

import os
import tempfile
import threading
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

BLOCK = 65_536
_SLOT = BLOCK + 16  # the tag
PREFIX = "spill-"


class SealedFile:
    """Blocks of at most `BLOCK` bytes in numbered slots. Every call may wait for the disk: not for the event loop."""

    def __init__(self, folder: Path) -> None:
        self._cipher = AESGCM(AESGCM.generate_key(256))
        self._lock = (
            threading.Lock()
        )  # a descriptor that is closed in mid-write may already be another file's
        self._fd: int | None = _nameless(folder)

    def write(self, slot: int, number: int, data: bytes) -> None:
        """`number` is never used twice. Raises OSError, as on a full disk."""
        sealed = self._cipher.encrypt(number.to_bytes(12, "big"), data, None)
        with self._lock:
            if self._fd is None or os.pwrite(self._fd, sealed, slot * _SLOT) != len(sealed):
                raise OSError("the disk took only a part")

    def read(self, slot: int, number: int, length: int) -> bytes | None:
        """None when that block is no longer there."""
        try:
            with self._lock:
                sealed = b"" if self._fd is None else os.pread(self._fd, length + 16, slot * _SLOT)
            return self._cipher.decrypt(number.to_bytes(12, "big"), sealed, None)
        except (OSError, InvalidTag, ValueError):
            return None

    def close(self) -> None:
        with self._lock:
            fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)


def sweep(folder: Path) -> None:
    """Make the folder; take away what a process that was killed between making and unlinking left in it."""
    folder.mkdir(mode=0o700, exist_ok=True)
    for left in folder.glob(f"{PREFIX}*"):
        left.unlink(missing_ok=True)


def _nameless(folder: Path) -> int:
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except (AttributeError, OSError):  # a kernel or a file system without O_TMPFILE
        fd, name = tempfile.mkstemp(prefix=PREFIX, dir=folder)
        Path(name).unlink()
        return fd
