"""What is written of a lease: its facts with their event and audit entry, each verb within one transaction."""

from collections.abc import Callable
from contextlib import suppress

from clawdbox.errors import Conflict, Problem
from clawdbox.events import Actor, Ledger
from clawdbox.events.model import SYSTEM
from clawdbox.ids import new_id
from clawdbox.keys import sql as key_sql
from clawdbox.keys.model import Keypair
from clawdbox.ssh.model import CloseReason, Connection, Lease, LeaseStatus, MasterView
from clawdbox.ssh.rules import connections as connection_rules
from clawdbox.ssh.rules import leases as rules
from clawdbox.ssh.service.trail import Trail
from clawdbox.ssh.service.ways import HopUntested, offered_key, pinned_key, way_to
from clawdbox.ssh.sql import connections as connection_sql
from clawdbox.ssh.sql import forwards as forward_sql
from clawdbox.ssh.sql import leases as sql
from clawdbox.ssh.wire.dial import DialFailure
from clawdbox.store import Tx

OnStarted = Callable[[Tx, Lease], str]
OnEnded = Callable[[Tx, Lease], None]


class LeaseWrites:
    """The app hands in what lives above: `on_started` makes or finds the conversation and returns its
    `agent_session_id`, `on_ended` closes it for this lease, both within the lease's own transaction."""

    def __init__(self, ledger: Ledger, trail: Trail) -> None:
        self._ledger = ledger
        self._trail = trail
        self.on_started: OnStarted = lambda _tx, lease: lease.id
        self.on_ended: OnEnded = lambda _tx, _lease: None

    def intend(
        self, tx: Tx, account_id: str, connection_id: str, limit: int
    ) -> tuple[Lease, Connection, Keypair]:
        connection = connection_sql.get(tx, account_id, connection_id)
        rules.check_start(connection, sql.count_open(tx, account_id), limit)
        keypair = key_sql.get(tx, account_id, connection.keypair_id)
        if not keypair.is_active:
            raise Conflict(
                "keypair_revoked", "The key of this connection is revoked. Choose another one for it first."
            )
        try:
            way_to(tx, connection, keypair, pinned_key(connection))
        except HopUntested as hop:
            raise hop.as_conflict() from None
        never = dict.fromkeys(Lease.__struct_fields__)
        known = {"id": new_id(tx.now), "account_id": account_id, "connection_id": connection_id}
        more = {"keypair_id": keypair.id, "status": LeaseStatus.PENDING, "created_at": tx.now}
        lease = Lease(**{**never, **known, **more})  # type: ignore[arg-type]
        sql.insert(tx, lease)
        self._event(tx, lease)
        return lease, connection, keypair

    def activate(self, tx: Tx, actor: Actor, lease: Lease) -> Lease:
        now = sql.get(tx, lease.account_id, lease.id)
        agent_session_id = self.on_started(tx, now)
        active = rules.activated(now, agent_session_id, tx.now)
        sql.save(tx, active)
        self._event(tx, active)
        self._audit(tx, actor, active, "session.start")
        return active

    def fail(
        self, tx: Tx, actor: Actor, lease: Lease, connection: Connection, failure: DialFailure
    ) -> Problem | None:
        """End a lease whose dial failed; the host key's problem, if it was that."""
        now = sql.get(tx, lease.account_id, lease.id)
        if now.status is LeaseStatus.PENDING:
            ending = rules.Ending(CloseReason.ERROR, failure.message)
            self._end(tx, actor, now, ending, "session.start")
        try:
            return self._note_key(tx, actor, connection, failure, "session.start")
        except Conflict as accepted_meanwhile:  # raised, it would undo the end of the lease
            return accepted_meanwhile

    def end(self, tx: Tx, actor: Actor, lease_id: str, ending: rules.Ending) -> Lease | None:
        """The lease as it ended now; None when it had ended before, or never was."""
        lease = sql.find(tx, lease_id)
        if lease is None or not lease.is_open:
            return None
        return self._end(tx, actor, lease, ending, "session.close")

    def end_what_a_crash_left(self, tx: Tx) -> int:
        """Leases, commands, terminals and forwards. Returns how many leases that were."""
        leases = sql.open_leases(tx)
        for lease in leases:
            ending = rules.Ending(CloseReason.ERROR, rules.BOX_CRASHED)
            self._end(tx, SYSTEM, lease, ending, "session.close")
        sql.lose_executions(tx)
        sql.lose_terminals(tx, "box_crashed")
        forward_sql.lose_all(tx, "box_crashed")
        return len(leases)

    def tell_master(self, tx: Tx, lease_id: str, view: MasterView) -> None:
        lease = sql.find(tx, lease_id)
        if lease and lease.is_open:
            payload = {"state": view.state, "redials": view.redials}
            self._ledger.event(tx, lease.account_id, "session.master", "session", lease_id, payload)

    def note_refused_redial(self, tx: Tx, lease_id: str, failure: DialFailure) -> None:
        lease = sql.find(tx, lease_id)
        if lease:
            connection = connection_sql.get(tx, lease.account_id, lease.connection_id, deleted=True)
            with suppress(Conflict):  # somebody accepted that key in this very moment: nothing to show
                self._note_key(tx, SYSTEM, connection, failure, "session.redial")

    def _note_key(
        self, tx: Tx, actor: Actor, connection: Connection, failure: DialFailure, action: str
    ) -> Problem | None:
        self._trail.note_hop(tx, actor, failure, action)
        offered = offered_key(failure)
        if offered and failure.cause in connection_rules.HOST_KEY_CAUSES:
            return self._trail.note_key(tx, actor, connection, offered, action)
        return None

    def _end(self, tx: Tx, actor: Actor, lease: Lease, ending: rules.Ending, action: str) -> Lease:
        after = rules.ended(lease, ending, tx.now)
        sql.save(tx, after)
        if lease.status is LeaseStatus.ACTIVE:
            self.on_ended(tx, after)
        self._event(tx, after)
        self._audit(tx, actor, after, action)
        return after

    def _event(self, tx: Tx, lease: Lease) -> None:
        payload = {
            "status": lease.status,
            "connection_id": lease.connection_id,
            "close_reason": lease.close_reason,
            "started_at": lease.started_at,
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
