"""One SFTP channel for each lease that uses files: opened when it is first needed, closed when it has been idle."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from clawdbox.errors import Conflict, Problem
from clawdbox.ssh.model import Lease
from clawdbox.ssh.rules import files as rules
from clawdbox.ssh.service.leases import Leases
from clawdbox.ssh.service.masters import Master
from clawdbox.ssh.wire.link import Link
from clawdbox.ssh.wire.model import ChannelRefused, LinkLost
from clawdbox.ssh.wire.sftp import Sftp, SftpFailure

IDLE_S = 60.0
AT_ONCE = 16  # pieces of work on one channel; more wait
TRANSFERS = 8  # downloads at once on one lease; more are refused, since they may last for hours


class Hand:
    """What work on files has in hand: the lease, its master, and the channel."""

    def __init__(self, lease: Lease, master: Master, sftp: Sftp) -> None:
        self.lease = lease
        self.sftp = sftp
        self._master = master

    def touch(self) -> None:
        """A byte moved: the lease is in use."""
        self._master.touch()


class _Held:
    def __init__(self, link: Link) -> None:
        self.link = link
        self.opening = asyncio.ensure_future(Sftp.open(link))
        self.turns = asyncio.Semaphore(AT_ONCE)
        self.users = 0
        self.transfers = 0
        self.idle: asyncio.TimerHandle | None = None

        link.idle_holders.append(self.yield_place)

    def yield_place(self) -> bool:
        """Close the channel unless somebody uses it, for one who waits for a session. True if it was there."""
        if self.users or not self.opening.done() or not self.is_usable:
            return False
        self.opening.result().hang_up()
        return True

    @property
    def is_usable(self) -> bool:
        if not self.opening.done():
            return True
        failed = self.opening.cancelled() or self.opening.exception() is not None
        return not failed and self.opening.result().is_open


class SftpPool:
    def __init__(self, leases: Leases, idle_s: float = IDLE_S) -> None:
        self._leases = leases
        self._idle_s = idle_s
        self._held: dict[str, _Held] = {}
        self._closing: set[asyncio.Future[None]] = set()
        leases.on_closing.append(self.close)
        leases.users.append(self.is_used)

    @asynccontextmanager
    async def use(self, account_id: str, lease_id: str, *, transfer: bool = False) -> AsyncIterator[Hand]:
        """The channel of an active lease. Whatever the wire refuses inside comes out as a Problem.

        A `transfer`, which may last, is counted apart, so that it never keeps a folder from being shown.
        """
        lease, master, link = await self._leases.up(account_id, lease_id)
        held = self._of(lease_id, link)
        master.touch()
        held.users += 1
        try:
            async with _transfer(held) if transfer else held.turns:
                yield Hand(lease, master, await _opened(held))
        except SftpFailure as failure:
            ended = failure.reason == "lost" and link.is_up
            raise rules.problem_of("nonsense" if ended else failure.reason) from None
        except LinkLost:
            raise rules.problem_of("lost") from None
        except ChannelRefused as refusal:
            raise Conflict("sftp_refused", str(refusal)) from None
        finally:
            held.users -= 1
            master.touch()
            self._rest(lease_id, held)

    async def close(self, lease_id: str) -> None:
        """When the lease ends, or nobody needs the channel any more."""
        held = self._held.pop(lease_id, None)
        if held is not None:
            await _close(held)

    def is_used(self, lease_id: str) -> bool:
        """Somebody reads, writes or removes files, or did within the last minute."""
        held = self._held.get(lease_id)
        return held is not None and held.is_usable

    def open_channels(self) -> list[str]:
        """The leases that hold a channel now."""
        return [lease_id for lease_id, held in self._held.items() if held.is_usable]

    def _of(self, lease_id: str, link: Link) -> _Held:
        held = self._held.get(lease_id)
        if held is not None and (held.link is not link or not held.is_usable):
            self._spawn_close(held)
            held = None
        if held is None:
            held = self._held[lease_id] = _Held(link)
        if held.idle is not None:
            held.idle.cancel()
        return held

    def _rest(self, lease_id: str, held: _Held) -> None:
        if held.users or self._held.get(lease_id) is not held:
            return
        if not held.is_usable:
            del self._held[lease_id]
            self._spawn_close(held)
            return
        held.idle = asyncio.get_running_loop().call_later(self._idle_s, self._idle_out, lease_id, held)

    def _idle_out(self, lease_id: str, held: _Held) -> None:
        if self._held.get(lease_id) is held and not held.users:
            del self._held[lease_id]
            self._spawn_close(held)

    def _spawn_close(self, held: _Held) -> None:
        closing = asyncio.ensure_future(_close(held))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)


@asynccontextmanager
async def _transfer(held: _Held) -> AsyncIterator[None]:
    if held.transfers >= TRANSFERS:
        raise Conflict(
            "file_transfers_limit", f"{TRANSFERS} downloads run on this session. Wait until one has ended."
        )
    held.transfers += 1
    try:
        yield
    finally:
        held.transfers -= 1


async def _opened(held: _Held) -> Sftp:
    """Several may wait for the same opening, and one of them going away must not end it for the others."""
    return await asyncio.shield(held.opening)


async def _close(held: _Held) -> None:
    if held.yield_place in held.link.idle_holders:
        held.link.idle_holders.remove(held.yield_place)
    if held.idle is not None:
        held.idle.cancel()
    if not held.opening.done():
        held.opening.cancel()
    try:
        sftp = await held.opening
    except (asyncio.CancelledError, SftpFailure, LinkLost, ChannelRefused, Problem):
        return
    await sftp.close()
