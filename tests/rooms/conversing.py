"""A house for conversations: the real store and ledger, a lease as rows, and commands whose course a test writes."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from clawdbox.accounts import Accounts
from clawdbox.agents.model import ConversationEvent, Turn, TurnState
from clawdbox.agents.rules.turns import command_state
from clawdbox.agents.runtimes.port import Runtime
from clawdbox.agents.service import Conversations
from clawdbox.approvals.service import Approvals
from clawdbox.clock import Clock
from clawdbox.errors import Conflict, NotFound
from clawdbox.events import Actor, Hub, Ledger
from clawdbox.ids import new_id
from clawdbox.settings import Settings
from clawdbox.ssh.model import CloseReason, ExecAnswer, Lease, LeaseStatus
from clawdbox.ssh.model.files import Attributes, TextFile
from clawdbox.ssh.sql import leases as lease_sql
from clawdbox.store import Store, Tx
from clawdbox.store.migrate import migrate

OnOutput = Callable[[str, bytes], Awaitable[None]]


class Call(msgspec.Struct):
    """One command as it reached the lease."""

    command: str
    lease_id: str
    turn_id: str | None
    execution_id: str | None
    timeout_s: float
    max_output_bytes: int
    on_output: OnOutput
    cancel: asyncio.Event

    def answer(self, exit_status: int | None = 0, **more: Any) -> ExecAnswer:
        plain = {"stdout": b"", "stderr": b"", "truncated": False, "timed_out": False, "cancelled": False}
        known = {"execution_id": self.execution_id, "exit_status": exit_status, "duration_ms": 1.5}
        return ExecAnswer(**{**plain, **known, **more})


Course = Callable[[Call], Awaitable[ExecAnswer]]


class Commands:
    """Stands for the executions of a lease; `course` says how the next commands go."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.calls: list[Call] = []
        self.touched: list[str] = []
        self.began = asyncio.Event()
        self.course: Course = ends_well

    async def execute(
        self,
        actor: Actor,
        account_id: str,
        lease_id: str,
        command: str,
        *,
        timeout_s: float,
        max_output_bytes: int,
        turn_id: str | None = None,
        execution_id: str | None = None,
        on_output: OnOutput | None = None,
        cancel: asyncio.Event | None = None,
        on_start: Callable[[Tx], None] | None = None,
        on_end: Callable[[str, Any], Callable[[Tx], None]] | None = None,
    ) -> ExecAnswer:
        if on_start:
            await self.store.write(on_start)
        call = Call(
            command, lease_id, turn_id, execution_id, timeout_s, max_output_bytes,
            on_output or _unheard, cancel or asyncio.Event(),
        )  # fmt: skip
        self.calls.append(call)
        self.began.set()
        try:
            answer = await self.course(call)
        except Conflict:  # the server took no channel for it
            if on_end:
                await self.store.write(on_end("cancelled", call.answer(None)))
            raise
        if on_end:
            await self.store.write(on_end(command_state(answer).value, answer))
        return answer

    async def until_up(self, account_id: str, lease_id: str) -> None:
        """Its link never drops."""

    def touch(self, lease_id: str) -> None:
        self.touched.append(lease_id)


async def _unheard(_stream: str, _data: bytes) -> None:
    return


