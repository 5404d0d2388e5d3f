"""SFTP on a link: one channel, every request with its own patience, every answer of a hostile server bounded."""

import asyncio
import contextlib
import stat
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, Self, TypeVar

import asyncssh
from asyncssh.channel import SSHChannel
from asyncssh.packet import SSHPacket
from asyncssh.sftp import SFTPAttrs, SFTPClientHandler

from clawdbox.ssh.model.files import Attributes, FileKind, Found, Reason
from clawdbox.ssh.wire.link import Link
from clawdbox.ssh.wire.model import ChannelRefused, LinkLost

T = TypeVar("T")
Request = Callable[..., Awaitable[T]]

OPEN_S = 20.0
ANSWER_S = 20.0
_CLOSE_S = 5.0
_MAX_PACKET = 320 * 1024  # OpenSSH sends at most 256 KiB
_BLOCK = 128 * 1024
_LEAST_BLOCK = 4096  # whatever a server says it takes: else it could have a file asked for byte by byte
_REQUESTS = 64
_WINDOW = 4 * 1024 * 1024  # bytes asked for ahead, so that a long way costs no speed
_READDIRS = 8
_EMPTY_ANSWERS = 100
_FLAGS = asyncssh.FILEXFER_ATTR_DEFINED_V4

_REASONS: dict[int, Reason] = {
    asyncssh.FX_EOF: "eof",
    asyncssh.FX_NO_SUCH_FILE: "missing",
    asyncssh.FX_PERMISSION_DENIED: "denied",
    asyncssh.FX_BAD_MESSAGE: "nonsense",
    asyncssh.FX_NO_CONNECTION: "lost",
    asyncssh.FX_CONNECTION_LOST: "lost",
    asyncssh.FX_OP_UNSUPPORTED: "unsupported",
    asyncssh.FX_NO_SUCH_PATH: "missing",
    asyncssh.FX_FILE_ALREADY_EXISTS: "exists",
    asyncssh.FX_WRITE_PROTECT: "denied",
    asyncssh.FX_NO_SPACE_ON_FILESYSTEM: "no_space",
    asyncssh.FX_QUOTA_EXCEEDED: "no_space",
    asyncssh.FX_DIR_NOT_EMPTY: "not_empty",
    asyncssh.FX_NOT_A_DIRECTORY: "not_folder",
    asyncssh.FX_FILE_IS_A_DIRECTORY: "is_folder",
}
_KINDS = {
    stat.S_IFREG: FileKind.FILE,
    stat.S_IFDIR: FileKind.FOLDER,
    stat.S_IFLNK: FileKind.LINK,
    stat.S_IFCHR: FileKind.SPECIAL,
    stat.S_IFBLK: FileKind.SPECIAL,
    stat.S_IFIFO: FileKind.SPECIAL,
    stat.S_IFSOCK: FileKind.SPECIAL,
}


class SftpFailure(Exception):
    """The server refused a request (`reason` says how), or the way to it broke."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


class _Handler(SFTPClientHandler):
    """asyncssh's, with a bound of our own on packets: decoding its 4 MiB of names would hold up everything else."""

    heard = 0

    async def recv_packet(self) -> SSHPacket:
        assert self._reader is not None
        size = int.from_bytes(await self._reader.readexactly(4), "big")
        if not 5 <= size <= _MAX_PACKET:
            raise asyncssh.SFTPBadMessage("a packet of an impossible size")
        packet = SSHPacket(await self._reader.readexactly(size))
        self.heard += 1
        return packet


