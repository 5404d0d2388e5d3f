"""The verbs of leases. What `lease_writes` has committed comes first; the wire is touched only afterwards."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from time import perf_counter
from typing import Any, Protocol

from clawdbox import logs
from clawdbox.accounts import Accounts
from clawdbox.errors import Conflict, Problem, Unavailable, Upstream
from clawdbox.events import Actor, Ledger
from clawdbox.events.model import SYSTEM
from clawdbox.keys.model import Keypair
from clawdbox.settings import Settings
from clawdbox.ssh.model import CloseReason, Connection, Lease, LeaseStatus, MasterView
from clawdbox.ssh.rules import connections as connection_rules
from clawdbox.ssh.rules import leases as rules
from clawdbox.ssh.service.dialling import Dialler
from clawdbox.ssh.service.lease_writes import LeaseWrites
from clawdbox.ssh.service.masters import Master
from clawdbox.ssh.service.trail import Trail
from clawdbox.ssh.service.ways import Way, hop_of, pinned_key, way_to
from clawdbox.ssh.sql import connections as connection_sql
from clawdbox.ssh.sql import leases as sql
from clawdbox.ssh.wire.dial import DialFailure
from clawdbox.ssh.wire.link import Link
from clawdbox.store import Reader, Store

log = logs.get("ssh")
Closing = Callable[[str], Awaitable[None]]
Active = Callable[[Lease], Awaitable[None]]


class Meter(Protocol):
    """What the leases count (document 05, section 5.5)."""

    def session_started(self) -> None: ...
    def session_failed(self) -> None: ...
    def ssh_connected(self, latency_ms: float) -> None: ...


class Leases:
    """Holds the masters of all open leases of this process.

    The app hands in what lives above or beside: what `writes` calls, and `on_closing`, of which each is awaited
    before the link goes, so that terminals end with a reason; `on_active` hears of each lease once it carries work;
    `users` are asked whether a lease carries work that is no command.
    """

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        settings: Settings,
        accounts: Accounts,
        trail: Trail,
        dialler: Dialler,
        meter: Meter,
    ) -> None:
        self._store = store
        self._settings = settings
        self._accounts = accounts
        self._dialler = dialler
        self._meter = meter
        self._masters: dict[str, Master] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stopping = False
        self.writes = LeaseWrites(ledger, trail)
        self.on_closing: list[Closing] = []
        self.on_active: list[Active] = []
        self.users: list[Callable[[str], bool]] = []

    def is_used(self, lease_id: str) -> bool:
        """Whether anybody works on a lease at this moment: commands, and what `users` know of."""
        master = self._masters.get(lease_id)
        return master is not None and (bool(master.running) or any(asks(lease_id) for asks in self.users))

    # reading

    async def get(self, account_id: str, lease_id: str) -> Lease:
        return await self._store.read(lambda r: sql.get(r, account_id, lease_id))

    async def list(
        self,
        account_id: str,
        *,
        status: LeaseStatus | None,
        connection_id: str | None,
        limit: int,
        offset: int,
    ) -> tuple[list[Lease], int]:
        return await self._store.read(lambda r: sql.page(r, account_id, status, connection_id, limit, offset))

    async def present(self, account_id: str, connection_id: str) -> Lease | None:
        """The lease that now carries a connection's conversation: its newest active one."""
        return await self._store.read(lambda r: sql.present(r, account_id, connection_id))

    async def count_active(self) -> int:
        return await self._store.read(sql.count_active)

    async def idle_timeout_s(self, account_id: str) -> int:
        return (await self._accounts.settings(account_id)).idle_timeout_s

    def master(self, lease_id: str) -> MasterView | None:
        master = self._masters.get(lease_id)
        return master.view if master else None

    @property
    def held(self) -> dict[str, Master]:
        """lease id → master, for the janitor and for what runs over a lease."""
        return self._masters

    def touch(self, lease_id: str) -> None:
        master = self._masters.get(lease_id)
        if master:
            master.touch()

    def at_hand(self, lease_id: str) -> tuple[Master, Link] | None:
        """A master that is up, without a look into the store: whoever uses it still has to ask whose lease it is."""
        master = self._masters.get(lease_id)
        return (master, master.link) if master and master.is_up and master.link else None

    async def up(self, account_id: str, lease_id: str) -> tuple[Lease, Master, Link]:
        """An active lease with its link, for work over it. Raises Conflict `session_not_active`."""
        lease = await self.get(account_id, lease_id)
        master = self._masters.get(lease_id)
        if lease.status is not LeaseStatus.ACTIVE or master is None:
            raise Conflict("session_not_active", f"This session is {lease.status}. Start a new one to go on.")
        if not master.is_up or master.link is None:
            raise Conflict(
                "session_reconnecting",
                "The link to the server is down, and the box is dialling again. Try again in a moment.",
            )
        return lease, master, master.link

    async def until_up(self, account_id: str, lease_id: str) -> None:
        """Wait while the link is dialled again. Raises Conflict `session_not_active` once the lease has ended."""
        while True:
            try:
                await self.up(account_id, lease_id)
                return
            except Conflict as conflict:
                if conflict.code != "session_reconnecting":
                    raise
            master = self._masters.get(lease_id)
            if master:
                await master.moved()

    # starting

    async def start(self, actor: Actor, account_id: str, connection_id: str) -> Lease:
        """Make a lease and dial. What came of it is written down even when the caller has gone meanwhile.

        Raises Conflict (`connection_untested`, `lease_limit_reached`, `host_key_changed`) and Upstream (`ssh_failed`,
        `ssh_timeout`) with `cause`, `next_step` and `session_id`.
        """
        if self._stopping:
            raise Unavailable("stopping", "The box is stopping. Start the session once it is back.")
        limit = (await self._accounts.settings(account_id)).max_leases
        lease, connection, keypair = await self._store.write(
            lambda tx: self.writes.intend(tx, account_id, connection_id, limit)
        )
        task = asyncio.ensure_future(self._bring_up(actor, lease, connection, keypair))
        self._keep(task)
        return await asyncio.shield(task)

    async def _bring_up(self, actor: Actor, lease: Lease, connection: Connection, keypair: Keypair) -> Lease:
        self._meter.session_started()
        master = self._make_master(lease, connection, keypair)
        self._masters[lease.id] = master
        begun = perf_counter()
        try:
            await master.connect()
            self._meter.ssh_connected((perf_counter() - begun) * 1000)
            active = await self._store.write(lambda tx: self.writes.activate(tx, actor, lease))
        except DialFailure as failure:
            self._masters.pop(lease.id, None)
            raise await self._failed(actor, lease, connection, failure) from None
        except BaseException:
            try:
                await self.end(actor, lease.id, rules.Ending(CloseReason.ERROR, rules.NEVER_UP))
            finally:
                await self._release(lease.id)  # even when a full disk keeps the end from being written
            raise
        for hook in self.on_active:
            await hook(active)
        log.info("ssh.connect", **_ids(lease))
        return active

    async def _failed(
        self, actor: Actor, lease: Lease, connection: Connection, failure: DialFailure
    ) -> Problem:
        """Write the failed start down and return the error to raise."""
        self._meter.session_failed()
        log.warning("ssh.connect_failed", cause=failure.cause, **_ids(lease))
        hop = hop_of(failure)
        problem = Upstream(
            "ssh_timeout" if failure.cause in connection_rules.TIMEOUT_CAUSES else "ssh_failed",
            failure.message,
            timed_out=failure.cause in connection_rules.TIMEOUT_CAUSES,
            cause=failure.cause,
            next_step=failure.next_step,
            session_id=lease.id,
            **({"jump_connection_id": hop.id, "jump_label": hop.label} if hop else {}),
        )
        shown = await self._store.write(lambda tx: self.writes.fail(tx, actor, lease, connection, failure))
        return shown or problem

    def _make_master(self, lease: Lease, connection: Connection, keypair: Keypair) -> Master:
        async def dial() -> Link:
            return await self._dialler.dial(
                await self._store.read(lambda r: _to_dial(r, lease, connection, keypair))
            )

        grace = timedelta(seconds=self._settings.grace_s)
        return Master(lease.id, self._store.clock, grace, dial, self._master_changed, self._redial_refused)

    def _master_changed(self, master: Master) -> None:
        view = master.view
        log.info("ssh.master", state=str(view.state), redials=view.redials, session_lease_id=master.lease_id)
        self._keep(asyncio.ensure_future(self._tell_master(master.lease_id, view)))

    async def _tell_master(self, lease_id: str, view: MasterView) -> None:
        await self._store.write(lambda tx: self.writes.tell_master(tx, lease_id, view))

    async def _redial_refused(self, master: Master, failure: DialFailure) -> None:
        """A redial met something that waiting does not mend, such as another host key: the lease ends at once."""
        self._keep(asyncio.ensure_future(self._end_refused(master, failure)))

    async def _end_refused(self, master: Master, failure: DialFailure) -> None:
        await self._store.write(lambda tx: self.writes.note_refused_redial(tx, master.lease_id, failure))
        await self.end(SYSTEM, master.lease_id, rules.Ending(CloseReason.ERROR, failure.message))

    # ending

    async def close(self, actor: Actor, account_id: str, lease_id: str) -> Lease:
        """Close a session on request; one that has ended stays as it is."""
        lease = await self.get(account_id, lease_id)
        if not lease.is_open:
            return lease
        await self.end(actor, lease_id, rules.Ending(CloseReason.USER))
        return await self.get(account_id, lease_id)

    async def end(self, actor: Actor, lease_id: str, ending: rules.Ending) -> None:
        """End a lease if it is still open: first in the store, then its processes and its link."""
        lease = await self._store.write(lambda tx: self.writes.end(tx, actor, lease_id, ending))
        if lease and lease.status is LeaseStatus.ERROR:
            self._meter.session_failed()
        if lease:
            log.info("ssh.disconnect", reason=str(ending.reason), **_ids(lease))
        await self._release(lease_id)

    async def _release(self, lease_id: str) -> None:
        master = self._masters.pop(lease_id, None)
        if master is None:
            return
        for hook in self.on_closing:
            try:
                await hook(lease_id)
            except Exception:  # the link must not outlive its lease, whatever went wrong beside it
                log.exception("ssh.closing_failed", session_lease_id=lease_id)
        await master.close()

    # the box's own start and stop

    async def recover(self) -> int:
        """After a crash: whatever was open has ended, and says so. Returns how many leases that were."""
        return await self._store.write(self.writes.end_what_a_crash_left)

    async def stop(self) -> None:
        """End every lease because the box stops; none starts any more."""
        self._stopping = True
        open_leases = await self._store.read(sql.open_leases)
        ids = {lease.id for lease in open_leases} | set(self._masters)
        await self.end_all({lease_id: rules.Ending(CloseReason.ERROR, rules.BOX_STOPPED) for lease_id in ids})
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)

    async def end_all(self, endings: dict[str, rules.Ending]) -> None:
        """End several leases at once; one that fails does not keep the others open."""
        outcomes = await asyncio.gather(
            *(self.end(SYSTEM, lease_id, ending) for lease_id, ending in endings.items()),
            return_exceptions=True,
        )
        for lease_id, outcome in zip(endings, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                log.error("ssh.end_failed", error=repr(outcome), session_lease_id=lease_id)

    def _keep(self, task: "asyncio.Future[Any]") -> None:
        assert isinstance(task, asyncio.Task)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) and not isinstance(error, Problem):
            log.error("ssh.task_failed", error=repr(error))


def _to_dial(r: Reader, lease: Lease, connection: Connection, keypair: Keypair) -> Way:
    """The connection as it is now, with its jump hosts and every pin. Raises HopUntested, and Conflict when the lease
    has ended: then nobody logs in any more."""
    if not sql.get(r, lease.account_id, lease.id).is_open:
        raise rules.closed_meanwhile()
    now = connection_sql.get(r, connection.account_id, connection.id, deleted=True)
    return way_to(r, now, keypair, pinned_key(now))


def _ids(lease: Lease) -> dict[str, str]:
    return {
        "session_lease_id": lease.id,
        "account_id": lease.account_id,
        "connection_id": lease.connection_id,
    }