class Files:
    """Stands for the text files of a server."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.links: dict[bytes, bytes] = {}

    async def place(self, account_id: str, lease_id: str, path: bytes) -> bytes:
        return self.links.get(path, path)

    async def read(self, actor: Actor, account_id: str, lease_id: str, path: bytes) -> TextFile:
        path = self.links.get(path, path)
        if path.decode() not in self.texts:
            raise NotFound
        return TextFile(path, self.texts[path.decode()], "v1", Attributes())

    async def save(
        self, actor: Actor, account_id: str, lease_id: str, path: bytes, text: str, version: str,
        *, in_place: bool = False,
    ) -> TextFile:  # fmt: skip
        self.texts[path.decode()] = text
        return TextFile(path, text, "v2", Attributes())


async def ends_well(call: Call) -> ExecAnswer:
    return call.answer(0)


async def until_cancelled(call: Call) -> ExecAnswer:
    await call.cancel.wait()
    return call.answer(None, cancelled=True)


def puts_out(*pieces: tuple[str, bytes], exit_status: int | None = 0, **more: Any) -> Course:
    async def course(call: Call) -> ExecAnswer:
        for stream, data in pieces:
            await call.on_output(stream, data)
        said = {
            name: b"".join(data for stream, data in pieces if stream == name) for name in ("stdout", "stderr")
        }
        return call.answer(exit_status, **said, **more)

    return course


class World:
    """One account with a connection and an active lease on it."""

    def __init__(self, path: Path, runtimes: Iterable[Runtime] = ()) -> None:
        self.clock = Clock()
        migrate(path, self.clock.now())
        self.store = Store.open(path, self.clock)
        self.hub = Hub()
        self.store.on_commit(self.hub.wake)
        self.ledger = Ledger(b"k" * 32)
        self.approvals = Approvals(self.store, self.ledger, self.hub, Settings())
        self.accounts = Accounts(self.store, self.ledger, Settings(), lambda _tx, _actor, _id: None)
        self.commands = Commands(self.store)
        self.files = Files()
        self.runtimes = tuple(runtimes)
        self.conversations = self.another()
        self.account_id = new_id(self.clock.now())
        self.stranger_id = new_id(self.clock.now())
        self.connection_id = new_id(self.clock.now())
        self.keypair_id = new_id(self.clock.now())
        self.actor = Actor(self.account_id, "203.0.113.7")
        self.conversation_id = ""
        self.lease: Lease

    def another(self) -> Conversations:
        """The same room as a process that has just started would have it."""
        return Conversations(
            self.store,
            self.ledger,
            self.hub,
            Settings(),
            self.commands,
            self.files,
            self.approvals,
            self.accounts.settings_in,
            runtimes=self.runtimes,
        )

    async def settle(self) -> None:
        await self.store.write(self._people)
        self.lease = await self.begin_lease()
        found = await self.conversations.of_connection(self.account_id, self.connection_id)
        self.conversation_id = found.id

    def _people(self, tx: Tx) -> None:
        for account_id in (self.account_id, self.stranger_id):
            tx.insert("accounts", {"id": account_id, "display_name": "Somebody"})
        key = {"id": self.keypair_id, "account_id": self.account_id, "public_key": "p", "fingerprint": "f"}
        tx.insert("agent_keypairs", {**key, "private_key_enc": "sealed"})
        place = {"label": "web", "host": "203.0.113.9", "port": 22, "username": "ada"}
        owner = {"account_id": self.account_id, "keypair_id": self.keypair_id}
        tx.insert("ssh_connections", {"id": self.connection_id, **owner, **place})

    async def begin_lease(self) -> Lease:
        def change(tx: Tx) -> Lease:
            never = dict.fromkeys(Lease.__struct_fields__)
            known = {"id": new_id(tx.now), "account_id": self.account_id, "keypair_id": self.keypair_id}
            more = {"connection_id": self.connection_id, "status": LeaseStatus.ACTIVE, "created_at": tx.now}
            lease = Lease(**{**never, **known, **more})  # type: ignore[arg-type]
            lease_sql.insert(tx, lease)
            agent_session_id = self.conversations.lease_started(tx, lease)
            lease = msgspec.structs.replace(lease, agent_session_id=agent_session_id)
            lease_sql.save(tx, lease)
            return lease

        return await self.store.write(change)

    async def end_lease(self, reason: CloseReason, detail: str | None = None) -> None:
        def change(tx: Tx) -> None:
            status = LeaseStatus.ERROR if reason is CloseReason.ERROR else LeaseStatus.CLOSED
            ended = msgspec.structs.replace(
                self.lease, status=status, closed_at=tx.now, close_reason=reason, error_detail=detail
            )
            lease_sql.save(tx, ended)
            self.conversations.lease_ended(tx, ended)

        await self.store.write(change)

    async def send(self, text: str) -> Turn:
        return await self.conversations.send(self.actor, self.account_id, self.conversation_id, text)

    async def turn(self, turn_id: str) -> Turn:
        return await self.conversations.turn(self.account_id, self.conversation_id, turn_id)

    async def ended(self, turn: Turn) -> Turn:
        with self.hub.listen(f"turn:{turn.id}") as signal:
            while (now := await self.turn(turn.id)).state is TurnState.RUNNING:
                async with asyncio.timeout(20):
                    await signal.wait()
                signal.clear()
        return now

    async def ask(self, text: str) -> Turn:
        """Send, and wait for the end."""
        return await self.ended(await self.send(text))

    async def events(self, after: int = 0) -> list[ConversationEvent]:
        return await self.conversations.events(self.account_id, self.conversation_id, after, 100_000)

    async def said(self, turn: Turn) -> list[ConversationEvent]:
        return [event for event in await self.events() if event.turn_id == turn.id]


@asynccontextmanager
async def world(runtimes: Iterable[Runtime] = ()) -> AsyncIterator[World]:
    with tempfile.TemporaryDirectory() as folder:
        made = World(Path(folder, "box.db"), runtimes)
        await made.settle()
        try:
            yield made
        finally:
            await made.conversations.stop()
            await made.approvals.stop()
            await made.store.close()


def kinds(events: list[ConversationEvent]) -> list[str]:
    return [event.type for event in events]


def of_type(events: list[ConversationEvent], kind: str) -> list[dict[str, Any]]:
    return [event.payload for event in events if event.type == kind]
