"""What was done with files, in the audit trail: a row before, one after. Paths are told, contents never."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from clawdbox import logs
from clawdbox.errors import Problem
from clawdbox.events import Actor, Ledger
from clawdbox.ssh.model import Lease
from clawdbox.ssh.rules import files as rules
from clawdbox.ssh.rules import leases as lease_rules
from clawdbox.ssh.rules.file_names import encode_path
from clawdbox.ssh.sql import leases as sql
from clawdbox.ssh.wire.sftp import SftpFailure
from clawdbox.store import Store, Tx

log = logs.get("ssh")


class FileTrail:
    def __init__(self, store: Store, ledger: Ledger) -> None:
        self._store = store
        self._ledger = ledger

    @asynccontextmanager
    async def told(
        self, actor: Actor, lease: Lease, action: str, path: bytes, **detail: Any
    ) -> AsyncIterator[dict[str, Any]]:
        """Write the intent, let the work be done, write how it ended. What the work puts into the dict is told, too.

        Raises Conflict `session_not_active` when the lease has ended meanwhile: then nothing is done.
        """
        about = {"path": encode_path(path), **detail}
        await self._store.write(lambda tx: self._intend(tx, actor, lease, action, about))
        outcome: dict[str, Any] = {}
        result, code = "failed", "interrupted"
        try:
            yield outcome
            result, code = "ok", ""
        except Problem as problem:
            code = problem.code
            raise
        except SftpFailure as failure:  # which becomes a Problem further out
            code = rules.problem_of(failure.reason).code
            raise
        finally:
            more = {**about, **outcome, "phase": "outcome", **({"code": code} if code else {})}
            await self._write(actor, lease, action, result, more)

    async def note(self, actor: Actor, lease: Lease, action: str, path: bytes, **detail: Any) -> None:
        """One row for what has been done already, and revealed something."""
        await self._write(actor, lease, action, "ok", {"path": encode_path(path), **detail})

    def _intend(self, tx: Tx, actor: Actor, lease: Lease, action: str, about: dict[str, Any]) -> None:
        lease_rules.check_still_active(sql.get(tx, lease.account_id, lease.id))
        self._audit(tx, actor, lease, action, "ok", {**about, "phase": "intent"})

    async def _write(
        self, actor: Actor, lease: Lease, action: str, result: str, detail: dict[str, Any]
    ) -> None:
        await self._store.write(lambda tx: self._audit(tx, actor, lease, action, result, detail))
        log.info(action, result=result, code=detail.get("code"), session_lease_id=lease.id)

    def _audit(
        self, tx: Tx, actor: Actor, lease: Lease, action: str, result: str, detail: dict[str, Any]
    ) -> None:
        self._ledger.audit(
            tx, actor, action, "session_lease", lease.id,
            result=result, detail=detail, account_id=lease.account_id,
        )  # fmt: skip
