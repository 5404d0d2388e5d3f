"""Hands that reach nothing: they write down what a runtime does, and answer what the test says."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from clawdbox.agents.model import CommandState, Context, Conversation
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

CONTEXT = Context("c-1", "nas.lan", 22, "ada", "k-1", "l-1")
Course = Callable[[str], Awaitable[Answer]]


def done(stdout: str = "", exit_status: int | None = 0, stderr: str = "", **more: Any) -> Answer:
    return Answer(CommandState.DONE, exit_status, stdout, stderr, **more)


class InMemoryHands:
    """`runs` are the commands that were really run; `course` says what they come to. `kept` outlives a process."""

    def __init__(self, options: Mapping[str, Any] | None = None, kept: dict[str, Any] | None = None) -> None:
        now = datetime(2026, 11, 28, tzinfo=UTC)
        self.conversation = Conversation(
            id="v-1",
            account_id="a-1",
            connection_id="c-1",
            title=None,
            runtime="model",
            runtime_options=dict(options or {}),
            agent_session_id="model:v-1",
            created_at=now,
            last_used_at=now,
            archived_at=None,
        )
        self.turn_id = "t-1"
        self.resumed = False
        self.cancelled = asyncio.Event()
        self.kept: dict[str, Any] = kept if kept is not None else {}
        self.answers: dict[str, Answer] = {}
        self.runs: list[str] = []
        self.reasons: list[str] = []
        self.files: dict[str, str] = {}
        self.said: list[str] = []
        self.thoughts: list[str] = []
        self.tools: list[ToolCall] = []
        self.spent: list[Usage] = []
        self.order: list[str] = []
        self.spoke = asyncio.Event()
        self.course: Course = self._well

    @property
    def text(self) -> str:
        return "".join(self.said)

    @property
    def state(self) -> Mapping[str, Any]:
        return self.kept

    def after_restart(self) -> "InMemoryHands":
        """The hands of the next process: what was kept is there, and what was run is known."""
        again = InMemoryHands(self.conversation.runtime_options, self.kept)
        again.answers, again.runs, again.resumed, again.turn_id = (
            self.answers,
            self.runs,
            True,
            self.turn_id,
        )
        return again

    def _check(self) -> None:
        if self.cancelled.is_set():
            raise TurnCancelled

    async def _well(self, command: str) -> Answer:
        return done(f"output of {command}\n")

    def note(self, state: Mapping[str, Any]) -> None:
        self._check()
        self.kept.clear()
        self.kept.update(state)

    async def remember(self, state: Mapping[str, Any]) -> None:
        self._check()
        raw = msgspec.json.encode(state)
        assert len(raw) <= 4 * 1024 * 1024
        self.order.append("remember")
        self.kept.clear()
        self.kept.update(msgspec.json.decode(raw))

    async def delivered(self) -> None:
        self._check()
        self.order.append("delivered")

    async def say(self, text: str, *, note: NoteOf | None = None, shown: int = 0) -> None:
        self._check()
        self.order.append("say")
        if note:
            self.note(note(0, 0))
        self.said.append(text)
        self.spoke.set()

    async def think(self, text: str, *, note: NoteOf | None = None, shown: int = 0) -> None:
        self._check()
        self.thoughts.append(text)
        if note:
            self.note(note(0, 0))

    async def plan(self, steps: Sequence[Step]) -> None:
        self._check()

    async def tool(self, call: ToolCall) -> None:
        self._check()
        self.tools.append(call)

    async def usage(self, usage: Usage) -> None:
        self._check()
        self.spent.append(usage)

    async def card(self, card: Card) -> None:
        self._check()

    async def suggest(self, items: Sequence[Suggestion]) -> None:
        self._check()

    async def run(
        self,
        command: str,
        title: str | None = None,
        timeout_s: float | None = None,
        *,
        reason: str = "",
        call_id: str | None = None,
        typed: bool = False,
    ) -> Answer:
        self._check()
        assert call_id
        self.reasons.append(reason)
        if call_id not in self.answers:
            self.order.append("run")
            self.runs.append(command)
            self.answers[call_id] = await self.course(command)
        self._check()
        return self.answers[call_id]

    async def read_file(self, path: str, *, reason: str = "", call_id: str | None = None) -> Answer:
        self._check()
        if path in self.files:
            return done(self.files[path])
        return done("", 1, f"{path}: No such file or directory")

    async def write_file(
        self, path: str, text: str, *, reason: str = "", call_id: str | None = None
    ) -> Answer:
        self._check()
        self.files[path] = text
        return done()

    async def ask(self, question: Question) -> Decision:
        raise AssertionError("the model asks nothing by itself: its tools are judged")

    @property
    def said_before(self) -> str:
        return ""

    async def withdraw(self, call_id: str, why: str) -> None:
        raise AssertionError("the model asks nothing by itself, so it has nothing to take back")

    async def gate(self, command: str, *, call_id: str, reason: str = "", title: str = "") -> Decision:
        raise AssertionError("the model has no hand of its own")
