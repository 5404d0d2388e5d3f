"""Making, changing and putting away conversations: what is chosen for them, not what is said in them."""

from collections.abc import Callable
from typing import Any

import msgspec

from clawdbox.agents import sql
from clawdbox.agents.model import Conversation
from clawdbox.agents.reads import ConversationReads
from clawdbox.agents.rules import conversations as conversation_rules
from clawdbox.agents.rules import turns as rules
from clawdbox.agents.runtimes.port import Offer, Runtime
from clawdbox.errors import Conflict
from clawdbox.events import Actor, Ledger
from clawdbox.ids import new_id
from clawdbox.ssh.sql import connections as connection_sql
from clawdbox.store import Store, Tx


class Catalogue(ConversationReads):
    """`runtimes` are what may think in them, by name. `on_left` hears of one that is put away, or thinks otherwise now."""

    def __init__(self, store: Store, ledger: Ledger, runtimes: dict[str, Runtime]) -> None:
        super().__init__(store)
        self._ledger = ledger
        self.runtimes = runtimes
        self.on_left: list[Callable[[Conversation], None]] = []

    async def offers(self, account_id: str, connection_id: str) -> dict[str, Offer]:
        """runtime → what it offers on that connection."""
        await self._store.read(lambda r: connection_sql.get(r, account_id, connection_id))
        return {
            name: await runtime.offer(account_id, connection_id) for name, runtime in self.runtimes.items()
        }

    async def open(
        self,
        actor: Actor,
        account_id: str,
        connection_id: str,
        runtime: str,
        options: dict[str, Any],
        title: str | None,
    ) -> Conversation:
        """A new one beside those that there are. Raises Invalid, Conflict `runtime_unavailable`."""
        self._named(runtime)
        conversation_rules.check_title(title)
        conversation_rules.check_options(options)

        def change(tx: Tx) -> Conversation:
            connection_sql.get(tx, account_id, connection_id)
            made = conversation_rules.made(
                new_id(tx.now), account_id, connection_id, runtime, options, title, tx.now
            )
            sql.insert_conversation(tx, made)
            self._changed(tx, actor, made, "conversation.made", "conversation.create")
            return made

        return await self._store.write(change)

    async def change(
        self, actor: Actor, account_id: str, conversation_id: str, given: dict[str, Any]
    ) -> Conversation:
        """`given` may have title, runtime, runtime_options. Raises Invalid, Conflict `turn_running`."""
        conversation_rules.check_title(given.get("title"))
        if "runtime" in given:
            self._named(given["runtime"])
        conversation_rules.check_options(given.get("runtime_options") or {})

        left: list[Conversation] = []

        def change(tx: Tx) -> Conversation:
            before = sql.conversation(tx, account_id, conversation_id)
            after = msgspec.structs.replace(before, **given)
            if (after.runtime, after.runtime_options) != (before.runtime, before.runtime_options):
                rules.check_idle(sql.running_turn_id(tx, conversation_id))
                if after.runtime != before.runtime:
                    left[:] = [before]
                    sql.forget_state(tx, conversation_id)
                    after = msgspec.structs.replace(
                        after, agent_session_id=f"{after.runtime}:{conversation_id}"
                    )
            sql.save_conversation(tx, after)
            self._changed(tx, actor, after, "conversation.changed", "conversation.update")
            return after

        changed = await self._store.write(change)
        self._leave(left)
        return changed

    async def archive(self, actor: Actor, account_id: str, conversation_id: str) -> Conversation:
        """It is listed no more; what was said stays. Repeatable. Raises Conflict `turn_running`."""

        def change(tx: Tx) -> Conversation:
            before = sql.conversation(tx, account_id, conversation_id)
            rules.check_idle(sql.running_turn_id(tx, conversation_id))
            if before.archived_at is not None:
                return before
            after = msgspec.structs.replace(before, archived_at=tx.now)
            sql.save_conversation(tx, after)
            self._changed(tx, actor, after, "conversation.archived", "conversation.archive")
            return after

        archived = await self._store.write(change)
        self._leave([archived])
        return archived

    def _leave(self, conversations: list[Conversation]) -> None:
        for conversation in conversations:
            for hear in self.on_left:
                hear(conversation)

    def _changed(self, tx: Tx, actor: Actor, conversation: Conversation, event: str, action: str) -> None:
        payload = {"connection_id": conversation.connection_id, "runtime": conversation.runtime}
        self._ledger.event(tx, conversation.account_id, event, "conversation", conversation.id, payload)
        self._ledger.audit(
            tx, actor, action, "conversation", conversation.id, detail=payload, account_id=conversation.account_id
        )  # fmt: skip

    def _named(self, name: str) -> Runtime:
        runtime = self.runtimes.get(name)
        if runtime is None:
            raise Conflict(
                "runtime_unavailable",
                f"This box has no runtime called {name}. It offers: {', '.join(self.runtimes)}.",
            )
        return runtime
