"""Files on the server of an active lease: what is there, what it holds, and the small changes."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from typing import Any, Self

import msgspec

from clawdbox.events import Actor
from clawdbox.ids import new_id
from clawdbox.ssh.model.files import Attributes, FileKind, FilePage, Found, SortKey
from clawdbox.ssh.rules import file_names as names
from clawdbox.ssh.rules import files as rules
from clawdbox.ssh.service.file_put import put
from clawdbox.ssh.service.file_trail import FileTrail
from clawdbox.ssh.service.sftp_pool import Hand, SftpPool
from clawdbox.ssh.wire.sftp import Sftp, SftpFailure, SftpFile
from clawdbox.store import Store

_LISTINGS = 8  # readings of folders that are kept, so that a long one can be turned page by page
_LISTING_S = 120.0
_LINKS_AT_ONCE = 16
_IN_A_THREAD = 2000


class _Reading(msgspec.Struct):
    """A folder as it was read."""

    account_id: str
    lease_id: str
    path: bytes
    found: list[Found]
    skipped: int
    cut: bool
    read_at: float


class View(msgspec.Struct, frozen=True):
    """How a person wants to see a folder."""

    sort: SortKey = "name"
    descending: bool = False
    hidden: bool = False
    wanted: str = ""
    limit: int = 200
    offset: int = 0


class Download:
    """An open file on its way to a person. `close` must be called, with what went wrong if something did."""

    def __init__(self, hand: Hand, file: SftpFile, path: bytes, stack: AsyncExitStack) -> None:
        self.path = path
        self.attributes = Attributes()
        self.span = rules.Span(0, 0)
        self._hand = hand
        self._file = file
        self._stack = stack
        self._told: dict[str, Any] = {}

    async def begin(self, told: dict[str, Any], asked: str | None, known: str | None) -> Self:
        self._told = told
        self.attributes = await self._file.stat()
        rules.check_regular(self.attributes)
        same = known is None or known == rules.etag(self.path, self.attributes)
        self.span = rules.span_of(asked if same else None, self.attributes.size or 0)
        return self

    async def body(self) -> AsyncGenerator[bytes, None]:
        """Fails when the file shrinks or changes on the way: a torn file must never pass for a whole one.

        The last piece is held back until the file was looked at again: with it, a browser has what it was promised.
        """
        read, last = 0, b""
        async with aclosing(self._file.read(self.span.start, self.span.end)) as pieces:
            async for piece in pieces:
                self._hand.touch()
                if last:
                    yield last
                read, last = read + len(piece), piece
                self._told["bytes"] = read
        rules.check_not_torn(
            self.attributes, await self._file.stat(), read == self.span.end - self.span.start
        )
        if last:
            yield last

    async def close(self, error: BaseException | None = None) -> None:
        """Raises the Problem that `error` is to a person."""
        await self._stack.__aexit__(type(error) if error else None, error, None)


class Files:
    def __init__(self, store: Store, trail: FileTrail, pool: SftpPool) -> None:
        self._clock = store.clock
        self._trail = trail
        self._pool = pool
        self._readings: OrderedDict[str, _Reading] = OrderedDict()

    def open_channels(self) -> "list[str]":
        """The leases that hold a channel for files now."""
        return self._pool.open_channels()

    # looking

    async def list(
        self, actor: Actor, account_id: str, lease_id: str, path: bytes | None, view: View, listing: str
    ) -> FilePage:
        """A page of a folder, of the user's home without a `path`. With `listing` the folder is not read again."""
        async with self._pool.use(account_id, lease_id) as hand:
            reading_id, reading = self._kept(listing, account_id, lease_id, path)
            if reading is None:
                at = await hand.sftp.realpath(path or b".")
                reading = await self._read(hand, account_id, at)
                await self._trail.note(actor, hand.lease, "file.list", at, entries=len(reading.found))
                reading_id = self._keep(reading)
            chosen, hidden = await _page(reading.found, view)
            shown = chosen[view.offset : view.offset + view.limit]
            entries = await _with_targets(hand.sftp, reading.path, shown)
        return FilePage(reading.path, entries, len(chosen), hidden, reading.skipped, reading.cut, reading_id)

    async def stat(self, account_id: str, lease_id: str, path: bytes) -> Found:
        """What is at a path; a link itself, with what it leads to."""
        async with self._pool.use(account_id, lease_id) as hand:
            attributes = await hand.sftp.lstat(path)
            (found,) = await _with_targets(
                hand.sftp, names.parent(path), [Found(names.base(path), attributes)]
            )
        return found

    async def download(
        self, actor: Actor, account_id: str, lease_id: str, path: bytes, asked: str | None, known: str | None
    ) -> Download:
        """Open a file, behind links, to send it. `asked` is the Range header, `known` If-Range (RFC 9110)."""
        stack = AsyncExitStack()
        try:
            hand = await stack.enter_async_context(self._pool.use(account_id, lease_id, transfer=True))
            rules.check_regular(await hand.sftp.stat(path))
            told = await stack.enter_async_context(self._trail.told(actor, hand.lease, "file.download", path))
            file = await stack.enter_async_context(hand.sftp.opened(path))
            return await Download(hand, file, path, stack).begin(told, asked, known)
        except BaseException as error:
            await stack.__aexit__(type(error), error, error.__traceback__)
            raise

    # changing

    async def make_folder(self, actor: Actor, account_id: str, lease_id: str, path: bytes) -> Found:
        names.check_target(path)
        async with (
            self._pool.use(account_id, lease_id) as hand,
            self._trail.told(actor, hand.lease, "file.make_folder", path),
        ):
            if await hand.sftp.find(path) is not None:
                raise rules.problem_of("exists")
            await hand.sftp.mkdir(path)
            return Found(names.base(path), await hand.sftp.lstat(path))

    async def move(
        self, actor: Actor, account_id: str, lease_id: str, path: bytes, to: bytes, *, replace: bool
    ) -> Found:
        """Rename or move, a link as the link it is. Only with `replace` it takes the place of a file that is there."""
        rules.check_movable(path)
        names.check_target(to, "to")
        rules.check_into_itself(path, to)
        async with (
            self._pool.use(account_id, lease_id) as hand,
            self._trail.told(actor, hand.lease, "file.move", path, to=names.encode_path(to)),
        ):
            await hand.sftp.lstat(path)
            there = await hand.sftp.find(to)
            if there is not None and not replace:
                raise rules.problem_of("exists")
            if there is not None:
                rules.check_replaceable(there)
            await put(hand.sftp, path, to, replace=there is not None)
            return Found(names.base(to), await hand.sftp.lstat(to))

    async def set_mode(self, actor: Actor, account_id: str, lease_id: str, path: bytes, mode: int) -> Found:
        """Raises Conflict `file_is_link`: the permissions of what a link leads to are set there."""
        async with (
            self._pool.use(account_id, lease_id) as hand,
            self._trail.told(actor, hand.lease, "file.set_mode", path, mode=f"{mode:04o}"),
        ):
            rules.check_not_link(await hand.sftp.lstat(path))
            await hand.sftp.chmod(path, mode)
            return Found(names.base(path), await hand.sftp.lstat(path))

    # inside

    async def _read(self, hand: Hand, account_id: str, path: bytes) -> _Reading:
        found: list[Found] = []
        skipped = size = 0
        cut = False
        async with aclosing(hand.sftp.scan(path)) as pieces:
            async for piece in pieces:
                usable = [entry for entry in piece if names.is_usable(entry.name)]
                skipped += len(piece) - len(usable)
                found += usable
                size += sum(len(entry.name) for entry in usable)
                cut = len(found) + skipped > rules.MAX_ENTRIES or size > rules.MAX_NAMES
                if cut:
                    break
        now = self._clock.monotonic()
        return _Reading(account_id, hand.lease.id, path, found[: rules.MAX_ENTRIES], skipped, cut, now)

    def _keep(self, reading: _Reading) -> str:
        reading_id = new_id(self._clock.now())
        self._readings[reading_id] = reading
        self._forget_old()
        return reading_id

    def _kept(
        self, reading_id: str, account_id: str, lease_id: str, path: bytes | None
    ) -> tuple[str, _Reading | None]:
        self._forget_old()
        reading = self._readings.get(reading_id)
        if reading is None or (reading.account_id, reading.lease_id) != (account_id, lease_id):
            return "", None
        return (reading_id, reading) if path in (None, reading.path) else ("", None)

    def _forget_old(self) -> None:
        now = self._clock.monotonic()
        old = [key for key, reading in self._readings.items() if now - reading.read_at > _LISTING_S]
        for key in old:
            del self._readings[key]
        while (
            len(self._readings) > _LISTINGS
            or sum(len(reading.found) for reading in self._readings.values()) > 2 * rules.MAX_ENTRIES
        ):
            self._readings.popitem(last=False)


async def _page(found: list[Found], view: View) -> tuple[list[Found], int]:
    def choose() -> tuple[list[Found], int]:
        return rules.page(
            found, sort=view.sort, descending=view.descending, hidden=view.hidden, wanted=view.wanted
        )

    # Sorting a hundred thousand names takes a good part of a second, in which everything else would stand still.
    return await asyncio.to_thread(choose) if len(found) > _IN_A_THREAD else choose()


async def _with_targets(sftp: Sftp, folder: bytes, entries: list[Found]) -> list[Found]:
    turns = asyncio.Semaphore(_LINKS_AT_ONCE)

    async def resolve(entry: Found) -> Found:
        if entry.attributes.kind is not FileKind.LINK:
            return entry
        path, target, kind = names.join(folder, entry.name), None, None
        async with turns:
            try:
                target = (await sftp.readlink(path))[: names.MAX_PATH]
                kind = (await sftp.stat(path)).kind
            except SftpFailure as failure:  # it leads nowhere, or in a circle
                if failure.reason in ("lost", "timeout", "nonsense"):
                    raise
        return Found(entry.name, entry.attributes, target, kind)

    return await asyncio.gather(*(resolve(entry) for entry in entries))
