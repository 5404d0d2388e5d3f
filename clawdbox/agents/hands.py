"""The hands of a running turn: what a runtime does becomes events and, through the lease, commands."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from clawdbox.agents import replay, sql
from clawdbox.agents.command_output import Output
from clawdbox.agents.commands import Commands, Within
from clawdbox.agents.file_hands import FileHands, TextFiles
from clawdbox.agents.gate import Gate, Pass, Wish
from clawdbox.agents.journal import Journal
from clawdbox.agents.model import CommandState, Conversation, TurnUsage
from clawdbox.agents.rules import limits as limit_rules
from clawdbox.agents.rules import turns as rules
from clawdbox.agents.rules.secrets import redacted
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
from clawdbox.agents.words import Words
from clawdbox.agents.work import Limits, Prepare, Work
from clawdbox.approvals.model import Kind
from clawdbox.clock import Clock
from clawdbox.errors import Conflict, Problem
from clawdbox.ids import new_id
from clawdbox.store import Store, Tx

MAX_STATE = 4 * 1024 * 1024


class TurnHands:
    """The `Hands` of one turn. Commands run on its lease, in the name of the account that sent the message."""

    def __init__(
        self,
        store: Store,
        commands: Commands,
        files: TextFiles,
        journal: Journal,
        gate: Gate,
        limits: Limits,
        work: Work,
        cancelled: asyncio.Event,
        prepare: Prepare,
    ) -> None:
        self._prepare = prepare
        self._store = store
        self._clock: Clock = store.clock
        self._commands = commands
        self._journal = journal
        self._gate = gate
        self._limits = limits
        self._work = work
        self._cancelled = cancelled
        self._state = dict(work.state)
        self._ran = work.spent.commands
        self._said = Words(journal, judged=work.runtime.judged)
        self._files = FileHands(files, journal, gate, self._link, work.actor, work.account_id, work.turn)

    @property
    def cancelled(self) -> asyncio.Event:
        return self._cancelled

    @property
    def conversation(self) -> Conversation:
        return self._work.conversation

    @property
    def turn_id(self) -> str:
        return self._work.turn.id

    @property
    def resumed(self) -> bool:
        return self._work.resumed

    @property
    def state(self) -> Mapping[str, Any]:
        return self._state

    @property
    def said_before(self) -> str:
        return self._work.said

    async def remember(self, state: Mapping[str, Any]) -> None:
        self._turn_to_it()
        await self._journal.write(self._saving(state))
        self._state = dict(state)

    def note(self, state: Mapping[str, Any]) -> None:
        self._turn_to_it()
        self._note(state)

    def _note(self, state: Mapping[str, Any]) -> None:
        self._journal.beside(self._saving(state))
        self._state = dict(state)

    def _saving(self, state: Mapping[str, Any]) -> Callable[[Tx], None]:
        text = msgspec.json.encode(state).decode()
        if len(text) > MAX_STATE:
            raise Conflict("conversation_too_long", "This conversation has grown too long. Begin a new one.")
        conversation_id = self._work.turn.conversation_id
        return lambda tx: sql.save_state(tx, conversation_id, text)

    async def delivered(self) -> None:
        self._turn_to_it()
        turn = self._work.turn

        def change(tx: Tx) -> None:
            if sql.deliver(tx, turn.id):
                sql.append(tx, turn.conversation_id, turn.id, "turn.delivered", {})

        await self._journal.write(change)

    # saying

    async def say(self, text: str, *, note: NoteOf | None = None, shown: int = 0) -> None:
        await self._words("text", text, note, shown)

    async def think(self, text: str, *, note: NoteOf | None = None, shown: int = 0) -> None:
        await self._words("thought", text, note, shown)

    async def _words(self, kind: str, text: str, note: NoteOf | None, shown: int) -> None:
        self._check()
        unfinished = self._said.add(kind, text, shown)
        if note and unfinished:
            self._note(note(*unfinished))
        await self._journal.drain()

    def _turn_to_it(self) -> None:
        self._check()
        self.finish_words()

    def finish_words(self) -> None:
        self._said.finish()

    async def plan(self, steps: Sequence[Step]) -> None:
        self._turn_to_it()
        shown = [msgspec.structs.replace(step, text=redacted(step.text)) for step in steps]
        self._journal.add("plan", {"steps": msgspec.to_builtins(shown)})

    async def tool(self, call: ToolCall) -> None:
        self._turn_to_it()
        shown = msgspec.structs.replace(call, detail=redacted(call.detail), title=redacted(call.title))
        self._journal.add("tool", msgspec.to_builtins(shown))

    async def usage(self, usage: Usage) -> None:
        self._turn_to_it()
        turn = self._work.turn
        told = TurnUsage(usage.input_tokens, usage.output_tokens, usage.cost_usd)

        def change(tx: Tx) -> None:
            sql.save_usage(tx, turn.id, told)
            sql.append(tx, turn.conversation_id, turn.id, "usage", msgspec.to_builtins(told))

        await self._journal.write(change)
        limit_rules.check_usage(self._work.limits, told)

    async def card(self, card: Card) -> None:
        self._turn_to_it()
        self._journal.add("card", msgspec.to_builtins(card))

    async def suggest(self, items: Sequence[Suggestion]) -> None:
        self._turn_to_it()
        shown = [Suggestion(redacted(item.text), redacted(item.label)) for item in items]
        self._journal.add("suggestions", {"items": msgspec.to_builtins(shown)})

    # doing

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
        self._turn_to_it()
        reason = redacted(reason)
        if call_id and (known := await self._replayed(call_id)):
            return known
        limit_rules.check_commands(self._work.limits, self._ran)
        self._ran += 1
        if not self._work.runtime.judged and not (typed and await self._gate.judges_people()):
            return await self._run(command, title, timeout_s, {}, _unused)
        call_id = call_id or new_id(self._clock.now())
        wish = Wish(Kind.COMMAND, call_id, title or "Run a command", command, reason=reason)
        while True:
            passed = await self._gate.judge(wish)
            self._check()
            if passed.refused is not None:
                return await self._refused(wish, passed)
            more = {"class": passed.klass, "reason": reason, "call_id": call_id}
            try:
                await self._prepare(self._work, passed, command)
                return await self._run(command, title, timeout_s, more, self._gate.using(passed))
            except Conflict as conflict:
                if conflict.code == "session_reconnecting":
                    await self._link()
                elif conflict.code != "approval_used_up" or passed.grant is None:
                    raise

    async def read_file(self, path: str, *, reason: str = "", call_id: str | None = None) -> Answer:
        self._turn_to_it()
        answer = await self._files.read(path, redacted(reason), call_id or new_id(self._clock.now()))
        self._check()
        return answer

    async def write_file(
        self, path: str, text: str, *, reason: str = "", call_id: str | None = None
    ) -> Answer:
        self._turn_to_it()
        answer = await self._files.write(path, text, redacted(reason), call_id or new_id(self._clock.now()))
        self._check()
        return answer

    async def ask(self, question: Question) -> Decision:
        return await self._asked(
            Wish(
                Kind.QUESTION,
                question.call_id,
                redacted(question.title),
                question.command,
                (question.path if question.file else question.directory) or "",
                redacted(question.reason),
                redacted(question.detail),
                tuple(msgspec.structs.replace(one, label=redacted(one.label)) for one in question.options),
                question.file,
            )
        )

    async def withdraw(self, call_id: str, why: str) -> None:
        await self._gate.withdraw(call_id, why)

    async def gate(self, command: str, *, call_id: str, reason: str = "", title: str = "") -> Decision:
        limit_rules.check_commands(self._work.limits, self._ran)
        self._ran += 1
        return await self._asked(
            Wish(Kind.QUESTION, call_id, title or "Run a command", command, reason=redacted(reason))
        )

    # the ways of doing it

    async def _asked(self, wish: Wish) -> Decision:
        self._turn_to_it()
        passed = await self._gate.judge(wish)
        self._check()
        if passed.refused is None:
            try:
                await self._journal.apart(self._gate.using(passed))
            except Conflict as used_up:
                return Decision(False, None, used_up.message)
            if wish.text is not None:
                await self._prepare(self._work, passed, wish.text)
            return Decision(True, passed.option, "It was allowed.")
        if wish.text is not None or wish.file:
            await self._refused(wish, passed)
        return Decision(False, passed.option, passed.refused)

    async def _run(
        self, command: str, title: str | None, timeout_s: float | None, more: dict[str, Any], use: Within
    ) -> Answer:
        command_id = new_id(self._clock.now())
        out = Output(self._journal, command_id, self._limits.output_bytes, judged=self._work.runtime.judged)
        turn = self._work.turn
        await self._journal.flush()
        begun = False

        def start(tx: Tx) -> None:
            """In the transaction of the intent: the command, and what let it through."""
            nonlocal begun
            if not sql.in_flight(tx, turn):
                raise Conflict("turn_ended", "This turn has ended.")
            use(tx)
            payload = {"command_id": command_id, "command": command, "title": title, **more}
            sql.append(tx, turn.conversation_id, turn.id, "command.started", payload)
            begun = True

        try:
            answer = await self._commands.execute(
                self._work.actor,
                self._work.account_id,
                turn.session_lease_id,
                command,
                timeout_s=timeout_s or self._limits.timeout_s,
                max_output_bytes=self._limits.output_bytes,
                turn_id=turn.id,
                execution_id=command_id,
                on_output=out.feed,
                cancel=self._cancelled,
                on_start=start,
                on_end=out.end,
            )
        except Problem as problem:
            if problem.code == "turn_ended":
                raise TurnCancelled from None
            if begun and problem.code == "storage_full":
                self._journal.fail(problem)
            elif not begun and not self._work.runtime.judged:
                await self._never_ran(command_id, command, title)
            raise
        self._check()
        stdout, stderr = out.texts(answer)
        truncated = answer.truncated or out.truncated
        state = rules.command_state(answer)
        return Answer(state, answer.exit_status, stdout, stderr, truncated, answer.duration_ms)

    async def _never_ran(self, command_id: str, command: str, title: str | None) -> None:
        """A person asked for it, so that it stands there, with its end."""
        self._journal.add("command.started", {"command_id": command_id, "command": command, "title": title})
        told = {"exit_status": None, "duration_ms": 0.0, "truncated": False, "state": CommandState.CANCELLED}
        self._journal.add("command.finished", {"command_id": command_id, **told})
        await self._journal.flush()

    async def _refused(self, wish: Wish, passed: Pass) -> Answer:
        assert passed.refused is not None
        self._journal.add(
            "command.refused",
            {
                "command": wish.title if wish.text is None else wish.text,
                "title": wish.title,
                "reason": wish.reason,
                "class": passed.klass,
                "why": passed.refused,
                "call_id": wish.call_id,
                "approval_id": passed.approval.id if passed.approval else None,
            },
        )
        await self._journal.flush()
        return Answer(CommandState.CANCELLED, None, "", "", refused=passed.refused)

    async def _replayed(self, call_id: str) -> Answer | None:
        """What this very call came to before; a command whose end nobody saw is told as lost."""
        turn = self._work.turn
        found = await self._store.read(lambda r: replay.answer_of(r, turn, call_id))
        if found is None:
            return None
        answer, open_command = found
        if open_command is not None:
            payload = {
                "command_id": open_command,
                "exit_status": None,
                "duration_ms": 0.0,
                "truncated": True,
                "state": CommandState.LOST,
            }
            self._journal.add("command.finished", payload)
            await self._journal.flush()
        return answer

    async def _link(self) -> None:
        """Wait for a link that is dialled again, as long as somebody wants the turn."""
        waiting = asyncio.ensure_future(
            self._commands.until_up(self._work.account_id, self._work.turn.session_lease_id)
        )
        cancelling = asyncio.ensure_future(self._cancelled.wait())
        try:
            await asyncio.wait({waiting, cancelling}, return_when=asyncio.FIRST_COMPLETED)
            self._check()
            waiting.result()
        finally:
            waiting.cancel()
            cancelling.cancel()

    def _check(self) -> None:
        if self._cancelled.is_set():
            raise TurnCancelled


def _unused(_tx: Tx) -> None:
    return
