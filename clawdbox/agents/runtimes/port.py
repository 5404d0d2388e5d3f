"""The port of everything that thinks in a conversation.

A runtime is handed one turn at a time: the text, the lease it is about, and hands. The hands are all it can do: say
something, show a card, run a command on the server of the lease, ask the person. They reach no shell and no file of the
box itself.

A runtime ends a turn by returning (`done`) or by raising: `TurnCancelled`, which the hands raise for it, `TurnLost`
when it cannot go on because an outcome is unknown, a coded Problem for what a person can mend (`failed`).

**Going on.** A lease may end, and the box may die, in the middle of a turn. A runtime whose `resumes` is true is then
called again with the same text, on the next lease, with `hands.state` as it was last remembered. What it did through
the hands under a `call_id` is not done twice: the same call gets the answer it got, or is told that it is lost.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Literal, Protocol

import msgspec

from clawdbox.agents.model import CommandState, Context, Conversation
from clawdbox.approvals.model import Option


class Status(StrEnum):
    OK = "ok"
    INFO = "info"
    WARN = "warn"
    BAD = "bad"


class Row(msgspec.Struct, frozen=True):
    """A line of a card; `percent` makes it a bar."""

    label: str
    value: str
    status: Status = Status.INFO
    percent: float | None = None


class Card(msgspec.Struct, frozen=True):
    """What was read out of a server's answer."""

    title: str
    status: Status
    summary: str
    rows: tuple[Row, ...] = ()


class Suggestion(msgspec.Struct, frozen=True):
    """A next message: `text` is what is sent, `label` what stands on the button."""

    text: str
    label: str


class Step(msgspec.Struct, frozen=True):
    """A line of a plan. `status` is pending, in_progress or completed (ACP's words)."""

    text: str
    status: str = "pending"


class ToolCall(msgspec.Struct, frozen=True):
    """What an agent does with a tool of its own, shown and not judged here. A later one with the same id replaces it.

    `kind` and `status` are ACP's words: read, edit, delete, move, search, execute, think, fetch, other; pending,
    in_progress, completed, failed.
    """

    call_id: str
    title: str
    kind: str = "other"
    status: str = "pending"
    detail: str = ""


