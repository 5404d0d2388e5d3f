"""Files that are sealed while they grow. What is whole of one stays readable, however its writing ended.

The key belongs to one file; it is sealed into a column of the row that the file belongs to (`Sealer.seal`), so that a
rotation of the master key seals 32 bytes anew and touches no file.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Self

from clawdbox.errors import Unavailable
from clawdbox.vault.model import KEY_BYTES
from clawdbox.vault.rules import stream
from clawdbox.vault.rules.stream import HEAD_BYTES, HEADER, MAX_PLAIN, Flag
from clawdbox.vault.secret import Secret


class Slice(NamedTuple):
    """Where a chunk's ciphertext lies in its file."""

    offset: int
    length: int
    flag: Flag


def new_stream_key() -> Secret:
    return Secret(os.urandom(KEY_BYTES))


class StreamWriter:
    """Appends to a file of mode 0600 that it alone writes. Errors of the disk come as OSError."""

    def __init__(self, fd: int, key: Secret, name: str, index: int, size: int, last: Flag) -> None:
        self._fd = fd
        self._last = last
        self._takes_more = last is Flag.LAST
        self._key = key
        self._name = name
        self._index = index
        self.size = size
        self.is_finished = False

    @classmethod
    def create(cls, path: Path, key: Secret, name: str) -> Self:
        """`name` is authenticated with every chunk: the id of what the file belongs to. Never overwrites a file."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(path, flags, 0o600)
        writer = cls(fd, key, name, 0, 0, Flag.LAST)
        try:
            writer._put(HEADER)
        except OSError:
            writer.close()
            raise
        return writer

    @classmethod
    def resume(cls, path: Path, key: Secret, name: str) -> Self:
        """To finish a file that a crash left, behind its last whole chunk. Raises Unavailable when it is no stream.

        Nothing else can be appended: a chunk that was lost with the power must not be written anew under its nonce.
        """
        with StreamReader(path, key, name) as reader:
            slices = reader.slices
            if reader.is_finished:
                raise ValueError("this stream takes no more")
        end = slices[-1].offset + slices[-1].length if slices else len(HEADER)
        fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        os.ftruncate(fd, end)
        os.lseek(fd, end, os.SEEK_SET)
        return cls(fd, key, name, len(slices), end, Flag.CUT)

    def append(self, data: bytes) -> None:
        """After an OSError only `finish` is left: what the disk did not take must not come again under its nonce."""
        if not self._takes_more:
            raise ValueError("this stream takes no more")
        for at in range(0, len(data), MAX_PLAIN):
            self._chunk(Flag.MORE, data[at : at + MAX_PLAIN])

    def sync(self) -> None:
        """Returns when what was appended has reached the disk."""
        os.fdatasync(self._fd)

    def finish(self, data: bytes = b"") -> None:
        """The last chunk; afterwards nothing can be appended, and a cut is found. Reaches the disk before it returns."""
        if self.is_finished:
            raise ValueError("this stream takes no more")
        self.is_finished, self._takes_more = True, False
        self._chunk(self._last, data)
        os.fsync(self._fd)

    def close(self) -> None:
        os.close(self._fd)

    def _chunk(self, flag: Flag, data: bytes) -> None:
        self._put(stream.seal(self._key.reveal(), self._name, self._index, flag, data))
        self._index += 1

    def _put(self, raw: bytes) -> None:
        """All of it or nothing: a disk that fills up takes half of what it is given, and gives it back."""
        view = memoryview(raw)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError:
            self._takes_more = False
            os.ftruncate(self._fd, self.size)
            os.lseek(self._fd, self.size, os.SEEK_SET)
            raise
        self.size += len(raw)


class StreamReader:
    """Chunks of a sealed file, in order or each by its number. A chunk whose end is missing is as if never written."""

    def __init__(self, path: Path, key: Secret, name: str) -> None:
        self._key = key
        self._name = name
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            raise broken() from None
        try:
            self.slices = list(self._scan())
        except BaseException:
            os.close(self._fd)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    @property
    def is_finished(self) -> bool:
        """Whether the last chunk is there. It says so truly once that chunk has been read."""
        return bool(self.slices) and self.slices[-1].flag is not Flag.MORE

    @property
    def was_cut(self) -> bool:
        """Whether its writing was broken off: nobody ended it, or it was ended after a crash."""
        return not self.slices or self.slices[-1].flag is not Flag.LAST

    @property
    def size(self) -> int:
        """Bytes of the file up to the end of its last whole chunk."""
        return self.slices[-1].offset + self.slices[-1].length if self.slices else len(HEADER)

    def chunk(self, index: int) -> bytes:
        """The plaintext of one chunk. Raises Unavailable("stream_broken")."""
        at = self.slices[index]
        plaintext = stream.unseal(
            self._key.reveal(), self._name, index, at.flag, os.pread(self._fd, at.length, at.offset)
        )
        if plaintext is None:
            raise broken()
        return plaintext

    def __iter__(self) -> Iterator[bytes]:
        return (self.chunk(index) for index in range(len(self.slices)))

    def _scan(self) -> Iterator[Slice]:
        end, at = os.fstat(self._fd).st_size, len(HEADER)
        if os.pread(self._fd, len(HEADER), 0) != HEADER:
            raise broken()
        while at + HEAD_BYTES <= end:
            head = stream.parse_head(os.pread(self._fd, HEAD_BYTES, at))
            if head is None:
                raise broken()
            at += HEAD_BYTES
            if at + head.length > end:
                return
            yield Slice(at, head.length, head.flag)
            at += head.length
            if head.flag is not Flag.MORE and at != end:
                raise broken()


def broken() -> Unavailable:
    return Unavailable(
        "stream_broken",
        "This file does not open: it was changed, cut, or put in another's place. Restore it from a backup, or delete it.",
    )
