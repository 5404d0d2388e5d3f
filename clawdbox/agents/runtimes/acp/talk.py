"""What is said between the box and a code agent in one turn: each line of its log becomes events, once and in order."""

import asyncio
import hashlib
import re
import secrets
from collections.abc import Callable
from typing import Any

import msgspec

from clawdbox.agents.rules.secrets import redacted
from clawdbox.agents.runtimes.acp import calls, messages
from clawdbox.agents.runtimes.acp.lines import Line
from clawdbox.agents.runtimes.acp.memory import Memory, Piece, kept, recalled, resume_at
from clawdbox.agents.runtimes.acp.messages import Message, at, dicts, number_of, text_of
from clawdbox.agents.runtimes.acp.options import Chosen
from clawdbox.agents.runtimes.acp.wire import AgentGone, Wire
from clawdbox.agents.runtimes.port import Hands, Step, TurnCancelled, Usage
from clawdbox.errors import Conflict
from clawdbox.ssh.service.streams import Streams

_STEPS = {"pending", "in_progress", "completed"}
_HEAD = re.compile(rb'"id"\s*:\s*"([0-9a-zA-Z_-]{1,100})"')


class Talk:
    def __init__(self, streams: Streams, hands: Hands, lease_id: str, chosen: Chosen) -> None:
        self._hands = hands
        self._chosen = chosen
        self._memory: Memory = recalled(hands.state)
        self._conversation_id = hands.conversation.id
        self._wire = Wire(
            streams,
            hands.conversation.account_id,
            lease_id,
            self._conversation_id,
            hands.cancelled,
            self._sent,
        )
        self._answers: dict[str, Message] = {}
        self._asks: dict[str, asyncio.Task[None]] = {}
        self._pieces: list[Piece] = []
        self._line_begin = 0
        self._quiet = False  # what is heard now is a replay, or belongs to a turn that was called off

    async def _request(self, method: str, params: Any, key: str | None = None) -> Any:
        """Its result. Raises Conflict `code_agent_refused`, `code_agent_sign_in`; AgentGone."""
        key = key or self._key(method.replace("/", "-"))
        self._answers.pop(key, None)
        self._wire.put(key, messages.request(key, method, params))
        await self._listen(lambda: key in self._answers)
        told = self._answers.pop(key)
        if told.error is None:
            return told.result
        if number_of(told.error, "code") == messages.AUTH_REQUIRED:
            raise Conflict(
                "code_agent_sign_in",
                f"Nobody is signed in to {self._chosen.label} there. {self._chosen.sign_in}",
            )
        said = redacted(text_of(told.error, "message"))[:300]
        raise Conflict("code_agent_refused", f"{self._chosen.label} refused: {said or 'it did not say why.'}")

    async def _listen(self, until: Callable[[], bool]) -> None:
        await self._wire.listen(self._memory.gen, lambda: self._memory.offset, self._take, until)

    async def _take(self, line: Line) -> None:
        """What one line says, and that it was heard, become durable together. What says nothing is not worth a note."""
        self._line_begin, self._memory.offset = self._memory.offset, line.end
        if line.data is None:
            self._too_long(line)
            return
        if not line.data.strip():
            return
        told = messages.read(line.data)
        if told is None:
            self._memory.odd += 1
            self._note()
        elif told.clawdbox == "ended":
            self._note()
            raise AgentGone
        elif told.method is None:
            await self._answered(told)
        elif told.id is not None:
            self._requested(told)
        elif told.method == "session/update" and text_of(told.params, "sessionId") == self._memory.session:
            await self._updated(at(told.params, "update"))

    def _too_long(self, line: Line) -> None:
        self._memory.odd += 1
        prompt, named = self._memory.prompt, _HEAD.search(line.head)
        if prompt and named and named[1].decode() == prompt.key:
            prompt.error = "Its last message was too long to be read."
        self._note()

    async def _answered(self, told: Message) -> None:
        prompt = self._memory.prompt
        if prompt is None or told.id != prompt.key:
            if isinstance(told.id, str):
                self._answers[told.id] = told
            self._note()
            return
        if told.error is not None:
            prompt.error = redacted(text_of(told.error, "message"))[:500] or "It did not say why."
        else:
            prompt.stop = text_of(told.result, "stopReason") or "end_turn"
        self._memory.asking.clear()
        usage = at(told.result, "usage")
        if usage and not self._quiet:
            await self._spent(usage)
        await self._remember()

    def _requested(self, told: Message) -> None:
        key = _answer_key(told.id)
        session = text_of(told.params, "sessionId")
        if told.method != "session/request_permission" or session != self._memory.session:
            self._note()
            self._wire.put(key, messages.refusal(told.id))
            return
        if self._quiet:
            self._note()
            self._wire.put(key, messages.response(told.id, messages.selected(None)))
            return
        call_told = at(told.params, "toolCall") or {}
        call = calls.merged(self._memory.calls.get(text_of(call_told, "toolCallId")), call_told)
        self._memory.asking[key] = calls.asking(told.id, call, at(told.params, "options"))
        self._note()
        self._ask_all()

    async def _updated(self, update: Any) -> None:
        if self._quiet or not isinstance(update, dict):
            return
        match text_of(update, "sessionUpdate"):
            case "agent_message_chunk":
                await self._said(update, thought=False)
            case "agent_thought_chunk":
                await self._said(update, thought=True)
            case "tool_call" | "tool_call_update":
                await self._called(update)
            case "plan":
                self._note()
                await self._hands.plan(
                    [
                        Step(text_of(one, "content")[:500], _step(one))
                        for one in dicts(at(update, "entries"))[:100]
                    ]
                )
            case "usage_update":
                await self._cost(number_of(update, "cost", "amount"))
            case _:
                return

    # what it tells

    async def _said(self, update: dict[str, Any], thought: bool) -> None:
        """A text is heard in full once no unfinished line of it could still become a secret: until then, it is heard again
        after a restart, from the beginning of that line."""
        memory, content = self._memory, at(update, "content")
        text = text_of(content, "text") or text_of(content, "uri")
        if not text:
            return
        kind = text_of(update, "sessionUpdate")
        mark = f"{kind}:{text_of(update, 'messageId')}"
        whole = f"\n\n{text}" if kind in memory.begun and memory.last != mark else text
        piece = Piece(self._line_begin, memory.last, memory.begun, whole)
        memory.last = mark
        memory.begun = memory.begun if kind in memory.begun else [*memory.begun, kind]
        again, memory.inset = piece.text[memory.inset :], 0
        shown, memory.shown = memory.shown, 0
        self._pieces.append(piece)
        say = self._hands.think if thought else self._hands.say
        await say(again, note=self._unfinished, shown=shown)

    def _unfinished(self, line: int, shown: int) -> dict[str, Any]:
        """The state from which the last `line` characters are said again."""
        heard = resume_at(self._memory, self._pieces, line, shown)
        return kept(heard)

    async def _called(self, update: dict[str, Any]) -> None:
        call_id = text_of(update, "toolCallId")
        if not call_id:
            return
        before = self._memory.calls.pop(call_id, None)
        call = self._memory.calls[call_id] = calls.merged(before, update)
        self._memory.forget_old_calls()
        self._memory.last = f"call:{call_id}"
        self._note()
        if call != before:
            await self._hands.tool(calls.shown(call_id, call))

    async def _cost(self, amount: float | None) -> None:
        if amount is None:
            return
        self._memory.cost = amount
        self._note()
        prompt = self._memory.prompt
        if prompt:
            await self._hands.usage(Usage(cost_usd=max(0.0, amount - prompt.spent)))

    async def _spent(self, usage: Any) -> None:
        taken = [number_of(usage, name) for name in ("inputTokens", "cachedReadTokens", "cachedWriteTokens")]
        known = [int(count) for count in taken if count is not None]
        output = number_of(usage, "outputTokens")
        prompt = self._memory.prompt
        cost = max(0.0, self._memory.cost - prompt.spent) if prompt and self._memory.cost else None
        self._note()
        await self._hands.usage(Usage(sum(known) if known else None, int(output) if output else None, cost))

    # permissions

    def _ask_all(self) -> None:
        for key in self._memory.asking:
            if key not in self._asks:
                self._asks[key] = asyncio.ensure_future(self._ask(key))

    async def _ask(self, key: str) -> None:
        """The call id is the request's own, so that after a restart the same question finds the same answer."""
        asked = self._memory.asking[key]
        question = calls.question(asked, f"{self._memory.gen}:{key}", self._memory.cwd)
        option = None
        while True:
            try:
                decision = await self._hands.ask(question)
                option = calls.answer(asked, decision.allowed, decision.option)
                break
            except Conflict as conflict:
                if conflict.code != "session_reconnecting":
                    option = calls.answer(asked, False, None)
                    break
                await self._wire.until_up(conflict)
            except TurnCancelled:
                return
        self._wire.put(key, messages.response(asked.to, messages.selected(option)))

    async def _sent(self, key: str) -> None:
        prompt = self._memory.prompt
        if key in self._memory.asking:
            del self._memory.asking[key]
            self._note()
        elif prompt and key == prompt.key:
            await self._hands.delivered()

    # remembering

    def _key(self, what: str) -> str:
        return f"{what}-{secrets.token_hex(8)}"

    def _note(self) -> None:
        self._pieces.clear()
        self._hands.note(kept(self._memory))

    async def _remember(self) -> None:
        self._pieces.clear()
        await self._hands.remember(kept(self._memory))


def _step(entry: dict[str, Any]) -> str:
    status = text_of(entry, "status")
    return status if status in _STEPS else "pending"


def _answer_key(to: Any) -> str:
    return f"answer-{hashlib.sha256(msgspec.json.encode(to)).hexdigest()[:24]}"
