"""How a turn stands with its gateway, from the history: the only thing that outlives a gateway and a box.

A gateway forgets the keys of its messages when it is started again, and would run a message that comes twice a second
time. Its history does not forget: a message that is there is never sent again.
"""

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from clawdbox.agents.runtimes.openclaw.frames import History, Message

_ENDED = {"done": "done", "completed": "done", "failed": "failed", "killed": "aborted", "timeout": "failed"}
_OWN_WORDS = "[System]"  # begins the message with which a gateway takes up a run that its restart cut off


class Course(StrEnum):
    UNSENT = "unsent"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    ABORTED = "aborted"
    CUT_OFF = "cut_off"  # it was sent, is not under way, and has no end: a gateway that starts takes it up


class Standing(msgspec.Struct, frozen=True):
    """`run` is who answers now or has answered; `answer` all that is to be seen of it so far."""

    course: Course
    run: str | None = None
    answer: str = ""
    error: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None


def key_of(turn_id: str) -> str:
    """How the history calls the message of a turn."""
    return f"{turn_id}:user"


def is_sent(turn_id: str, messages: Sequence[Message], history: History) -> bool:
    return (
        any(row.idempotency_key == key_of(turn_id) or row.marks.run_id == turn_id for row in messages)
        or any(receipt.run_id == turn_id for receipt in history.input_receipts)
        or _is_live(turn_id, history)
    )


def of(turn_id: str, messages: Sequence[Message], history: History) -> Standing:
    """`messages` are rows of the history, the oldest first, as far back as the turn's own message where it is there."""
    if not is_sent(turn_id, messages, history):
        return Standing(Course.UNSENT)
    mine = _since(turn_id, messages)
    run = _run(turn_id, mine, history)
    live = history.in_flight_run
    answer = live.text if live is not None and live.run_id == run and live.text else _answer(run, mine)
    used = _used([row for row in mine if row.role == "assistant"])
    course, error = _course(run, mine, history)
    return Standing(course, run, answer, error, *used)


def _since(turn_id: str, messages: Sequence[Message]) -> list[Message]:
    """From the turn's message to the next one that a person sent from elsewhere."""
    begun = next(
        (index + 1 for index, row in enumerate(messages) if row.idempotency_key == key_of(turn_id)), None
    )
    mine = list(messages[begun:]) if begun is not None else [r for r in messages if r.marks.run_id == turn_id]
    end = next(
        (index for index, row in enumerate(mine) if row.role == "user" and not _is_own_words(row)), None
    )
    return mine[:end]


def _is_own_words(row: Message) -> bool:
    return row.text.startswith(_OWN_WORDS)


def _run(turn_id: str, mine: Sequence[Message], history: History) -> str:
    """Who answers: the turn's own run, or the one with which the gateway went on after a restart."""
    live = history.session_info.active_run_ids or ()
    if history.in_flight_run is not None:
        live = (history.in_flight_run.run_id, *live)
    if turn_id in live:
        return turn_id
    taken_up = [row.idempotency_key for row in mine if row.role == "user" and row.idempotency_key]
    if taken_up:
        return str(taken_up[-1]).removesuffix(":user")
    return live[0] if live and not _has_end(turn_id, mine, history) else turn_id


def _is_live(run: str, history: History) -> bool:
    in_flight = history.in_flight_run
    return run in (history.session_info.active_run_ids or ()) or (
        in_flight is not None and in_flight.run_id == run
    )


def _has_end(run: str, mine: Sequence[Message], history: History) -> bool:
    return history.session_info.last_run_id == run or any(_is_end(row, run) for row in mine)


def _is_end(row: Message, run: str) -> bool:
    if row.role != "assistant" or row.marks.run_id != run:
        return False
    return row.stop_reason not in (None, "toolUse")


def _course(run: str, mine: Sequence[Message], history: History) -> tuple[Course, str]:
    info = history.session_info
    if _is_live(run, history) or (info.has_active_run and info.active_run_ids is None):
        return Course.RUNNING, ""
    ending = next((row for row in reversed(mine) if _is_end(row, run)), None)
    if ending is not None:
        if ending.openclaw_abort is not None or ending.stop_reason == "aborted":
            return Course.ABORTED, ""
        if ending.stop_reason == "error":
            return Course.FAILED, ending.text
        return Course.DONE, ""
    if info.last_run_id == run and info.status in _ENDED:
        return Course(_ENDED[info.status]), ""
    return Course.CUT_OFF, ""


def _answer(run: str, mine: Sequence[Message]) -> str:
    said = [
        row.text.strip()
        for row in mine
        if row.role == "assistant" and row.marks.run_id == run and row.stop_reason != "error"
    ]
    return "\n\n".join(text for text in said if text)


def _used(rows: Sequence[Message]) -> tuple[int | None, int | None, float | None]:
    """Tokens and cost of these rows; None where nothing was told."""
    told = [row.usage for row in rows if row.usage is not None]
    if not told:
        return None, None, None
    cost = sum(float(usage.cost.get("total") or 0) for usage in told if usage.cost)
    return sum(usage.input for usage in told), sum(usage.output for usage in told), cost or None
