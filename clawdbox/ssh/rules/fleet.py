"""What a command on many connections comes to (document 02, lifecycle of fleet_runs and fleet_answers)."""

import hashlib

from clawdbox.errors import Conflict, Invalid, Problem
from clawdbox.ssh.model import ExecAnswer
from clawdbox.ssh.model.fleet import AnswerState, Outcome, RunState

MAX_CONNECTIONS = 200
MAX_RUNNING = 4  # runs of an account at the same time
OUTPUT_BYTES = 65_536  # kept of each stream
KEPT_RUNS = 100

# state → states it may become
RUN_TRANSITIONS: dict[RunState, frozenset[RunState]] = {
    RunState.RUNNING: frozenset({RunState.DONE, RunState.CANCELLED, RunState.INTERRUPTED}),
    RunState.DONE: frozenset(),
    RunState.CANCELLED: frozenset(),
    RunState.INTERRUPTED: frozenset(),
}
_ENDS = frozenset({
    AnswerState.DONE, AnswerState.FAILED, AnswerState.LOST, AnswerState.CANCELLED, AnswerState.REFUSED,
})  # fmt: skip
ANSWER_TRANSITIONS: dict[AnswerState, frozenset[AnswerState]] = {
    AnswerState.WAITING: frozenset({AnswerState.RUNNING, AnswerState.CANCELLED, AnswerState.REFUSED}),
    AnswerState.RUNNING: _ENDS,
    **dict.fromkeys(_ENDS, frozenset()),
}

NOT_SENT = "It was not run here."
LOST = Outcome(
    AnswerState.LOST,
    cause="lost",
    message="The link broke while it ran. It may have finished or not, and it is not run again by itself.",
    next_step="Look on the server what came of it before you run it again.",
)
CANCELLED = Outcome(AnswerState.CANCELLED, cause="cancelled", message=f"The run was cancelled. {NOT_SENT}")
BOX_ENDED = Outcome(
    AnswerState.CANCELLED, cause="box_ended", message=f"The box ended before it was sent. {NOT_SENT}"
)
BOX_ENDED_RUNNING = Outcome(
    AnswerState.LOST,
    cause="box_ended",
    message="The box ended while it ran. It may have finished or not, and it is not run again by itself.",
    next_step="Look on the server what came of it before you run it again.",
)


def check_run(connection_ids: list[str], running: int) -> list[str]:
    """The connections, each once. Raises Invalid, and Conflict `fleet_limit_reached`."""
    chosen = list(dict.fromkeys(connection_ids))
    if not chosen:
        raise Invalid("connection_ids", "Choose at least one server.")
    if len(chosen) > MAX_CONNECTIONS:
        raise Invalid("connection_ids", f"Choose at most {MAX_CONNECTIONS} servers.")
    if running >= MAX_RUNNING:
        raise Conflict(
            "fleet_limit_reached", f"{running} runs are going on. Wait for one of them, or cancel it first."
        )
    return chosen


def answered(answer: ExecAnswer) -> Outcome:
    """What came of a command that was sent."""
    if answer.timed_out:
        return _outcome(
            answer, AnswerState.FAILED, "timed_out", "It took longer than it was given, and was stopped."
        )
    if answer.cancelled:
        return _outcome(answer, AnswerState.CANCELLED, "cancelled", "It was stopped before it had ended.")
    if answer.exit_status is None:
        return _outcome(answer, AnswerState.LOST, LOST.cause, LOST.message, LOST.next_step)
    if answer.exit_status != 0:
        return _outcome(
            answer, AnswerState.FAILED, "exit_status", f"It ended with the status {answer.exit_status}."
        )
    return _outcome(answer, AnswerState.DONE)  # fmt: skip


def refused(problem: Problem) -> Outcome:
    """Nothing was run: the box or the server would not."""
    next_step = problem.detail.get("next_step")
    return Outcome(
        AnswerState.REFUSED,
        cause=str(problem.detail.get("cause") or problem.code),
        message=problem.message,
        next_step=str(next_step) if next_step else None,
    )


def after_the_box_ended(state: AnswerState) -> Outcome:
    return BOX_ENDED_RUNNING if state is AnswerState.RUNNING else BOX_ENDED


def _outcome(
    answer: ExecAnswer,
    state: AnswerState,
    cause: str | None = None,
    message: str | None = None,
    next_step: str | None = None,
) -> Outcome:
    stdout, stderr = answer.stdout[:OUTPUT_BYTES], answer.stderr[:OUTPUT_BYTES]
    cut = len(stdout) + len(stderr) < len(answer.stdout) + len(answer.stderr)
    return Outcome(
        state,
        exit_status=answer.exit_status,
        stdout=stdout,
        stderr=stderr,
        truncated=answer.truncated or cut,
        digest=_digest(state, answer.exit_status, stdout, stderr),
        duration_ms=round(answer.duration_ms, 2),
        cause=cause,
        message=message,
        next_step=next_step,
    )


def _digest(state: AnswerState, exit_status: int | None, stdout: bytes, stderr: bytes) -> str:
    """The same for two servers that said the same, blanks at the end aside."""
    parts = (state.encode(), str(exit_status).encode(), stdout.rstrip(), stderr.rstrip())
    return hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).hexdigest()[:16]
