"""May this terminal be recorded, may that recording be stopped, and how does one end?"""

from typing import Final

from clawdbox.errors import Conflict
from clawdbox.ssh.model.recordings import Policy, Recording, RecordingState

TRANSITIONS: Final[dict[RecordingState, frozenset[RecordingState]]] = {
    RecordingState.RECORDING: frozenset({RecordingState.DONE, RecordingState.CUT, RecordingState.BROKEN}),
    RecordingState.DONE: frozenset({RecordingState.DELETED}),
    RecordingState.CUT: frozenset({RecordingState.DELETED}),
    RecordingState.BROKEN: frozenset({RecordingState.DELETED}),
    RecordingState.DELETED: frozenset(),
}
# Why one ends, and what it is then.
ENDS: Final[dict[str, RecordingState]] = {
    "asked": RecordingState.DONE,
    "terminal_ended": RecordingState.DONE,
    "too_long": RecordingState.DONE,
    "recordings_full": RecordingState.BROKEN,
    "disk_full": RecordingState.BROKEN,
    "disk_slow": RecordingState.BROKEN,
    "disk_failed": RecordingState.BROKEN,
    "box_crashed": RecordingState.CUT,
}
# What stands at the end of a recording that stops before its terminal does, for who plays it elsewhere.
LAST_WORDS: Final[dict[str, str]] = {
    "too_long": "The recording ends here: it has reached its largest size.",
    "recordings_full": "The recording ends here: there is no more room for recordings.",
    "disk_full": "The recording ends here: the disk of the box was full.",
    "disk_slow": "The recording ends here: the disk of the box was too slow.",
    "disk_failed": "The recording ends here: the disk of the box failed.",
    "box_crashed": "The recording was cut here: the box died.",
}
# What forbids that a recording begins, and what to do about it.
_NOT_NOW: Final[dict[str, str]] = {
    "recordings_full": "there is no more room for recordings. Delete old ones, or raise recordings_total_bytes",
    "disk_full": "the disk of the box is full. Free some space there",
    "disk_failed": "the disk of the box does not take it. Look at the box's log",
}


def required(reason: str) -> Conflict:
    """For a terminal that must be recorded and cannot be: nobody gets one unseen."""
    return Conflict(
        "recording_required",
        f"Terminals of this connection are always recorded, and now none can be: {_NOT_NOW[reason]},"
        " or choose another setting on the connection's page.",
        reason=reason,
    )


def check_start(policy: Policy, running: Recording | None, used: int, allowed: int) -> None:
    """Raises Conflict."""
    if policy is Policy.NEVER:
        raise Conflict(
            "recording_forbidden",
            "Terminals of this connection are never recorded. Change that on the connection's page first.",
        )
    if running:
        raise Conflict(
            "already_recording", "This terminal is being recorded already.", recording_id=running.id
        )
    if used >= allowed:
        raise Conflict(
            "recordings_full",
            "There is no more room for recordings. Delete old ones, or raise recordings_total_bytes.",
            used_bytes=used,
            allowed_bytes=allowed,
        )


def check_stop(recording: Recording, policy: Policy) -> None:
    """What the policy began, the policy ends: an open browser is not enough. Raises Conflict."""
    if recording.state is not RecordingState.RECORDING:
        raise Conflict("recording_ended", "This recording has ended already.")
    if recording.why == "policy" and policy is Policy.ALWAYS:
        raise Conflict(
            "recording_by_policy",
            "Terminals of this connection are always recorded. Change that on the connection's page first.",
        )


def check_delete(recording: Recording) -> None:
    """Raises Conflict."""
    if recording.state is RecordingState.RECORDING:
        raise Conflict("recording_running", "It is still being recorded. Stop it first.")


def is_whole(recording: Recording, *, finished: bool, was_cut: bool, size: int) -> bool:
    """Whether a file is still what its row says: one that lost its end must not be played as if that was all."""
    match recording.state:
        case RecordingState.DONE:
            return finished and not was_cut
        case RecordingState.CUT:
            return finished
        case _:
            return size >= (recording.size_bytes or 0)
