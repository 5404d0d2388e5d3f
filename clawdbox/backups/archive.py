"""The file of a backup, written and read from front to end.

magic (5) ‖ length of the header (4, big-endian) ‖ header (JSON) ‖ chunks of `vault.rules.stream`, whose associated data
names the header's hash. Within the chunks: for each file the length of its head (4), its head (JSON: name and size) and
its bytes; a length of 0 is the end. The key of the chunks is sealed in the header, under the master key whose keyring
stands there, too, without the slots of the machine that it was made on.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal, Self

import msgspec

from clawdbox.errors import Problem
from clawdbox.vault import BOX, Sealer, Secret, new_stream_key, read_portable
from clawdbox.vault.model import KeyringFile
from clawdbox.vault.rules import stream
from clawdbox.vault.rules.stream import HEAD_BYTES, MAX_PLAIN, Flag

MAGIC = b"CBXB\x01"
DATABASE = "clawdbox.db"
_MAX_HEADER = 128 * 1024
_MAX_HEAD = 1024
_LENGTH = 4
_NAME = re.compile(
    r"clawdbox\.db|audit\.jsonl|recordings/[0-9a-f-]{36}\.[a-z]{1,12}|audit-archive/\d{4}-\d\d-\d{1,19}\.jsonl"
)


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands in the clear: which box, when, and the keyring that opens the rest."""

    v: Literal[1]
    id: str
    instance_id: str
    created_at: str
    version: str
    keyring: str
    key_enc: str


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file. `size` in bytes."""

    name: str
    size: int


class Writer:
    """A new file of mode 0600. Leaving it with an exception takes the file away again."""

    def __init__(self, path: Path, sealer: Sealer, **told: str) -> None:
        key = new_stream_key()
        sealed = sealer.seal("backups", told["id"], "key", BOX, key.reveal())
        raw = msgspec.json.encode(Header(v=1, key_enc=sealed, **told))
        self._path = path
        self._key = key
        self._name = _stream_name(raw)
        self._index = 0
        self._held = bytearray()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file: BinaryIO = os.fdopen(os.open(path, flags, 0o600), "wb")
        self._file.write(MAGIC + len(raw).to_bytes(_LENGTH, "big") + raw)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if kind is not None:
            self._path.unlink(missing_ok=True)

    def add(self, name: str, file: BinaryIO, size: int) -> None:
        """The file's next `size` bytes. Raises Problem("backup_file_shrank") when there are fewer."""
        head = msgspec.json.encode(Entry(name, size))
        self._put(len(head).to_bytes(_LENGTH, "big") + head)
        while size:
            piece = file.read(min(size, MAX_PLAIN))
            if not piece:
                raise Problem("backup_file_shrank", f"{name} became shorter while it was read. Try it again.")
            self._put(piece)
            size -= len(piece)

    def finish(self) -> None:
        """All of it is on the disk when this returns."""
        self._put(bytes(_LENGTH))
        self._chunk(Flag.LAST, bytes(self._held))
        self._file.flush()
        os.fsync(self._file.fileno())

    def _put(self, data: bytes) -> None:
        self._held += data
        while len(self._held) > MAX_PLAIN:
            self._chunk(Flag.MORE, bytes(self._held[:MAX_PLAIN]))
            del self._held[:MAX_PLAIN]

    def _chunk(self, flag: Flag, data: bytes) -> None:
        self._file.write(stream.seal(self._key.reveal(), self._name, self._index, flag, data))
        self._index += 1


class Reader:
    """`header` is what the file says of itself, until `unlock` has proved it."""

    def __init__(self, path: Path) -> None:
        try:
            self._file: BinaryIO = path.open("rb")
        except OSError as error:
            raise Problem("backup_unreadable", f"{path} cannot be read: {error.strerror}.") from None
        try:
            self.header, self._name = self._read_header(path)
            self.keyring: KeyringFile = read_portable(self.header.keyring.encode())
        except Exception:
            self._file.close()
            raise
        if self.keyring.instance_id != self.header.instance_id:
            self._file.close()
            raise damaged()
        self._start = self._file.tell()
        self._key: Secret | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def unlock(self, sealer: Sealer) -> None:
        """Raises Problem("backup_damaged")."""
        try:
            self._key = Secret(bytes(sealer.open("backups", self.header.id, "key", BOX, self.header.key_enc)))
        except Problem:
            raise damaged() from None

    def entries(self) -> Iterator[tuple[Entry, Iterator[bytes]]]:
        """Each file with its bytes, which have to be read before the next. Raises Problem("backup_damaged") where it ends too early, too."""
        plain = _Plain(self._chunks())
        seen: set[str] = set()
        while length := int.from_bytes(plain.exactly(_LENGTH), "big"):
            entry = _entry(plain, length)
            if entry.name in seen:
                raise damaged()
            seen.add(entry.name)
            yield entry, plain.pieces(entry.size)
        if DATABASE not in seen or not plain.is_over():
            raise damaged()

    def _chunks(self) -> Iterator[bytes]:
        assert self._key is not None, "unlock it first"
        self._file.seek(self._start)
        index, flag = 0, Flag.MORE
        while flag is Flag.MORE:
            head = stream.parse_head(self._file.read(HEAD_BYTES))
            if head is None:
                raise damaged()
            plain = stream.unseal(
                self._key.reveal(), self._name, index, head.flag, self._file.read(head.length)
            )
            if plain is None or head.flag is Flag.CUT:
                raise damaged()
            index, flag = index + 1, head.flag
            yield plain
        if self._file.read(1):
            raise damaged()

    def _read_header(self, path: Path) -> tuple[Header, str]:
        magic = self._file.read(len(MAGIC))
        if magic[:4] == MAGIC[:4] and magic != MAGIC:
            raise Problem("backup_newer", f"{path} was made by a newer clawdbox. Restore it with that one.")
        length = int.from_bytes(self._file.read(_LENGTH), "big")
        if magic != MAGIC or not 0 < length <= _MAX_HEADER:
            raise Problem("backup_none", f"{path} is no backup of a box.")
        raw = self._file.read(length)
        try:
            return msgspec.json.decode(raw, type=Header), _stream_name(raw)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            raise damaged() from None


class _Plain:
    """The chunks as one run of bytes."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._held = b""

    def exactly(self, count: int) -> bytes:
        return b"".join(self.pieces(count))

    def pieces(self, count: int) -> Iterator[bytes]:
        while count:
            if not self._held:
                self._held = next(self._chunks, b"")
                if not self._held:
                    raise damaged()
            piece, self._held = self._held[:count], self._held[count:]
            count -= len(piece)
            yield piece

    def is_over(self) -> bool:
        return not self._held and next(self._chunks, None) is None


def _entry(plain: _Plain, length: int) -> Entry:
    """A name is one of a few: nothing of an archive ever chooses where on this machine it is written."""
    if length > _MAX_HEAD:
        raise damaged()
    try:
        entry = msgspec.json.decode(plain.exactly(length), type=Entry)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise damaged() from None
    if not _NAME.fullmatch(entry.name) or entry.size < 0:
        raise damaged()
    return entry


def _stream_name(header: bytes) -> str:
    return f"backup:{hashlib.sha256(header).hexdigest()}"


def damaged() -> Problem:
    return Problem(
        "backup_damaged",
        "This backup is damaged: it was changed, cut, or put together from others. Nothing was written. Use another one.",
    )
