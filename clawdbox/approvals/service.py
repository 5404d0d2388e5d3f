"""The verbs of approvals: asked in the transaction of the one who waits, answered once, used once."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec

from clawdbox import logs
from clawdbox.approvals import rules, sql
from clawdbox.approvals.model import Approval, Asked, Bound, Grant, State
from clawdbox.errors import Conflict, Problem
from clawdbox.events import Actor, Hub, Ledger
from clawdbox.events.model import SYSTEM
from clawdbox.ids import new_id
from clawdbox.settings import Settings
from clawdbox.store import Reader, Store, Tx

log = logs.get("approvals")
_LOOK_S = 30.0  # the clock of the box may jump, so a deadline is looked at at least this often
SHOWN = {
    "pending": (State.PENDING,),
    "answered": (State.ALLOWED, State.DENIED, State.EXPIRED, State.VOID),
    "all": tuple(State),
}


class Approvals:
    """Every verb takes the account whose approvals it may touch; another account's are NotFound.

    `on_changed` hears of every change of an approval within the transaction that makes it.
    """

    def __init__(self, store: Store, ledger: Ledger, hub: Hub, settings: Settings) -> None:
        self._store = store
        self._ledger = ledger
        self._hub = hub
        self._ttl = timedelta(seconds=settings.approval_ttl_s)
        self._task: asyncio.Task[None] | None = None
        self.on_changed: Callable[[Tx, Approval, str], None] = lambda _tx, _approval, _by: None

    # reading

    async def get(self, account_id: str, approval_id: str) -> Approval:
        return await self._store.read(lambda r: sql.approval(r, account_id, approval_id))

    async def page(self, account_id: str, shown: str, limit: int, offset: int) -> tuple[list[Approval], int]:
        """(approvals, how many wait), newest first. `shown` is pending, answered or all."""
        return await self._store.read(
            lambda r: (sql.page(r, account_id, SHOWN[shown], limit, offset), sql.count_pending(r, account_id))
        )

    async def grants(self, account_id: str) -> list[Grant]:
        return await self._store.read(lambda r: sql.living_grants(r, account_id))

    async def command_of(self, account_id: str, approval_id: str) -> str | None:
        """What would run, for a notification whose account wants to read it there."""
        return (await self.get(account_id, approval_id)).command

    # asking, for the one who waits

    def ask(self, tx: Tx, asked: Asked) -> tuple[Approval, bool]:
        """The approval of that call, and whether it was made now: a call is asked about once.

        One that waits is void when the same call is about something else by now, such as a connection that leads to
        another server.
        """
        known = sql.of_call(tx, asked.turn_id, asked.call_id)
        if known is not None and self._has_changed(known, asked):
            self._void(tx, known, rules.CHANGED)
            return sql.approval(tx, known.account_id, known.id), False
        if known is not None:
            return known, False
        made = rules.made(asked, new_id(tx.now), tx.now, self._ttl)
        sql.insert(tx, made)
        self._tell(tx, made, "approval.requested")
        self._audit(tx, SYSTEM, made, "approval.request", "ok")
        tx.wake("approvals")
        return made, True

    @staticmethod
    def _has_changed(known: Approval, asked: Asked) -> bool:
        return known.state is State.PENDING and known.digest != rules.digest(rules.bound_of(asked))

    async def settled(self, approval: Approval) -> Approval:
        """Wait until it is answered, void or expired."""
        with self._hub.listen(f"approval:{approval.id}") as signal:
            while (now := await self.get(approval.account_id, approval.id)).state is State.PENDING:
                await signal.wait()
                signal.clear()
        return now

    def usable(self, r: Reader, approval: Approval, bound: Bound) -> bool:
        return rules.usable(approval, rules.digest(bound), r.now, self._ttl)

    def use(self, tx: Tx, approval: Approval, bound: Bound) -> None:
        """In the transaction of what it lets happen. Raises Conflict `approval_used_up`."""
        now = sql.approval(tx, approval.account_id, approval.id)
        if not self.usable(tx, now, bound) or not sql.use(tx, approval.id):
            raise Conflict(
                "approval_used_up", "This approval was used, or does not fit what was about to run."
            )

    def granted(self, r: Reader, lease_id: str, bound: Bound) -> Grant | None:
        return sql.living_grant(r, lease_id, rules.digest(bound))

    def use_grant(self, tx: Tx, grant: Grant) -> None:
        """Raises Conflict `approval_used_up` when it was withdrawn meanwhile."""
        if not sql.use_grant(tx, grant.id):
            raise Conflict("approval_used_up", "This was allowed, but no longer is.")

    # answering

    async def answer(
        self,
        actor: Actor,
        account_id: str,
        approval_id: str,
        *,
        allow: bool,
        option_id: str | None = None,
        grant: bool = False,
    ) -> Approval:
        """The first answer wins. Raises Conflict `approval_answered`, `approval_expired`, `approval_void`; Invalid."""

        def change(tx: Tx) -> Approval:
            before = sql.approval(tx, account_id, approval_id)
            rules.check_open(before, tx.now)
            option = rules.choose(before, allow, option_id)
            if grant and allow:
                rules.check_grant(before)
            after = msgspec.structs.replace(
                before,
                state=State.ALLOWED if allow else State.DENIED,
                option_id=option.id if option else None,
                answered_by=actor.login_id,
                answered_at=tx.now,
            )
            self._save(tx, actor, after, "person")
            if grant and allow:
                self._grant(tx, actor, after)
            return after

        return await self._store.write(change)

    def void(self, tx: Tx, account_id: str, turn_ids: list[str] | None, reason: str) -> int:
        """What waits for an answer or for its use is no longer wanted. Returns how many those were."""
        found = sql.open_of(tx, account_id, turn_ids)
        for before in found:
            self._void(tx, before, reason)
        return len(found)

    def void_call(self, tx: Tx, account_id: str, turn_id: str, call_id: str, reason: str) -> None:
        """The same for one question, while nobody has answered it."""
        found = sql.of_call(tx, turn_id, call_id)
        if found is not None and found.account_id == account_id and found.state is State.PENDING:
            self._void(tx, found, reason)

    def _void(self, tx: Tx, before: Approval, reason: str) -> None:
        answered_at = before.answered_at or tx.now
        after = msgspec.structs.replace(before, state=State.VOID, void_reason=reason, answered_at=answered_at)
        self._save(tx, SYSTEM, after, "nobody")

    def move(self, tx: Tx, turn_id: str, lease_id: str) -> None:
        """A turn goes on with another lease: a grant that its question brings ends with that one."""
        sql.move(tx, turn_id, lease_id)

    # grants

    def _grant(self, tx: Tx, actor: Actor, approval: Approval) -> None:
        """Unless there is one, or its session has ended: then a turn waits for the next, and is allowed this once."""
        if sql.living_grant(tx, approval.session_lease_id, approval.digest):
            return
        if not sql.lease_is_open(tx, approval.session_lease_id):
            return
        made = Grant(
            id=new_id(tx.now),
            account_id=approval.account_id,
            connection_id=approval.connection_id,
            session_lease_id=approval.session_lease_id,
            approval_id=approval.id,
            command=approval.command or "",
            klass=approval.klass,
            digest=approval.digest,
            used_count=0,
            created_at=tx.now,
            ended_at=None,
            end_reason=None,
        )
        sql.insert_grant(tx, made)
        self._tell_grant(tx, actor, made, "approval_grant.made", "approval_grant.create")

    async def withdraw(self, actor: Actor, account_id: str, grant_id: str) -> Grant:
        """Repeatable."""

        def change(tx: Tx) -> Grant:
            found = sql.grant(tx, account_id, grant_id)
            if sql.end_grant(tx, grant_id, "withdrawn"):
                self._tell_grant(tx, actor, found, "approval_grant.ended", "approval_grant.withdraw")
            return sql.grant(tx, account_id, grant_id)

        return await self._store.write(change)

    def end_grants(self, tx: Tx, account_id: str, lease_id: str | None, reason: str) -> int:
        """Of a lease, or of the whole account: `reason` is session_ended or agents_stopped."""
        found = sql.living_grants(tx, account_id, lease_id)
        for grant in found:
            sql.end_grant(tx, grant.id, reason)
            self._tell_grant(tx, SYSTEM, grant, "approval_grant.ended", "approval_grant.end")
        return len(found)

    # time

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._follow())

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def expire(self) -> int:
        """No answer in time means no. Returns how many those were."""

        def change(tx: Tx) -> int:
            found = sql.overdue(tx)
            for before in found:
                self._save(
                    tx,
                    SYSTEM,
                    msgspec.structs.replace(before, state=State.EXPIRED, answered_at=tx.now),
                    "nobody",
                )
            return len(found)

        return await self._store.write(change)

    async def _follow(self) -> None:
        with self._hub.listen("approvals") as signal:
            while True:
                signal.clear()
                wait = await self._until_next()
                try:
                    async with asyncio.timeout(wait):
                        await signal.wait()
                except TimeoutError:
                    pass

    async def _until_next(self) -> float:
        """Expire what is due; seconds until the next look."""
        try:
            due = await self._store.read(sql.next_expiry)
            if due is None:
                return _LOOK_S
            left = (due - self._store.clock.now()).total_seconds()
            if left <= 0:
                await self.expire()
                return 0.0
            return min(left, _LOOK_S)
        except (
            Problem
        ) as problem:  # a full disk: the deadline counts all the same, it is only not written yet
            log.warning("approvals.not_written", problem=problem.code)
            return _LOOK_S

    # telling

    def _save(self, tx: Tx, actor: Actor, after: Approval, by: str) -> None:
        assert after.state in rules.TRANSITIONS[sql.approval(tx, after.account_id, after.id).state]
        sql.save_answer(tx, after)
        self._tell(tx, after, "approval.answered")
        self._audit(tx, actor, after, "approval.answer", "ok" if after.state is State.ALLOWED else "failed")
        self.on_changed(tx, after, by)
        tx.wake(f"approval:{after.id}")

    def _tell(self, tx: Tx, approval: Approval, kind: str) -> None:
        payload: dict[str, Any] = {
            "conversation_id": approval.conversation_id,
            "connection_id": approval.connection_id,
            "session_id": approval.session_lease_id,
            "turn_id": approval.turn_id,
            "kind": approval.kind,
            "class": approval.klass,
            "state": approval.state,
            "expires_at": approval.expires_at,
        }
        self._ledger.event(tx, approval.account_id, kind, "approval", approval.id, payload)

    def _audit(self, tx: Tx, actor: Actor, approval: Approval, action: str, result: str) -> None:
        detail = {
            "digest": approval.digest,
            "class": approval.klass,
            "state": approval.state,
            "connection_id": approval.connection_id,
            "turn_id": approval.turn_id,
        }
        self._ledger.audit(
            tx, actor, action, "approval", approval.id,
            result=result, detail=detail, account_id=approval.account_id,
        )  # fmt: skip

    def _tell_grant(self, tx: Tx, actor: Actor, grant: Grant, event: str, action: str) -> None:
        payload = {"connection_id": grant.connection_id, "session_id": grant.session_lease_id}
        self._ledger.event(tx, grant.account_id, event, "approval_grant", grant.id, payload)
        self._ledger.audit(
            tx, actor, action, "approval_grant", grant.id,
            detail={"digest": grant.digest, "session_lease_id": grant.session_lease_id}, account_id=grant.account_id,
        )  # fmt: skip
