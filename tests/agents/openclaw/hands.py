"""Hands that keep in memory what a runtime does with them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn

import msgspec

from clawdbox.agents.model import Conversation
from clawdbox.agents.runtimes.port import (
    Answer,
    Card,
    Decision,
    NoteOf,
    Question,
    Step,
    Suggestion,
    ToolCall,
    TurnCancelled,
    Usage,
)
from clawdbox.ids import new_id

YES = Decision(True, "allow-once", "A person allowed it.")
NO = Decision(False, "deny", "A person denied it.")


async def nobody(_question: Question) -> NoReturn:
    await asyncio.Event().wait()
    raise AssertionError


class MemoryHands:
    """`on_ask` answers questions; without one nobody does."""

    def __init__(self, account_id: str, gateway_id: str, state: Mapping[str, Any] | None = None) -> None:
        now = datetime.now(UTC)
        self._cancelled = asyncio.Event()
        self._conversation = Conversation(
            id=new_id(now), account_id=account_id, connection_id=new_id(now), title=None, runtime="openclaw",
            runtime_options={"gateway_id": gateway_id}, agent_session_id="", created_at=now, last_used_at=now,
            archived_at=None,
        )  # fmt: skip
        self._turn_id = new_id(now)
        self._state = dict(state or {})
        self.resumes = False
        self.earlier = ""
        self.on_ask: Callable[[Question], Awaitable[Decision]] = nobody
        self.done: list[tuple[str, Any]] = []
        self.asked: list[Question] = []
        self.withdrawn: list[str] = []
        self.changed = asyncio.Condition()

    def again(self) -> "MemoryHands":
        """The same turn, as a box that was started again would hand it over."""
        other = MemoryHands(self._conversation.account_id, "", self._state)
        other._conversation, other._turn_id, other.resumes = self._conversation, self._turn_id, True
        other.earlier = self.earlier + self.text
        return other

    # what a test reads

    def of(self, kind: str) -> list[Any]:
        return [what for name, what in self.done if name == kind]

    @property
    def text(self) -> str:
        return "".join(self.of("say"))

    async def until(self, predicate: Callable[[], bool]) -> None:
        async with asyncio.timeout(10), self.changed:
            await self.changed.wait_for(predicate)

    async def _note(self, kind: str, what: Any) -> None:
        if self._cancelled.is_set():
            raise TurnCancelled
        self.done.append((kind, what))
        async with self.changed:
            self.changed.notify_all()

    # the port

    @property
    def cancelled(self) -> asyncio.Event:
        return self._cancelled

    @property
    def conversation(self) -> Conversation:
        return self._conversation

    @property
    def turn_id(self) -> str:
        return self._turn_id

    @property
    def resumed(self) -> bool:
        return self.resumes

    @property
    def state(self) -> Mapping[str, Any]:
        return self._state

    @property
    def said_before(self) -> str:
        return self.earlier

    async def remember(self, state: Mapping[str, Any]) -> None:
        self._state = msgspec.json.decode(msgspec.json.encode(state))

    async def delivered(self) -> None:
        await self._note("delivered", None)

    async def say(self, text: str, *, note: NoteOf | None = None, shown: int = 0) -> None:
        await self._note("say", text[shown:])

    async def think(self, text: str, *, note: NoteOf | None = None, shown: int = 0) -> None:
        await self._note("think", text[shown:])

    def note(self, state: Mapping[str, Any]) -> None:
        self._state = msgspec.json.decode(msgspec.json.encode(state))

    async def plan(self, steps: Sequence[Step]) -> None:
        await self._note("plan", list(steps))

    async def tool(self, call: ToolCall) -> None:
        await self._note("tool", call)

    async def usage(self, usage: Usage) -> None:
        await self._note("usage", usage)

    async def card(self, card: Card) -> None:
        await self._note("card", card)

    async def suggest(self, items: Sequence[Suggestion]) -> None:
        await self._note("suggest", list(items))

    async def run(self, *_given: Any, **_more: Any) -> Answer:
        raise AssertionError("the gateway runs its commands itself")

    async def read_file(self, *_given: Any, **_more: Any) -> Answer:
        raise AssertionError

    async def write_file(self, *_given: Any, **_more: Any) -> Answer:
        raise AssertionError

    async def ask(self, question: Question) -> Decision:
        self.asked.append(question)
        await self._note("ask", question)
        return await self.on_ask(question)

    async def withdraw(self, call_id: str, why: str) -> None:
        self.withdrawn.append(call_id)

    async def gate(self, command: str, *, call_id: str, reason: str = "", title: str = "") -> Decision:
        raise AssertionError("there is no socket")
