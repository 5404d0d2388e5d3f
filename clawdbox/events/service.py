"""Writing events and audit rows, always within the transaction of the facts they tell of."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec

from clawdbox import logs
from clawdbox.clock import parse
from clawdbox.events import rules, sql
from clawdbox.events.audit_keys import KeyId, OneKey
from clawdbox.events.model import INCIDENTS, SYSTEM, Actor, AuditArchive, AuditEntry, Incident, IncidentKind
from clawdbox.ids import new_id
from clawdbox.store import Reader, Tx
from clawdbox.store.rows import to_struct

log = logs.get("events")
_PAGE = 1000
_BEFORE_ALL = -(1 << 63)
_TICK = timedelta(microseconds=1)
_SAME = timedelta(milliseconds=1)


class Keys(Protocol):
    """What signs a row now, and what verifies those there are."""

    def active(self) -> tuple[KeyId, bytes]: ...

    def known(self, r: Reader) -> Mapping[KeyId, bytes]: ...


class Ledger:
    """The pen of a box: it holds the keys of the audit chain (vault label `audit`). Bare bytes are one key for good."""

    def __init__(self, keys: Keys | bytes) -> None:
        self._keys: Keys = OneKey(keys) if isinstance(keys, bytes) else keys

    def event(
        self,
        tx: Tx,
        account_id: str | None,
        kind: str,
        subject_type: str,
        subject_id: str | None,
        payload: dict[str, Any] | None = None,
    ) -> None:
        """Append an event; the account's live listeners are woken after the commit. Never put a secret in it."""
        tx.insert(
            "events",
            {
                "id": new_id(tx.now),
                "account_id": account_id,
                "type": kind,
                "subject_type": subject_type,
                "subject_id": subject_id,
                "payload": payload or {},
                "created_at": tx.now,
            },
        )
        tx.wake("events")
        if account_id:
            tx.wake(f"account:{account_id}")

    def audit(
        self,
        tx: Tx,
        actor: Actor,
        action: str,
        target_type: str | None = None,
        target_id: str | None = None,
        *,
        result: str = "ok",
        detail: dict[str, Any] | None = None,
        account_id: str | None = None,
    ) -> None:
        """Append a chained row. `account_id` says in whose trail it stands when the box itself acts."""
        last = sql.last_audit(tx)
        key_id, key = self._keys.active()
        entry = AuditEntry(
            id=sql.last_issued_audit_id(tx) + 1,
            account_id=account_id or actor.account_id,
            actor=actor.name,
            action=action,
            target_type=target_type,
            target_id=target_id,
            ip_address=actor.ip_address,
            result=result,
            detail=detail or {},
            created_at=_after(tx.now, parse(last["created_at"]) if last else None),
            mac="",
            key_id=key_id,
        )
        mac = rules.audit_mac(key, last["mac"] if last else rules.GENESIS, entry)
        tx.insert("audit_log", msgspec.structs.asdict(msgspec.structs.replace(entry, mac=mac)))
        tx.wake("audit")

    def incident(
        self, tx: Tx, actor: Actor, account_id: str, kind: IncidentKind, subject: str, detail: dict[str, Any]
    ) -> None:
        """What the account should look at. While nobody has, the same thing again is counted, not told again."""
        known = sql.open_incident(tx, account_id, kind, subject)
        if known:
            sql.count_incident(tx, known.id, detail)
            return
        incident_id = new_id(tx.now)
        row = {
            "id": incident_id,
            "account_id": account_id,
            "kind": kind,
            "subject": subject,
            "detail": detail,
        }
        tx.insert("incidents", {**row, "first_at": tx.now, "last_at": tx.now})
        told, name = {"subject": subject, **detail}, INCIDENTS[kind]
        self.event(tx, account_id, name, "incident", incident_id, told)
        self.audit(tx, actor, name, "incident", incident_id, detail=told, account_id=account_id)
        log.warning(name, account_id=account_id, incident_id=incident_id)

    def settle_incident(self, tx: Tx, account_id: str, kind: IncidentKind, subject: str) -> None:
        """Somebody has decided about what it was about."""
        known = sql.open_incident(tx, account_id, kind, subject)
        if known:
            self._seen(tx, known)

    def see_incident(self, tx: Tx, actor: Actor, account_id: str, incident_id: str) -> Incident:
        """Repeatable. Raises NotFound."""
        known = sql.incident(tx, account_id, incident_id)
        if known.seen_at is None:
            self._seen(tx, known)
            self.audit(
                tx, actor, "incident.seen", "incident", incident_id, detail={"kind": known.kind},
                account_id=account_id,
            )  # fmt: skip
        return sql.incident(tx, account_id, incident_id)

    def _seen(self, tx: Tx, known: Incident) -> None:
        sql.see_incident(tx, known.id)
        self.event(tx, known.account_id, "incident.seen", "incident", known.id)

    def verify(self, r: Reader, anchor: tuple[int, str] | None) -> rules.ChainCheck:
        """Check the whole chain, a page of rows in memory at a time."""
        keys, archives = self._keys.known(r), sql.archives(r)
        flaw = rules.check_archives(keys, archives)
        if flaw:
            return rules.ChainCheck(flaw[0] - 1, *flaw)
        last = archives[-1] if archives else None
        return rules.check_chain(keys, _all_audit(r), sql.last_issued_audit_id(r), anchor, last)

    # archives (`archive.py`)

    def follows(self, r: Reader, last: AuditArchive | None, rows: list[AuditEntry]) -> bool:
        """Whether these rows, the next ones, are whole: what was changed is not signed anew."""
        keys = self._keys.known(r)
        return rules.check_chain(keys, rows, rows[-1].id, None, last).first_bad is None

    def sign_archive(self, archive: AuditArchive) -> AuditArchive:
        key_id, key = self._keys.active()
        named = msgspec.structs.replace(archive, key_id=key_id)
        return msgspec.structs.replace(named, mac=rules.archive_mac(key, named))


def _after(now: datetime, last: datetime | None) -> datetime:
    """Rows of one transaction get times a microsecond apart, so that pages by time neither repeat nor skip one."""
    if last is not None and now <= last < now + _SAME:
        return last + _TICK
    return now


def _all_audit(r: Reader) -> Iterator[AuditEntry | int]:
    """Rows in order, and the bare id of one that can no longer be read."""
    after = _BEFORE_ALL
    while page := sql.audit_rows_after(r, after, _PAGE):
        for row in page:
            after = row["id"]
            try:
                yield to_struct(AuditEntry, row)
            except (msgspec.MsgspecError, OverflowError):
                yield after


__all__ = ["SYSTEM", "Ledger"]
