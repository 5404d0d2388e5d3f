"""Removing a file, or a folder with all that is in it: counted first, shown, then done, and never through a link."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from clawdbox.errors import Conflict, NotFound, Problem
from clawdbox.events import Actor
from clawdbox.ids import new_id
from clawdbox.ssh.model.files import FileKind, Found, RemovalState, RemovalView
from clawdbox.ssh.rules import file_names as names
from clawdbox.ssh.rules import files as rules
from clawdbox.ssh.service.file_trail import FileTrail
from clawdbox.ssh.service.leases import Leases
from clawdbox.ssh.service.sftp_pool import Hand, SftpPool
from clawdbox.ssh.wire.sftp import Sftp, SftpFailure
from clawdbox.store import Store

MAX_PER_LEASE = 16
_LEFT_SHOWN = 20
_AT_ONCE = 16
_ENDED = (RemovalState.DONE, RemovalState.FAILED, RemovalState.CANCELLED)
_BUSY = (RemovalState.COUNTING, RemovalState.REMOVING)
# What ends a removal as a whole, instead of leaving one thing behind.
_FATAL = frozenset({"lost", "timeout", "nonsense"})


class _Removal:
    def __init__(self, removal_id: str, account_id: str, lease_id: str, path: bytes) -> None:
        self.id = removal_id
        self.account_id = account_id
        self.lease_id = lease_id
        self.path = path
        self.kind = FileKind.UNKNOWN
        self.state = RemovalState.COUNTING
        self.folders = self.files = self.size = self.removed = self.left_count = 0
        self.left: list[tuple[bytes, str]] = []
        self.problem: str | None = None
        self.task: asyncio.Task[None] | None = None

    @property
    def view(self) -> RemovalView:
        return RemovalView(
            self.id, self.path, self.kind, self.state, self.folders, self.files, self.size,
            self.removed, list(self.left), self.left_count, self.problem,
        )  # fmt: skip

    def leave(self, path: bytes, why: str) -> None:
        self.left_count += 1
        if len(self.left) < _LEFT_SHOWN:
            self.left.append((path, why))


class Removals:
    def __init__(self, store: Store, trail: FileTrail, pool: SftpPool, leases: Leases) -> None:
        self._clock = store.clock
        self._trail = trail
        self._pool = pool
        self._leases = leases
        self._removals: dict[str, _Removal] = {}
        leases.on_closing.append(self._forget)

    async def begin(self, account_id: str, lease_id: str, path: bytes) -> RemovalView:
        """Start to count what would go. Nothing is removed before `confirm`."""
        rules.check_movable(path)
        async with self._pool.use(account_id, lease_id) as hand:
            attributes = await hand.sftp.lstat(path)
        self._make_room(lease_id)
        removal = _Removal(new_id(self._clock.now()), account_id, lease_id, path)
        removal.kind = attributes.kind
        self._removals[removal.id] = removal
        if attributes.kind is FileKind.FOLDER:
            removal.task = asyncio.ensure_future(self._run(removal, self._count))
        else:
            removal.files, removal.size = 1, attributes.size or 0
            removal.state = RemovalState.COUNTED
        return removal.view

    async def get(self, account_id: str, lease_id: str, removal_id: str) -> RemovalView:
        return (await self._get(account_id, lease_id, removal_id)).view

    async def confirm(self, actor: Actor, account_id: str, lease_id: str, removal_id: str) -> RemovalView:
        """Remove what was counted. Raises Conflict `removal_not_counted`."""
        removal = await self._get(account_id, lease_id, removal_id)
        if removal.state is not RemovalState.COUNTED:
            raise Conflict(
                "removal_not_counted",
                f"This removal is {removal.state}. Only one that was counted can begin.",
            )
        removal.state = RemovalState.REMOVING

        async def remove(hand: Hand, removal: _Removal) -> None:
            async with self._trail.told(actor, hand.lease, "file.remove", removal.path) as told:
                try:
                    await _Remover(hand, removal).run()
                finally:
                    told.update(removed=removal.removed, left=removal.left_count)
                removal.state = RemovalState.DONE

        removal.task = asyncio.ensure_future(self._run(removal, remove))
        return removal.view

    async def cancel(self, account_id: str, lease_id: str, removal_id: str) -> RemovalView:
        """Stop counting or removing; what is gone stays gone. One that has ended stays as it is."""
        removal = await self._get(account_id, lease_id, removal_id)
        await _stop(removal)
        if removal.state not in _ENDED:
            removal.state = RemovalState.CANCELLED
        return removal.view

    # inside

    async def _get(self, account_id: str, lease_id: str, removal_id: str) -> _Removal:
        await self._leases.get(account_id, lease_id)
        removal = self._removals.get(removal_id)
        if removal is None or (removal.account_id, removal.lease_id) != (account_id, lease_id):
            raise NotFound
        return removal

    def _make_room(self, lease_id: str) -> None:
        mine = [removal for removal in self._removals.values() if removal.lease_id == lease_id]
        spare = [removal for removal in mine if removal.state not in _BUSY]
        if len(mine) >= MAX_PER_LEASE and not spare:
            raise Conflict(
                "removal_limit_reached", "Enough is being removed here. Wait until some of it is done."
            )
        if len(mine) >= MAX_PER_LEASE:
            del self._removals[spare[0].id]

    async def _run(self, removal: _Removal, work: Callable[[Hand, _Removal], Awaitable[None]]) -> None:
        try:
            async with self._pool.use(removal.account_id, removal.lease_id, transfer=True) as hand:
                await work(hand, removal)
        except Problem as problem:
            removal.state, removal.problem = RemovalState.FAILED, problem.message
        except asyncio.CancelledError:
            removal.state = RemovalState.CANCELLED

    async def _count(self, hand: Hand, removal: _Removal) -> None:
        folders = [(removal.path, 0)]
        while folders:
            path, depth = folders.pop()
            removal.folders += 1
            async for entry in _entries(hand, path, depth):
                if entry.attributes.kind is FileKind.FOLDER:
                    folders.append((names.join(path, entry.name), depth + 1))
                else:
                    removal.files += 1
                    removal.size += entry.attributes.size or 0
                if removal.files + removal.folders + len(folders) > rules.MAX_REMOVAL:
                    raise _too_much()
        removal.state = RemovalState.COUNTED

    async def _forget(self, lease_id: str) -> None:
        mine = [removal for removal in self._removals.values() if removal.lease_id == lease_id]
        for removal in mine:
            await _stop(removal)
            del self._removals[removal.id]


class _Remover:
    def __init__(self, hand: Hand, removal: _Removal) -> None:
        self._hand = hand
        self._sftp: Sftp = hand.sftp
        self._removal = removal
        self._seen = 0
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def run(self) -> None:
        attributes = await self._sftp.lstat(self._removal.path)
        if (attributes.kind is FileKind.FOLDER) != (self._removal.kind is FileKind.FOLDER):
            raise Conflict("file_changed", "Something else is there now. Look at the folder again.")
        if attributes.kind is FileKind.FOLDER:
            real = await self._sftp.realpath(names.parent(self._removal.path))
            await self._folder(names.join(real, names.base(self._removal.path)), 0)
        else:
            await self._sftp.remove(self._removal.path)
            self._removal.removed += 1

    async def _folder(self, path: bytes, depth: int) -> None:
        """Children first. Where a link has taken the folder's place meanwhile, nothing behind it is touched."""
        found: list[Found] = []
        async for entry in _entries(self._hand, path, depth):
            self._seen += 1
            if self._seen > rules.MAX_REMOVAL:
                raise _too_much()
            found.append(entry)
        if await self._sftp.realpath(path) != path:
            self._removal.leave(path, "It has become a link.")
            return
        folders = [entry for entry in found if entry.attributes.kind is FileKind.FOLDER]
        others = [entry for entry in found if entry.attributes.kind is not FileKind.FOLDER]
        await _all([self._one(self._sftp.remove, names.join(path, entry.name)) for entry in others])
        for entry in folders:
            await self._folder(names.join(path, entry.name), depth + 1)
        await self._one(self._sftp.rmdir, path)

    async def _one(self, remove: Callable[[bytes], Awaitable[None]], path: bytes) -> None:
        async with self._turns:
            try:
                await remove(path)
            except SftpFailure as failure:
                if failure.reason in _FATAL:
                    raise
                if failure.reason != "missing":  # somebody else was faster
                    self._removal.leave(path, rules.problem_of(failure.reason).message)
            else:
                self._removal.removed += 1
                self._hand.touch()


async def _entries(hand: Hand, path: bytes, depth: int) -> AsyncIterator[Found]:
    """What is in a folder, each with its kind: the server is asked again for what it did not tell."""
    if depth > rules.MAX_DEPTH:
        raise _too_much()
    async for piece in hand.sftp.scan(path):
        hand.touch()
        for entry in piece:
            if not names.is_usable(entry.name):
                raise SftpFailure("nonsense")
            if entry.attributes.kind is FileKind.UNKNOWN:
                yield Found(entry.name, await hand.sftp.lstat(names.join(path, entry.name)))
            else:
                yield entry


async def _all(work: list[Awaitable[None]]) -> None:
    """Everything, and when something fails, nothing of it goes on behind one's back."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _stop(removal: _Removal) -> None:
    if removal.task is not None and not removal.task.done():
        removal.task.cancel()
        await asyncio.wait([removal.task])


def _too_much() -> Conflict:
    return Conflict(
        "removal_too_large",
        f"More than {rules.MAX_REMOVAL:,} things are in there. Remove that with a command in a terminal.",
    )