class Sftp:
    """Made by `open`. Paths are bytes; every method raises SftpFailure."""

    def __init__(self, handler: _Handler, channel: SSHChannel[bytes], orderly: bool) -> None:
        self._handler = handler
        self._channel = channel
        self._readdirs = _READDIRS if orderly else 1
        self._receiving = asyncio.ensure_future(handler.recv_packets())
        self._background: set[asyncio.Future[Any]] = set()

    @classmethod
    async def open(cls, link: Link) -> Self:
        """Start the server's subsystem, in line for its MaxSessions. Reason `no_subsystem` when it has none."""
        writer, reader = await _session(link)
        handler = _Handler(asyncio.get_running_loop(), "replace", reader, writer, 3)
        made: Self | None = None
        try:
            async with asyncio.timeout(OPEN_S):
                await handler.start()
                made = cls(handler, writer.channel, "OpenSSH" in link.server_version)
                await made._ask(handler.request_limits)
        except BaseException as error:
            writer.channel.abort()
            if made is not None:
                await made.close()
            raise _start_failure(link, error) from error
        return made

    @property
    def is_open(self) -> bool:
        return not self._receiving.done() and not self._channel.is_closing()

    def hang_up(self) -> None:
        """Begin to end the channel."""
        self._channel.abort()

    async def close(self) -> None:
        """End the channel at once; who still waits gets `lost`."""
        self.hang_up()
        await asyncio.wait([self._receiving, *self._background], timeout=_CLOSE_S)
        self._receiving.cancel()

    # looking

    async def lstat(self, path: bytes) -> Attributes:
        return _attributes(await self._ask(self._handler.lstat, path, _FLAGS))

    async def stat(self, path: bytes) -> Attributes:
        """Behind all links."""
        return _attributes(await self._ask(self._handler.stat, path, _FLAGS))

    async def find(self, path: bytes) -> Attributes | None:
        """`lstat`, or None where there is nothing."""
        try:
            return await self.lstat(path)
        except SftpFailure as failure:
            if failure.reason == "missing":
                return None
            raise

    async def realpath(self, path: bytes) -> bytes:
        return self._one_name(await self._ask(self._handler.realpath, path))

    async def readlink(self, path: bytes) -> bytes:
        return self._one_name(await self._ask(self._handler.readlink, path))

    async def is_full(self, path: bytes) -> bool:
        """Whether the disk under `path` has no room for another write; False when the server does not tell."""
        try:
            room = await self._ask(self._handler.statvfs, path)
        except SftpFailure:
            return False
        return room.bavail * room.frsize < _BLOCK

    async def scan(self, path: bytes) -> AsyncGenerator[list[Found], None]:
        """The names in a folder, as they come, without `.` and `..`; never follows a link below `path`."""
        handle = await self._handle(self._handler.opendir, path)
        empty, waiting = 0, deque[asyncio.Future[Any]]()
        try:
            while empty < _EMPTY_ANSWERS:
                while len(waiting) < self._readdirs:
                    waiting.append(asyncio.ensure_future(self._ask(self._handler.readdir, handle)))
                names, at_end = await waiting.popleft()
                found = [
                    Found(name.filename, _attributes(name.attrs))
                    for name in names
                    if name.filename not in (b".", b"..")
                ]
                empty = 0 if found else empty + 1
                yield found
                if at_end:
                    return
        except SftpFailure as failure:
            if failure.reason == "eof":
                return
            raise
        finally:
            await _drop(waiting)
            self._let_go(handle)
        raise SftpFailure("nonsense")

    # changing

    async def mkdir(self, path: bytes) -> None:
        await self._ask(self._handler.mkdir, path, SFTPAttrs())

    async def rmdir(self, path: bytes) -> None:
        await self._ask(self._handler.rmdir, path)

    async def remove(self, path: bytes) -> None:
        """Removes a link itself, never what it leads to."""
        await self._ask(self._handler.remove, path)

    async def rename(self, path: bytes, to: bytes) -> None:
        """Fails where there is something at `to` already (draft-ietf-secsh-filexfer-02, section 6.5)."""
        await self._ask(self._handler.rename, path, to, 0)

    async def replace(self, path: bytes, to: bytes) -> None:
        """In one step, taking the place of what is at `to`. Reason `unsupported` without posix-rename@openssh.com."""
        await self._ask(self._handler.posix_rename, path, to)

    async def chmod(self, path: bytes, mode: int) -> None:
        """Not through a link, where the server has lsetstat@openssh.com; the caller has looked before in any case."""
        attrs = SFTPAttrs(permissions=mode)
        try:
            await self._ask(self._handler.setstat, path, attrs, follow_symlinks=False)
        except SftpFailure as failure:
            if failure.reason != "unsupported":
                raise
            await self._ask(self._handler.setstat, path, attrs)

    # open files

    @contextlib.asynccontextmanager
    async def opened(
        self, path: bytes, *, write: bool = False, create: bool = False, mode: int | None = None
    ) -> AsyncIterator["SftpFile"]:
        """A file to read, or one to write. With `create` it must not be there yet, and gets `mode`."""
        flags = asyncssh.FXF_WRITE if write or create else asyncssh.FXF_READ
        if create:
            flags |= asyncssh.FXF_CREAT | asyncssh.FXF_EXCL
        handle = await self._handle(self._handler.open, path, flags, SFTPAttrs(permissions=mode))
        try:
            yield SftpFile(self._handler, self._ask, handle)
        except BaseException:
            self._let_go(handle)
            raise
        # A server may first tell here that what was written did not fit.
        await self._ask(self._handler.close, handle)

    # inside

    async def _handle(self, opening: Request[bytes], *args: object) -> bytes:
        """A handle that does not stay open on the server when its caller is cancelled in this very moment."""
        asking = asyncio.ensure_future(self._ask(opening, *args))
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            asking.add_done_callback(self._let_go_late)
            raise

    def _let_go_late(self, asking: "asyncio.Future[bytes]") -> None:
        if not asking.cancelled() and asking.exception() is None:
            self._let_go(asking.result())

    def _let_go(self, handle: bytes) -> None:
        if self.is_open:
            closing = asyncio.ensure_future(self._quietly(self._handler.close, handle))
            self._background.add(closing)
            closing.add_done_callback(self._background.discard)

    async def _quietly(self, request: Request[object], *args: object) -> None:
        with contextlib.suppress(SftpFailure):
            await self._ask(request, *args)

    async def _ask(self, request: Request[T], *args: object, **more: object) -> T:
        """The answer. A server that says nothing at all for a while has hung: the channel is given up."""
        if not self.is_open:
            raise SftpFailure("lost")
        asking = asyncio.ensure_future(request(*args, **more))
        try:
            while True:
                heard = self._handler.heard
                done, _ = await asyncio.wait({asking}, timeout=ANSWER_S)
                if done:
                    return asking.result()
                if heard == self._handler.heard:
                    self._channel.abort()
                    raise SftpFailure("timeout")
        except asyncssh.SFTPError as error:
            reason = _REASONS.get(error.code, "failed")
            if reason == "nonsense":
                self._channel.abort()
            raise SftpFailure(reason) from None
        except (asyncssh.Error, OSError, EOFError):
            raise SftpFailure("lost") from None
        except (ValueError, IndexError):  # a packet that ends too early, or one too many bytes in it
            self._channel.abort()
            raise SftpFailure("nonsense") from None
        finally:
            asking.cancel()

    def _one_name(self, answer: Any) -> bytes:
        names, _ = answer
        if len(names) != 1:
            self._channel.abort()
            raise SftpFailure("nonsense")
        name: bytes = names[0].filename
        return name


