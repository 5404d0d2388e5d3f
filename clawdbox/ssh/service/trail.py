"""What happens to a connection, told twice in its transaction: as an event, and in the audit trail."""

from contextlib import suppress
from typing import Any

from clawdbox import logs
from clawdbox.errors import Conflict, Problem
from clawdbox.events import Actor, IncidentKind, Ledger
from clawdbox.ssh.model import Connection, HostKey
from clawdbox.ssh.rules import connections as rules
from clawdbox.ssh.service.ways import HopFailure, hop_of, offered_key
from clawdbox.ssh.sql import connections as sql
from clawdbox.ssh.wire.model import DialFailure
from clawdbox.store import Tx

log = logs.get("ssh")


class Trail:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def tell(
        self,
        tx: Tx,
        actor: Actor,
        connection: Connection,
        event: str,
        action: str,
        detail: dict[str, Any],
        *,
        ok: bool = True,
    ) -> None:
        owner = connection.account_id
        self._ledger.event(tx, owner, event, "connection", connection.id, detail)
        result = "ok" if ok else "failed"
        self._ledger.audit(
            tx, actor, action, "ssh_connection", connection.id, result=result, detail=detail, account_id=owner
        )

    def note_key(
        self, tx: Tx, actor: Actor, connection: Connection, offered: HostKey, action: str
    ) -> Problem:
        """Within a transaction: another key than the pin was seen on this connection, by whatever path."""
        now = sql.get(tx, connection.account_id, connection.id, deleted=True)
        rules.check_same_server(connection, now)
        if now.host_key_fingerprint == offered.fingerprint:
            raise rules.changed_meanwhile()
        sql.save(tx, rules.shown(now, offered, tx.now))
        problem = rules.host_key_problem(now, offered, tx.now)
        kind = problem.code.replace("host_key_", "host_key.")
        detail = {
            "code": problem.code,
            "old_fingerprint": now.host_key_fingerprint,
            "new_fingerprint": offered.fingerprint,
            "new_type": offered.type,
        }
        self._ledger.event(tx, now.account_id, kind, "connection", now.id, detail)
        self._ledger.audit(
            tx,
            actor,
            action,
            "ssh_connection",
            now.id,
            result="failed",
            detail=detail,
            account_id=now.account_id,
        )
        if problem.code == "host_key_changed":
            self._ledger.incident(tx, actor, now.account_id, IncidentKind.HOST_KEY_CHANGED, now.id, detail)
        log.warning(kind, connection_id=now.id, account_id=now.account_id)
        return problem

    def note_hop(self, tx: Tx, actor: Actor, failure: DialFailure, action: str) -> Connection | None:
        """Within a transaction: a dial failed at a jump host, which is returned. Another key than its pin marks it."""
        hop = hop_of(failure)
        if isinstance(failure, HopFailure) and failure.cause == "jump_host_key":
            offered = offered_key(failure.failure)
            with suppress(Conflict):  # edited, or decided about, in this very moment: nothing to show
                if offered:
                    self.note_key(tx, actor, failure.hop, offered, action)
        return hop

    def pin(self, tx: Tx, actor: Actor, connection: Connection, key: HostKey) -> Connection:
        """The connection trusting `key`; another key than before is told."""
        if connection.host_key_fingerprint != key.fingerprint:
            detail = {"old_fingerprint": connection.host_key_fingerprint, "new_fingerprint": key.fingerprint}
            self.tell(tx, actor, connection, "host_key.pinned", "host_key.pin", {**detail, "type": key.type})
            self._ledger.settle_incident(
                tx, connection.account_id, IncidentKind.HOST_KEY_CHANGED, connection.id
            )
        return rules.pinned(connection, key, tx.now)