class Usage(msgspec.Struct, frozen=True):
    """Of one turn so far, as far as the runtime knows; `cost_usd` only where it says so itself."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None


class Answer(msgspec.Struct, frozen=True):
    """What a command came to. Foreign bytes in the output became U+FFFD; the conversation's events have them all.

    `refused` says why it was never run: a person or the policy said no. Then there is no exit status.
    """

    state: CommandState
    exit_status: int | None
    stdout: str
    stderr: str
    truncated: bool = False
    duration_ms: float = 0.0
    refused: str | None = None


class Question(msgspec.Struct, frozen=True):
    """What a person is asked in the inbox. `command` is what would run, exactly, where that is known.

    Where it is about a file, `path` is its name and `file` what happens to it: `read`, `write` or `delete`, which may
    be a folder. `reason`, `detail` and the labels of the options are the agent's own words and shown as such.
    """

    call_id: str
    title: str
    options: tuple[Option, ...]
    command: str | None = None
    directory: str | None = None
    reason: str = ""
    detail: str = ""
    path: str | None = None
    file: Literal["", "read", "write", "delete"] = ""


class Decision(msgspec.Struct, frozen=True):
    """`option` is None when nobody chose one: it expired, was voided, or the policy said no; `why` says so."""

    allowed: bool
    option: str | None
    why: str


class TurnCancelled(Exception):
    """The turn is to end now."""


class TurnLost(Exception):
    """An outcome is unknown; the text says of what, for a person."""


NoteOf = Callable[[int, int], Mapping[str, Any]]


class Hands(Protocol):
    """What a runtime may do in its turn. Everything here is an event of the conversation."""

    @property
    def cancelled(self) -> asyncio.Event:
        """Set when the turn is to end; every other call raises TurnCancelled from then on."""

    @property
    def conversation(self) -> Conversation: ...

    @property
    def turn_id(self) -> str: ...

    @property
    def resumed(self) -> bool:
        """Whether this turn goes on after its lease, or the box, has ended in the middle of it."""

    @property
    def state(self) -> Mapping[str, Any]:
        """What the runtime last remembered of this conversation, in this turn or an earlier one; {} at first."""

    @property
    def said_before(self) -> str:
        """What was said in this turn before it was resumed; empty in one that is not."""

    async def remember(self, state: Mapping[str, Any]) -> None:
        """Replace the state (JSON, 4 MiB at most); committed when this returns, with all that was said before."""

    def note(self, state: Mapping[str, Any]) -> None:
        """Like `remember`, but written with what is said next, all or nothing: for how far an agent was listened to.

        `say` and its like come right after it, with nothing awaited in between.
        """

    async def delivered(self) -> None:
        """The agent has the message: shown apart from `sent`. Repeatable."""

    async def say(self, text: str, *, note: NoteOf | None = None, shown: int = 0) -> None:
        """Append to the answer: paragraphs with an empty line between them, `code` in backticks. Streamed.

        A `note` gives the state that stands with this text. It is told how many of the last characters are an
        unfinished line, and how many of these are shown: the others wait, as they could become a secret. Who says that
        line again after a restart tells the second number as `shown`.
        """

    async def think(self, text: str, *, note: NoteOf | None = None, shown: int = 0) -> None:
        """Append to what it thinks, which is shown folded. Streamed, with a note as `say` has it."""

    async def plan(self, steps: Sequence[Step]) -> None:
        """Replaces the plan of the turn."""

    async def tool(self, call: ToolCall) -> None: ...

    async def usage(self, usage: Usage) -> None:
        """Replaces the turn's usage. Raises Conflict `turn_limit` when the account's limit for a turn is passed."""

    async def card(self, card: Card) -> None: ...

    async def suggest(self, items: Sequence[Suggestion]) -> None: ...

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
        """Run a command on the server of the lease, exactly as it stands, and at most once. Its output is streamed.

        What a person `typed` is judged only where the connection says so. An agent's command is judged first, and may wait for a person; a refusal is an answer, not an error. With a
        `call_id` it is run once in the turn, whoever calls how often. Waits for a link that is being redialled.
        """

    async def read_file(self, path: str, *, reason: str = "", call_id: str | None = None) -> Answer:
        """The text of a file as `stdout`, over the lease, judged as a command is. 256 KiB at most, then `truncated`."""

    async def write_file(
        self, path: str, text: str, *, reason: str = "", call_id: str | None = None
    ) -> Answer:
        """Replace or make a text file over the lease, judged as a command is; its parent folder must exist."""

    async def ask(self, question: Question) -> Decision:
        """Ask the person and wait. Judged first where it has a command or a file: the policy may allow or deny unasked.

        Options of the kind `allow_always` are not offered: after one the agent would ask no more.
        """

    async def withdraw(self, call_id: str, why: str) -> None:
        """A question that nobody needs an answer to any more; `why` is for the person who sees it. Repeatable."""

    async def gate(self, command: str, *, call_id: str, reason: str = "", title: str = "") -> Decision:
        """May this command run once, by another's hand (a control socket)? Judged, asked and counted as `run` does.

        Raises Conflict `turn_limit` once the turn has run as many as it may.
        """


class Choice(msgspec.Struct, frozen=True):
    """One thing that a new conversation can be held with; `options` are its `runtime_options`.

    One that is not `ready` says in `hint` what is missing.
    """

    id: str
    label: str
    detail: str = ""
    ready: bool = True
    hint: str = ""
    options: dict[str, Any] = {}


class Offer(msgspec.Struct, frozen=True):
    """What a runtime offers on a connection; without choices `why_not` says what to set up first."""

    choices: tuple[Choice, ...] = ()
    why_not: str = ""


class Runtime(Protocol):
    @property
    def name(self) -> str:
        """As it stands in `conversations.runtime`."""

    @property
    def resumes(self) -> bool:
        """Whether a turn that lost its lease or its box goes on with the next lease; else it ends as `lost`."""

    @property
    def judged(self) -> bool:
        """Whether its commands are an agent's, which the policy judges, or ones that a person chose."""

    async def offer(self, account_id: str, connection_id: str) -> Offer:
        """What can be chosen for a new conversation there, without dialling anything."""

    async def run(self, turn_text: str, context: Context, hands: Hands) -> None: ...

    async def stop(self, context: Context, hands: Hands) -> None:
        """After a turn was cancelled: end what still runs for it outside the box, within 2 seconds.

        Called besides `run`'s own end, and never for a turn that is only parked. `hands` say nothing any more.
        """


__all__ = [
    "Answer", "Card", "Choice", "Decision", "Hands", "NoteOf", "Offer", "Option", "Question", "Row", "Runtime", "Status", "Step", "Suggestion",
    "ToolCall", "TurnCancelled", "TurnLost", "Usage",
]  # fmt: skip
