"""Text files that an agent reads and writes over its lease: judged as its commands are, and shown as steps."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import msgspec

from clawdbox.agents import sql
from clawdbox.agents.gate import Gate, Pass, Wish
from clawdbox.agents.journal import Journal
from clawdbox.agents.model import CommandState, Turn
from clawdbox.agents.rules.secrets import redacted
from clawdbox.agents.runtimes.port import Answer, ToolCall
from clawdbox.approvals.model import Kind
from clawdbox.errors import Conflict, Problem
from clawdbox.events import Actor
from clawdbox.policy import judge_file
from clawdbox.ssh.model.files import TextFile
from clawdbox.store import Tx

T = TypeVar("T")
_DIALLING = "session_reconnecting"
MAX_READ = 256 * 1024
_LOST = (
    "Nobody knows whether the file was written: the box or its link ended in the middle of it."
    " Read it before you write it again."
)
_MOVED = "The name leads elsewhere than it did when this was asked. Read the file, and ask again."


class TextFiles(Protocol):
    """What this room needs of `ssh.service.file_edits`."""

    async def read(self, actor: Actor, account_id: str, lease_id: str, path: bytes) -> TextFile: ...

    async def save(
        self, actor: Actor, account_id: str, lease_id: str, path: bytes, text: str, version: str,
        *, in_place: bool = False,
    ) -> TextFile: ...  # fmt: skip

    async def place(self, account_id: str, lease_id: str, path: bytes) -> bytes: ...


class FileHands:
    """Of one turn. Reading twice does no harm; a write whose end nobody saw is told as lost and not done again."""

    def __init__(
        self,
        files: TextFiles,
        journal: Journal,
        gate: Gate,
        link: Callable[[], Awaitable[None]],
        actor: Actor,
        account_id: str,
        turn: Turn,
    ) -> None:
        self._files = files
        self._journal = journal
        self._gate = gate
        self._link = link
        self._actor = actor
        self._account_id = account_id
        self._turn = turn

    async def read(self, path: str, reason: str, call_id: str) -> Answer:
        wish = Wish(Kind.FILE, call_id, f"Read {path}", None, path, reason)
        passed = await self._gate.judge(wish)
        if passed.refused is not None:
            return await self._refused(wish, passed)
        step = ToolCall(call_id, wish.title, "read", "in_progress", reason)
        await self._begin(step, passed)
        try:
            file = await self._linked(lambda: self._read(path.encode()))
        except Problem as problem:
            return await self._failed(step, problem)
        real = file.path.decode("utf-8", "replace")
        if secret := judge_file(real, write=False).secret:
            return await self._refused(
                wish, passed, f"The name leads to {secret}, which agents may not read."
            )
        await self._step(step, "completed")
        text = redacted(file.text)
        return Answer(CommandState.DONE, 0, text[:MAX_READ], "", len(text) > MAX_READ)

    async def write(self, path: str, text: str, reason: str, call_id: str) -> Answer:
        if known := await self._known(call_id):
            return known
        real = await self._linked(lambda: self._place(path))
        shown = real.decode("utf-8", "replace")
        wish = Wish(Kind.FILE, call_id, f"Write {shown}", text, shown, reason, named=path)
        passed = await self._gate.judge(wish)
        if passed.refused is not None:
            return await self._refused(wish, passed)
        lease_id = self._turn.session_lease_id
        before = await self._linked(lambda: self._before(real))
        if before and before.path != real:
            return await self._refused(wish, passed, _MOVED)
        step = ToolCall(call_id, wish.title, "edit", "in_progress", reason)
        await self._begin(step, passed)
        try:
            version = before.version if before else ""
            await self._linked(
                lambda: self._files.save(self._actor, self._account_id, lease_id, real, text, version)
            )
        except Problem as problem:
            return await self._failed(step, problem)
        await self._step(step, "completed")
        done = "It was replaced." if before else "It was made."
        return Answer(CommandState.DONE, 0, done, "")

    async def _place(self, path: str) -> bytes:
        """Behind its links, since those are followed: it is what a person is asked about."""
        try:
            return await self._files.place(self._account_id, self._turn.session_lease_id, path.encode())
        except Problem as problem:
            if problem.code == _DIALLING:
                raise
            return path.encode()  # the save itself says what is wrong

    async def _read(self, path: bytes) -> TextFile:
        return await self._files.read(self._actor, self._account_id, self._turn.session_lease_id, path)

    async def _before(self, path: bytes) -> TextFile | None:
        try:
            return await self._read(path)
        except Problem as problem:
            if problem.code == _DIALLING:
                raise
            return None  # it is not there yet, or the save itself says what is wrong

    async def _linked(self, do: Callable[[], Awaitable[T]]) -> T:
        """Do it once the link is there: one that is dialled again has not let anything through."""
        while True:
            try:
                return await do()
            except Conflict as conflict:
                if conflict.code != _DIALLING:
                    raise
                await self._link()

    async def _known(self, call_id: str) -> Answer | None:
        """What this very write came to before."""
        turn = self._turn
        events = await self._journal.read(lambda r: sql.of_turn(r, turn, ("tool", "command.refused")))
        told = [event.payload for event in events if event.payload.get("call_id") == call_id]
        if not told:
            return None
        if "why" in told[-1]:
            return Answer(CommandState.CANCELLED, None, "", "", refused=told[-1]["why"])
        match told[-1]["status"]:
            case "completed":
                return Answer(CommandState.DONE, 0, "It was written.", "")
            case "failed":
                return Answer(CommandState.DONE, 1, "", told[-1]["detail"])
        return Answer(CommandState.LOST, None, "", _LOST)

    async def _begin(self, step: ToolCall, passed: Pass) -> None:
        turn, use = self._turn, self._gate.using(passed)

        def change(tx: Tx) -> None:
            use(tx)
            sql.append(tx, turn.conversation_id, turn.id, "tool", msgspec.to_builtins(step))

        await self._journal.apart(change)

    async def _step(self, step: ToolCall, status: str, detail: str | None = None) -> None:
        shown = msgspec.structs.replace(step, status=status, detail=step.detail if detail is None else detail)
        self._journal.add("tool", msgspec.to_builtins(shown))
        await self._journal.flush()

    async def _failed(self, step: ToolCall, problem: Problem) -> Answer:
        await self._step(step, "failed", problem.message)
        return Answer(CommandState.DONE, 1, "", problem.message)

    async def _refused(self, wish: Wish, passed: Pass, why: str | None = None) -> Answer:
        refused = why or passed.refused or ""
        self._journal.add(
            "command.refused",
            {
                "command": wish.title,
                "title": wish.title,
                "reason": wish.reason,
                "class": passed.klass,
                "why": refused,
                "call_id": wish.call_id,
                "approval_id": passed.approval.id if passed.approval else None,
            },
        )
        await self._journal.flush()
        return Answer(CommandState.CANCELLED, None, "", "", refused=refused)
