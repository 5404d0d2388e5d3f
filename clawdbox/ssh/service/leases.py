"""The verbs of leases. Facts and their events are committed first; the wire is touched only afterwards."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from time import perf_counter
from typing import Any, Protocol

import structlog

from clawdbox.accounts import Accounts
from clawdbox.errors import Conflict, Problem, Unavailable, Upstream
from clawdbox.events import Actor, Ledger
from clawdbox.events.model import SYSTEM
from clawdbox.ids import new_id
from clawdbox.keys import sql as key_sql
from clawdbox.keys.model import Keypair
from clawdbox.settings import Settings
from clawdbox.ssh.model import CloseReason, Connection, HostKey, Lease, LeaseStatus, MasterView
from clawdbox.ssh.rules import connections as connection_rules
from clawdbox.ssh.rules import leases as rules
from clawdbox.ssh.service.dialling import Dialler, offered_key
from clawdbox.ssh.service.masters import Master
from clawdbox.ssh.service.trail import Trail
from clawdbox.ssh.sql import connections as connection_sql
from clawdbox.ssh.sql import leases as sql
from clawdbox.ssh.wire.dial import DialFailure
from clawdbox.ssh.wire.link import Link
from clawdbox.store import Reader, Store, Tx

log = structlog.get_logger("clawdbox.ssh")
OnStarted = Callable[[Tx, Lease], str]
OnEnded = Callable[[Tx, Lease], None]
Closing = Callable[[str], Awaitable[None]]


class Meter(Protocol):
    """What the leases count (document 05, section 5.5)."""

    def session_started(self) -> None: ...
    def session_failed(self) -> None: ...
    def ssh_connected(self, latency_ms: float) -> None: ...


class Leases:
    """Holds the masters of all open leases of this process.

    The app hands in what lives above or beside: `on_started` makes or finds the conversation and returns its
    `agent_session_id`, `on_ended` closes it for this lease (both within the lease's own transaction); each
    `on_closing` is awaited before the link goes, so that terminals end with a reason.
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
        self._ledger = ledger
        self._settings = settings
        self._accounts = accounts
        self._trail = trail
        self._dialler = dialler
        self._meter = meter
        self._masters: dict[str, Master] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stopping = False
        self.on_started: OnStarted = lambda _tx, lease: lease.id
        self.on_ended: OnEnded = lambda _tx, _lease: None
        self.on_closing: list[Closing] = []

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
            lambda tx: self._intend(tx, account_id, connection_id, limit)
        )
        task = asyncio.ensure_future(self._bring_up(actor, lease, connection, keypair))
        self._keep(task)
        return await asyncio.shield(task)

    def _intend(
        self, tx: Tx, account_id: str, connection_id: str, limit: int
    ) -> tuple[Lease, Connection, Keypair]:
        connection = connection_sql.get(tx, account_id, connection_id)
        rules.check_start(connection, sql.count_open(tx, account_id), limit)
        keypair = key_sql.get(tx, account_id, connection.keypair_id)
        if not keypair.is_active:
            raise Conflict(
                "keypair_revoked", "The key of this connection is revoked. Choose another one for it first."
            )
        never = dict.fromkeys(Lease.__struct_fields__)
        known = {"id": new_id(tx.now), "account_id": account_id, "connection_id": connection_id}
        more = {"keypair_id": keypair.id, "status": LeaseStatus.PENDING, "created_at": tx.now}
        lease = Lease(**{**never, **known, **more})  # type: ignore[arg-type]
        sql.insert(tx, lease)
        self._event(tx, lease)
        return lease, connection, keypair

    async def _bring_up(self, actor: Actor, lease: Lease, connection: Connection, keypair: Keypair) -> Lease:
        self._meter.session_started()
        master = self._make_master(lease, connection, keypair)
        self._masters[lease.id] = master
        begun = perf_counter()
        try:
            await master.connect()
            self._meter.ssh_connected((perf_counter() - begun) * 1000)
            active = await self._store.write(lambda tx: self._activate(tx, actor, lease))
        except DialFailure as failure:
            self._masters.pop(lease.id, None)
            raise await self._failed(actor, lease, connection, failure) from None
        except BaseException:
            try:
                await self.end(actor, lease.id, rules.Ending(CloseReason.ERROR, rules.NEVER_UP))
            finally:
                await self._release(lease.id)  # even when a full disk keeps the end from being written
            raise
        log.info("ssh.connect", **_ids(lease))
        return active

    def _activate(self, tx: Tx, actor: Actor, lease: Lease) -> Lease:
        now = sql.get(tx, lease.account_id, lease.id)
        agent_session_id = self.on_started(tx, now)
        active = rules.activated(now, agent_session_id, tx.now)
        sql.save(tx, active)
        self._event(tx, active)
        self._audit(tx, actor, active, "session.start")
        return active

    async def _failed(
        self, actor: Actor, lease: Lease, connection: Connection, failure: DialFailure
    ) -> Problem:
        """Write the failed start down and return the error to raise."""
        self._meter.session_failed()
        log.warning("ssh.connect_failed", cause=failure.cause, **_ids(lease))
        offered = offered_key(failure)
        problem: Problem = Upstream(
            "ssh_timeout" if failure.cause in connection_rules.TIMEOUT_CAUSES else "ssh_failed",
            failure.message,
            timed_out=failure.cause in connection_rules.TIMEOUT_CAUSES,
            cause=failure.cause,
            next_step=failure.next_step,
            session_id=lease.id,
        )

        def change(tx: Tx) -> Problem:
            now = sql.get(tx, lease.account_id, lease.id)
            if now.status is LeaseStatus.PENDING:
                self._end(
                    tx, actor, now, rules.Ending(CloseReason.ERROR, failure.message), action="session.start"
                )
            if offered and failure.cause in connection_rules.HOST_KEY_CAUSES:
                return self._trail.note_key(tx, actor, connection, offered, "session.start")
            return problem

        return await self._store.write(change)

    def _make_master(self, lease: Lease, connection: Connection, keypair: Keypair) -> Master:
        async def dial() -> Link:
            now = await self._store.read(lambda r: _to_dial(r, lease, connection))
            pin = (
                HostKey(now.host_key_fingerprint, now.host_key_type or "")
                if now.host_key_fingerprint
                else None
            )
            return await self._dialler.dial(now, keypair, pin)

        grace = timedelta(seconds=self._settings.grace_s)
        return Master(lease.id, self._store.clock, grace, dial, self._master_changed, self._redial_refused)

    def _master_changed(self, master: Master) -> None:
        view = master.view
        log.info("ssh.master", state=str(view.state), redials=view.redials, session_lease_id=master.lease_id)
        self._keep(asyncio.ensure_future(self._tell_master(master.lease_id, view)))

    async def _tell_master(self, lease_id: str, view: MasterView) -> None:
        def change(tx: Tx) -> None:
            row = tx.one("SELECT account_id, status FROM session_leases WHERE id = ?", (lease_id,))
            if row and row["status"] in ("pending", "active"):
                payload = {"state": view.state, "redials": view.redials}
                self._ledger.event(tx, row["account_id"], "session.master", "session", lease_id, payload)

        await self._store.write(change)

    async def _redial_refused(self, master: Master, failure: DialFailure) -> None:
        """A redial met something that waiting does not mend, such as another host key: the lease ends at once."""
        self._keep(asyncio.ensure_future(self._end_refused(master, failure)))

    async def _end_refused(self, master: Master, failure: DialFailure) -> None:
        offered = offered_key(failure)

        def note(tx: Tx) -> None:
            row = tx.one(
                "SELECT account_id, connection_id FROM session_leases WHERE id = ?", (master.lease_id,)
            )
            if row and offered and failure.cause in connection_rules.HOST_KEY_CAUSES:
                connection = connection_sql.get(tx, row["account_id"], row["connection_id"], deleted=True)
                with suppress(Conflict):  # somebody accepted that key in this very moment: nothing to show
                    self._trail.note_key(tx, SYSTEM, connection, offered, "session.redial")

        await self._store.write(note)
        await self.end(SYSTEM, master.lease_id, rules.Ending(CloseReason.ERROR, failure.message))

    # ending

    async def close(self, actor: Actor, account_id: str, lease_id: str) -> Lease:
        """Close a session on request; one that has ended stays as it is."""
        lease = await self.get(account_id, lease_id)
        if lease.status in (LeaseStatus.CLOSED, LeaseStatus.ERROR):
            return lease
        await self.end(actor, lease_id, rules.Ending(CloseReason.USER))
        return await self.get(account_id, lease_id)

    async def end(self, actor: Actor, lease_id: str, ending: rules.Ending) -> None:
        """End a lease if it is still open: first in the store, then its processes and its link."""

        def change(tx: Tx) -> Lease | None:
            row = tx.one("SELECT account_id FROM session_leases WHERE id = ?", (lease_id,))
            lease = sql.get(tx, row["account_id"], lease_id) if row else None
            if lease is None or lease.status in (LeaseStatus.CLOSED, LeaseStatus.ERROR):
                return None
            return self._end(tx, actor, lease, ending)

        lease = await self._store.write(change)
        if lease and lease.status is LeaseStatus.ERROR:
            self._meter.session_failed()
        if lease:
            log.info("ssh.disconnect", reason=str(ending.reason), **_ids(lease))
        await self._release(lease_id)

    def _end(
        self, tx: Tx, actor: Actor, lease: Lease, ending: rules.Ending, *, action: str = "session.close"
    ) -> Lease:
        after = rules.ended(lease, ending, tx.now)
        sql.save(tx, after)
        if lease.status is LeaseStatus.ACTIVE:
            self.on_ended(tx, after)
        self._event(tx, after)
        self._audit(tx, actor, after, action)
        return after

    async def _release(self, lease_id: str) -> None:
        master = self._masters.pop(lease_id, None)
        if master is None:
            return
        for hook in self.on_closing:
            await hook(lease_id)
        await master.close()

    # the box's own start and stop

    async def recover(self) -> int:
        """After a crash: whatever was open has ended, and says so. Returns how many leases that were."""

        def change(tx: Tx) -> int:
            leases = sql.open_leases(tx)
            for lease in leases:
                self._end(tx, SYSTEM, lease, rules.Ending(CloseReason.ERROR, rules.BOX_CRASHED))
            sql.lose_executions(tx)
            sql.lose_terminals(tx, "box_crashed")
            return len(leases)

        return await self._store.write(change)

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

    def _event(self, tx: Tx, lease: Lease) -> None:
        payload = {
            "status": lease.status,
            "connection_id": lease.connection_id,
            "close_reason": lease.close_reason,
        }
        self._ledger.event(tx, lease.account_id, f"session.{lease.status}", "session", lease.id, payload)

    def _audit(self, tx: Tx, actor: Actor, lease: Lease, action: str) -> None:
        detail = {
            "connection_id": lease.connection_id,
            "keypair_id": lease.keypair_id,
            "close_reason": lease.close_reason,
            "error_detail": lease.error_detail,
        }
        result = "failed" if lease.status is LeaseStatus.ERROR else "ok"
        self._ledger.audit(
            tx,
            actor,
            action,
            "session_lease",
            lease.id,
            result=result,
            detail=detail,
            account_id=lease.account_id,
        )


def _to_dial(r: Reader, lease: Lease, connection: Connection) -> Connection:
    """The connection as it is now. Raises Conflict when the lease has ended: then nobody logs in any more."""
    if sql.get(r, lease.account_id, lease.id).status not in (LeaseStatus.PENDING, LeaseStatus.ACTIVE):
        raise rules.closed_meanwhile()
    return connection_sql.get(r, connection.account_id, connection.id, deleted=True)


def _ids(lease: Lease) -> dict[str, str]:
    return {
        "session_lease_id": lease.id,
        "account_id": lease.account_id,
        "connection_id": lease.connection_id,
    }


__all__ = ["Leases", "Meter"]
