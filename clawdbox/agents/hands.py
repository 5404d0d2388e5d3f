"""The hands of a running turn: what a runtime does becomes events and, through the lease, commands."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import msgspec

from clawdbox.agents.journal import Journal
from clawdbox.agents.model import CommandState, Turn
from clawdbox.agents.rules import turns as rules
from clawdbox.agents.rules.output import Chunk, Transcript, text_pieces
from clawdbox.agents.runtimes.port import Answer, Card, Suggestion, TurnCancelled
from clawdbox.clock import Clock
from clawdbox.errors import Conflict
from clawdbox.events import Actor
from clawdbox.ids import new_id
from clawdbox.ssh.model import ExecAnswer


class Commands(Protocol):
    """What this room needs of `ssh.service.execs`: one command at most once, and a sign that a lease is in use."""

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
        on_output: Callable[[str, bytes], Awaitable[None]] | None = None,
        cancel: asyncio.Event | None = None,
    ) -> ExecAnswer: ...

    def touch(self, lease_id: str) -> None: ...


class Limits(msgspec.Struct, frozen=True):
    """Of one command: how long it may take when the runtime does not say, and how much of its output is kept."""

    timeout_s: float
    output_bytes: int


class TurnHands:
    """The `Hands` of one turn. Commands run on its lease, in the name of the account that sent the message."""

    def __init__(
        self,
        commands: Commands,
        journal: Journal,
        clock: Clock,
        limits: Limits,
        actor: Actor,
        account_id: str,
        turn: Turn,
        cancelled: asyncio.Event,
    ) -> None:
        self._commands = commands
        self._journal = journal
        self._clock = clock
        self._limits = limits
        self._actor = actor
        self._account_id = account_id
        self._turn = turn
        self._cancelled = cancelled

    @property
    def cancelled(self) -> asyncio.Event:
        return self._cancelled

    async def say(self, text: str) -> None:
        self._check()
        for piece in text_pieces(text):
            self._journal.add("text", {"text": piece}, len(piece.encode()))
        await self._journal.drain()

    async def card(self, card: Card) -> None:
        self._check()
        self._journal.add("card", msgspec.to_builtins(card))

    async def suggest(self, items: Sequence[Suggestion]) -> None:
        self._check()
        self._journal.add("suggestions", {"items": msgspec.to_builtins(list(items))})

    async def run(self, command: str, title: str | None = None, timeout_s: float | None = None) -> Answer:
        self._check()
        command_id = new_id(self._clock.now())
        transcript = Transcript(self._limits.output_bytes)
        self._journal.add("command.started", {"command_id": command_id, "command": command, "title": title})
        await self._journal.flush()  # committed before the command goes out
        try:
            answer = await self._execute(command_id, command, timeout_s, transcript)
        except Conflict:
            self._finished(command_id, transcript, None, CommandState.CANCELLED, 0.0)  # it never ran
            raise
        state = rules.command_state(answer)
        truncated = self._finished(
            command_id, transcript, answer.exit_status, state, answer.duration_ms, answer.truncated
        )
        await self._journal.flush()
        self._check()
        return Answer(
            state,
            answer.exit_status,
            _text(answer.stdout),
            _text(answer.stderr),
            truncated,
            answer.duration_ms,
        )

    async def _execute(
        self, command_id: str, command: str, timeout_s: float | None, transcript: Transcript
    ) -> ExecAnswer:
        async def on_output(stream: str, data: bytes) -> None:
            if self._journal.failure is None:
                self._output(command_id, transcript.feed(stream, data))
                await self._journal.drain_quietly()

        return await self._commands.execute(
            self._actor,
            self._account_id,
            self._turn.session_lease_id,
            command,
            timeout_s=timeout_s or self._limits.timeout_s,
            max_output_bytes=self._limits.output_bytes,
            turn_id=self._turn.id,
            execution_id=command_id,
            on_output=on_output,
            cancel=self._cancelled,
        )

    def _finished(
        self,
        command_id: str,
        transcript: Transcript,
        exit_status: int | None,
        state: CommandState,
        duration_ms: float,
        truncated: bool = False,
    ) -> bool:
        if self._journal.failure is not None:
            return True
        self._output(command_id, transcript.finish())
        truncated = truncated or transcript.truncated
        payload: dict[str, Any] = {
            "command_id": command_id,
            "exit_status": exit_status,
            "duration_ms": duration_ms,
            "truncated": truncated,
            "state": state,
        }
        self._journal.add("command.finished", payload)
        return truncated

    def _output(self, command_id: str, chunks: list[Chunk]) -> None:
        for chunk in chunks:
            payload = {
                "command_id": command_id,
                "stream": chunk.stream,
                "data": chunk.data,
                "encoding": chunk.encoding,
            }
            self._journal.add("command.output", payload, chunk.size)

    def _check(self) -> None:
        if self._cancelled.is_set():
            raise TurnCancelled


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