class SftpFile:
    """An open file. Reads and writes are asked for in blocks, many at a time, and come back in order."""

    def __init__(
        self, handler: _Handler, ask: Callable[..., Coroutine[Any, Any, Any]], handle: bytes
    ) -> None:
        self._handler = handler
        self._ask = ask
        self._handle = handle

    async def stat(self) -> Attributes:
        return _attributes(await self._ask(self._handler.fstat, self._handle, _FLAGS))

    async def setstat(
        self,
        *,
        mode: int | None = None,
        size: int | None = None,
        owner: tuple[int, int] | None = None,
    ) -> None:
        uid, gid = owner or (None, None)
        attrs = SFTPAttrs(permissions=mode, size=size, uid=uid, gid=gid)
        await self._ask(self._handler.fsetstat, self._handle, attrs)

    async def sync(self) -> None:
        """To the server's disk, where it can do that."""
        try:
            await self._ask(self._handler.fsync, self._handle)
        except SftpFailure as failure:
            if failure.reason != "unsupported":
                raise

    async def read(self, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """The bytes from `start` up to `end`, in pieces; ends early where the file does."""
        size = max(_LEAST_BLOCK, min(_BLOCK, self._handler.limits.max_read_len))
        waiting = deque[asyncio.Future[bytes]]()
        at = start
        try:
            while at < end or waiting:
                while at < end and len(waiting) < min(_REQUESTS, _WINDOW // size):
                    length = min(size, end - at)
                    waiting.append(asyncio.ensure_future(self._block(at, length)))
                    at += length
                wanted = min(size, end - start)
                piece = await waiting.popleft()
                if piece:
                    yield piece
                start += len(piece)
                if len(piece) < wanted:
                    return
        finally:
            await _drop(waiting)

    async def read_all(self, most: int) -> bytes:
        """The whole file, or its first `most` bytes. Does not trust the size that the server told."""
        data = bytearray()
        while len(data) < most:
            piece = await self._block(len(data), min(_BLOCK, most - len(data)))
            if not piece:
                break
            data += piece
        return bytes(data)

    async def _block(self, at: int, length: int) -> bytes:
        """`length` bytes, fewer only at the end of the file: a server may answer with less than was asked for."""
        data = b""
        while len(data) < length:
            try:
                piece, _ = await self._ask(
                    self._handler.read, self._handle, at + len(data), length - len(data)
                )
            except SftpFailure as failure:
                if failure.reason == "eof":
                    break
                raise
            if not piece or len(piece) > length - len(data):
                raise SftpFailure("nonsense")
            data += piece
        return data

    async def write(self, at: int, data: bytes) -> None:
        """Returns when the server has confirmed all of it."""
        size = max(_LEAST_BLOCK, min(_BLOCK, self._handler.limits.max_write_len))
        writes = [
            asyncio.ensure_future(
                self._ask(self._handler.write, self._handle, at + start, data[start : start + size])
            )
            for start in range(0, len(data), size)
        ]
        try:
            for write in writes:
                await write
        finally:
            await _drop(deque(writes))


async def _session(link: Link) -> "tuple[asyncssh.SSHWriter[bytes], asyncssh.SSHReader[bytes]]":
    async def attempt() -> "tuple[asyncssh.SSHWriter[bytes], asyncssh.SSHReader[bytes]]":
        try:
            writer, reader, _ = await link.connection.open_session(subsystem="sftp", encoding=None)
        except asyncssh.ChannelOpenError as error:
            if error.code == asyncssh.OPEN_REQUEST_SESSION_FAILED and link.is_up:
                raise SftpFailure("no_subsystem") from None
            raise
        return writer, reader

    opening = asyncio.ensure_future(link.in_line(attempt, lambda opened: opened[0].channel.wait_closed()))
    try:
        async with asyncio.timeout(OPEN_S):
            return await asyncio.shield(opening)
    except BaseException as error:
        opening.add_done_callback(_hang_up)
        if isinstance(error, TimeoutError):
            raise ChannelRefused(
                "The server has no session left for files, or does not answer. End a terminal or a command, then try again."
            ) from None
        raise


def _hang_up(opening: "asyncio.Future[tuple[asyncssh.SSHWriter[bytes], Any]]") -> None:
    """Nobody waits for this channel any more: it must not keep one of the server's sessions."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result()[0].channel.abort()


def _start_failure(link: Link, error: BaseException) -> BaseException:
    """A program that ends at once is as good as none; one that prints something else than SFTP is another matter."""
    if isinstance(error, asyncio.CancelledError | SftpFailure | LinkLost):
        return error
    if isinstance(error, TimeoutError):
        return SftpFailure("timeout")
    if isinstance(error, asyncssh.SFTPConnectionLost):
        return SftpFailure("no_subsystem" if link.is_up else "lost")
    if isinstance(error, asyncssh.Error | ValueError | OSError):
        return SftpFailure("nonsense" if link.is_up else "lost")
    return error


def _attributes(attrs: SFTPAttrs) -> Attributes:
    """The kind is in the mode's upper bits (version 3 of the protocol has no field for it)."""
    mode = attrs.permissions
    kind = FileKind.UNKNOWN if mode is None else _KINDS.get(stat.S_IFMT(mode), FileKind.UNKNOWN)
    bits = None if mode is None else stat.S_IMODE(mode)
    return Attributes(kind, attrs.size, bits, attrs.uid, attrs.gid, attrs.mtime)


async def _drop(waiting: "deque[asyncio.Future[T]]") -> None:
    for future in waiting:
        future.cancel()
    if waiting:
        await asyncio.gather(*waiting, return_exceptions=True)
