"""Looking at conversations and turns."""

from collections.abc import AsyncGenerator
from datetime import datetime

import msgspec

from clawdbox.agents import sql
from clawdbox.agents.model import Conversation, ConversationEvent, ConversationFacts, Turn
from clawdbox.agents.rules import export
from clawdbox.agents.rules import search as search_rules
from clawdbox.clock import parse
from clawdbox.errors import NotFound
from clawdbox.ssh.sql import connections as connection_sql
from clawdbox.ssh.sql import leases as lease_sql
from clawdbox.store import Reader, Store

_PAGE = 1_000


class Hit(msgspec.Struct, frozen=True):
    """One place where the words of a search stand."""

    conversation_id: str
    connection_id: str
    title: str | None
    seq: int
    type: str
    excerpt: str
    created_at: datetime


class ConversationReads:
    """Every verb takes the account whose conversations it may see; another account's are NotFound."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def of_connection(self, account_id: str, connection_id: str) -> Conversation:
        """The one used last. Raises NotFound until the connection's first session has started."""
        found = await self._store.read(lambda r: sql.of_connection(r, account_id, connection_id))
        if found is None:
            raise NotFound
        return found

    async def all_of_connection(
        self, account_id: str, connection_id: str
    ) -> list[tuple[Conversation, ConversationFacts]]:
        """The one used last first."""

        def look(r: Reader) -> list[tuple[Conversation, ConversationFacts]]:
            connection_sql.get(r, account_id, connection_id)
            found = sql.all_of_connection(r, account_id, connection_id)
            return [(conversation, _facts(r, conversation)) for conversation in found]

        return await self._store.read(look)

    async def get(self, account_id: str, conversation_id: str) -> Conversation:
        return await self._store.read(lambda r: sql.conversation(r, account_id, conversation_id))

    async def runtime_names(self, account_id: str, conversation_ids: set[str]) -> dict[str, str]:
        """conversation id → what thinks in it."""
        return await self._store.read(lambda r: sql.runtimes_of(r, account_id, sorted(conversation_ids)))

    async def search(self, account_id: str, query: str, limit: int) -> list[Hit]:
        """The newest first, over all conversations of the account, put away ones too. Raises Invalid."""
        wanted = search_rules.check_query(query)
        rows = await self._store.read(
            lambda r: sql.found(r, account_id, search_rules.pattern(wanted), search_rules.FIELDS, limit)
        )
        return [
            Hit(
                row["conversation_id"],
                row["connection_id"],
                row["title"],
                row["seq"],
                row["type"],
                search_rules.excerpt(row["type"], msgspec.json.decode(row["payload"]), wanted),
                parse(row["created_at"]),
            )
            for row in rows
        ]

    async def document(
        self, account_id: str, conversation_id: str, form: type[export.Form]
    ) -> AsyncGenerator[str]:
        """The conversation in that form, a page of its log in memory at a time. Raises NotFound before anything else."""

        def look(r: Reader) -> export.Form:
            conversation = sql.conversation(r, account_id, conversation_id)
            connection = connection_sql.get(r, account_id, conversation.connection_id, deleted=True)
            return form(connection.label, conversation)

        return self._pieces(conversation_id, await self._store.read(look))

    async def _pieces(self, conversation_id: str, form: export.Form) -> AsyncGenerator[str]:
        yield form.head()
        after = 0
        while page := await self._store.read(
            lambda r, after=after: sql.events_after(r, conversation_id, after, _PAGE)  # type: ignore[misc]
        ):
            yield "".join(map(form.add, page))
            after = page[-1].seq
        yield form.end()

    async def facts(self, conversation: Conversation) -> ConversationFacts:
        return await self._store.read(lambda r: _facts(r, conversation))

    async def events(
        self, account_id: str, conversation_id: str, after: int, limit: int
    ) -> list[ConversationEvent]:
        """Oldest first. New ones are announced under the hub's key `conversation:<id>`."""

        def look(r: Reader) -> list[ConversationEvent]:
            sql.conversation(r, account_id, conversation_id)
            return sql.events_after(r, conversation_id, after, limit)

        return await self._store.read(look)

    async def turn(self, account_id: str, conversation_id: str, turn_id: str) -> Turn:
        def look(r: Reader) -> Turn:
            sql.conversation(r, account_id, conversation_id)
            return sql.turn(r, conversation_id, turn_id)

        return await self._store.read(look)


def _facts(r: Reader, conversation: Conversation) -> ConversationFacts:
    lease = lease_sql.present(r, conversation.account_id, conversation.connection_id)
    running = sql.running(r, conversation.id)
    return ConversationFacts(
        session_id=lease.id if lease else None,
        last_seq=sql.last_seq(r, conversation.id),
        running_turn_id=running.id if running else None,
        waits_for=running.waits_for if running else None,
        usage=sql.usage(r, conversation.id),
    )
