"""One turn: ask, remember, do what was asked for, ask again. Every step can be gone on with by another process."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import msgspec
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart

from clawdbox.agents.model_providers.model import Endpoint
from clawdbox.agents.runtimes.model import calls, failures, told
from clawdbox.agents.runtimes.model.engine import Engine
from clawdbox.agents.runtimes.model.failures import Cause, Failure
from clawdbox.agents.runtimes.model.history import History
from clawdbox.agents.runtimes.port import Hands, ToolCall, TurnCancelled, Usage
from clawdbox.errors import Conflict, Problem, Upstream

T = TypeVar("T")
Pause = Callable[[float], Awaitable[None]]
_MAX_CUTS = 2
_STOPPED_SHORT = {
    "length": "(The answer stopped at the model’s limit of length. Write “go on” for the rest.)",
    "content_filter": "(The provider withheld the rest of this answer: its filter took it for something it does not allow.)",
}


class Notes(msgspec.Struct):
    """What is remembered of a turn beside the history. `step` counts its answers."""

    turn_id: str = ""
    step: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    history: Any = None

    def spend(self, response: ModelResponse, cost: float | None) -> Usage:
        self.input_tokens += response.usage.input_tokens
        self.output_tokens += response.usage.output_tokens
        if cost is not None:
            self.cost_usd = (self.cost_usd or 0.0) + cost
        return Usage(self.input_tokens, self.output_tokens, self.cost_usd)


class Loop:
    """Of one turn. `pause` waits, so that a test need not."""

    def __init__(
        self,
        engine: Engine,
        endpoint: Endpoint,
        hands: Hands,
        instructions: str,
        max_requests: int,
        pause: Pause,
    ) -> None:
        self._engine = engine
        self._endpoint = endpoint
        self._hands = hands
        self._instructions = instructions
        self._max_requests = max_requests
        self._pause = pause
        self._spoken = False  # whether text was said that a further paragraph has to be set off from
        self._notes = Notes()
        self._history = History()

    async def run(self, text: str) -> None:
        """Raises Problem, TurnCancelled; what the model was told until then is remembered."""
        await self._load(text)
        try:
            while not self._history.is_answered:
                await self._step()
        except Problem:
            if not self._hands.cancelled.is_set():
                await self._remember()
            raise

    async def _load(self, text: str) -> None:
        kept = self._hands.state.get("model")
        notes = msgspec.convert(kept, Notes) if kept else Notes()
        self._history = History.load(notes.history)
        if self._hands.resumed and notes.turn_id == self._hands.turn_id:
            self._notes = notes
            return
        self._notes = Notes(turn_id=self._hands.turn_id)
        self._history.begin(text)
        await self._remember()

    async def _step(self) -> None:
        if open_calls := self._history.open_calls():
            results = [(call, await self._call(at, call)) for at, call in enumerate(open_calls)]
            self._history.answer(results)
        if self._notes.step >= self._max_requests:
            raise Conflict(
                "turn_limit",
                f"The model was asked {self._max_requests} times in this turn, which is the most. Write “go on” if it"
                " should.",
            )
        response = await self._answer()
        self._history.add(response)
        self._notes.step += 1
        cost = self._engine.cost_usd(response)
        usage = self._notes.spend(response, float(cost) if cost is not None else None)
        await self._remember()  # before anything of it is done
        await self._hands.usage(usage)
        await self._close(response)

    async def _close(self, response: ModelResponse) -> None:
        """Say what has to be said of an answer that ends the turn, and ended oddly."""
        if self._history.open_calls():
            return
        if note := _STOPPED_SHORT.get(response.finish_reason or ""):
            await self._say_apart(note)
        elif not any(isinstance(part, TextPart) and part.content.strip() for part in response.parts):
            raise Upstream(
                "model_silent",
                f"{self._endpoint.model} ended its answer without a word. Send it again, or choose another model.",
            )

    async def _remember(self) -> None:
        if self._history.fit():
            await self._show("room", "Older parts of this conversation were taken out of the model’s memory")
        self._notes.history = self._history.dump()
        await self._hands.remember({"model": msgspec.to_builtins(self._notes)})

    # asking

    async def _answer(self) -> ModelResponse:
        """An answer, after as many attempts as it takes or is worth."""
        attempts = cuts = 0
        while True:
            try:
                return await self._unless_cancelled(
                    self._engine.ask(self._history.messages, self._instructions, self)
                )
            except Failure as failure:
                if failure.cause is Cause.TOO_LONG and (left_out := self._history.shorten()):
                    await self._show(
                        f"room-{self._notes.step}",
                        f"The conversation was too long for {self._endpoint.model}: {left_out} were taken out of its memory",
                    )
                    continue
                seconds = failures.pause_s(failure, attempts)
                if _has_text(failure.partial):
                    cuts += 1
                    self._history.add_broken(failure.partial)
                    self._spoken = False  # what comes next goes on in mid-sentence
                    seconds = seconds if cuts <= _MAX_CUTS else None
                if seconds is None:
                    raise failures.problem(failure, self._endpoint) from failure
                attempts += 1
                await self._wait(failure, seconds, attempts)

    async def _wait(self, failure: Failure, seconds: float, attempt: int) -> None:
        call_id = f"wait-{self._notes.step}-{attempt}"
        title = failures.waiting(failure, self._endpoint, seconds)
        await self._hands.tool(ToolCall(call_id, title, status="in_progress"))
        await self._unless_cancelled(self._paused(seconds))
        await self._hands.tool(ToolCall(call_id, title, status="completed"))

    async def _paused(self, seconds: float) -> None:
        await self._pause(seconds)

    async def _unless_cancelled(self, work: Coroutine[Any, Any, T]) -> T:
        """Its result; a turn that is to end takes it down at once, and with it the stream."""
        loop = asyncio.get_running_loop()
        task = loop.create_task(work)
        watch = loop.create_task(self._hands.cancelled.wait())
        try:
            await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise TurnCancelled
            return task.result()
        finally:
            watch.cancel()
            task.cancel()
            await asyncio.gather(task, watch, return_exceptions=True)

    # hearing

    async def opened(self) -> None:
        await self._hands.delivered()

    async def text(self, text: str, *, first: bool) -> None:
        if first and self._spoken:
            await self._hands.say("\n\n")
        self._spoken = True
        await self._hands.say(text)

    async def thought(self, text: str) -> None:
        await self._hands.think(text)

    async def _say_apart(self, text: str) -> None:
        await self.text(text, first=True)

    async def _show(self, call_id: str, title: str) -> None:
        await self._hands.tool(ToolCall(call_id, title, status="completed"))

    # doing

    async def _call(self, at: int, call: ToolCallPart) -> str:
        """What the model is told of one call. Its id is of our making: providers repeat theirs."""
        call_id = f"{self._notes.step}.{at}"
        try:
            return await self._do(calls.meant(call.tool_name, call.args), call_id)
        except calls.Misread as error:
            return told.misread(str(error))

    async def _do(self, call: calls.Call, call_id: str) -> str:
        hands, turn_id = self._hands, self._hands.turn_id
        match call:
            case calls.Run():
                answer = await hands.run(call.command, reason=call.reason, call_id=call_id)
                return told.of_command(answer, turn_id, call_id)
            case calls.ReadFile():
                answer = await hands.read_file(call.path, reason=call.reason, call_id=call_id)
                return told.of_file(answer, call.path, turn_id, call_id)
            case calls.WriteFile():
                answer = await hands.write_file(call.path, call.text, reason=call.reason, call_id=call_id)
                return told.of_writing(answer, call.path, turn_id, call_id)


def _has_text(partial: ModelResponse | None) -> bool:
    return partial is not None and any(isinstance(part, TextPart) and part.content for part in partial.parts)
