"""Decisions about the exchange of a keypair (document 04, 4.1), and the edit that lets a new key in beside the old one."""

import shlex
from datetime import datetime, timedelta

import msgspec

from clawdbox.errors import Conflict
from clawdbox.ssh.model.key_rotations import Rotation, RotationState, RotationStep, StepState

# state → states it may become (document 02, lifecycle of keypair_rotations)
TRANSITIONS: dict[RotationState, frozenset[RotationState]] = {
    RotationState.RUNNING: frozenset({
        RotationState.STALLED, RotationState.ROTATED, RotationState.CANCELLED,
    }),
    RotationState.STALLED: frozenset({RotationState.RUNNING, RotationState.CANCELLED}),
    RotationState.ROTATED: frozenset({RotationState.REVOKED}),
    RotationState.REVOKED: frozenset(),
    RotationState.CANCELLED: frozenset(),
}  # fmt: skip

# What is still to be done on a server. An edit may be begun again: it looks first whether the line is there.
OPEN = frozenset({StepState.WAITING, StepState.INSTALLING, StepState.INSTALLED})
_SETTLED = frozenset({StepState.SWITCHED, StepState.SKIPPED})

_ANSWERS = {
    "installed": None,
    "present": None,
    "absent": "The old key is not in ~/.ssh/authorized_keys there, so the box cannot tell with which options to let the new one in.",
    "changed": "Somebody else changed authorized_keys at the same moment, so the box left it alone.",
}


def become(rotation: Rotation, state: RotationState, now: datetime) -> Rotation:
    """The rotation in its next state. Raises Conflict `rotation_over` when it may not go there."""
    if state not in TRANSITIONS[rotation.state]:
        raise Conflict("rotation_over", f"This rotation is {rotation.state}: there is nothing to do for it.")
    ends = state in (RotationState.REVOKED, RotationState.CANCELLED)
    return msgspec.structs.replace(rotation, state=state, ended_at=now if ends else None)


def rotated(rotation: Rotation, now: datetime, keep_days: int) -> Rotation:
    after = become(rotation, RotationState.ROTATED, now)
    return msgspec.structs.replace(after, rotated_at=now, revoke_at=now + timedelta(days=keep_days))


def is_complete(steps: list[RotationStep]) -> bool:
    return all(step.state in _SETTLED for step in steps)


def check_cancel(steps: list[RotationStep]) -> None:
    if any(step.state is StepState.SWITCHED for step in steps):
        raise Conflict(
            "rotation_switched",
            "A server is entered by the new key already. Try the failed ones again instead.",
        )


def install_command(old_public_key: str, new_public_key: str) -> str:
    """One POSIX line that puts the new key after the old one, under the same options, and prints one word.

    Written to a copy beside the file and renamed; the file before it stays as `authorized_keys.clawdbox-before`. Where
    authorized_keys is a link, the file that it leads to is the one that changes.
    """
    old, new = shlex.quote(old_public_key.split()[1]), shlex.quote(new_public_key.split()[1])
    comment = shlex.quote("".join(f" {word}" for word in new_public_key.split()[2:]))
    script = (
        "cd ~/.ssh 2>/dev/null && [ -f authorized_keys ] || { echo absent; exit 0; }; umask 077; "
        "f=authorized_keys; [ ! -L $f ] || f=$(readlink -f $f) || exit 1; "
        f'if grep -v "^[[:space:]]*#" "$f" | grep -qF {new}; then echo present; exit 0; fi; '
        f'grep -v "^[[:space:]]*#" "$f" | grep -qF {old} || {{ echo absent; exit 0; }}; '
        't="$f.clawdbox-$$"; trap \'rm -f "$t"\' EXIT; was=$(cksum < "$f") && '
        'cp -p "$f" "$f.clawdbox-before" && cp -p "$f" "$t" && '
        f"awk -v old={old} -v new={new} -v comment={comment} "
        "'{ print } !/^[ \\t]*#/ && (at = index($0, old)) { print substr($0, 1, at - 1) new comment }' "
        '"$f.clawdbox-before" > "$t" && '
        '{ [ "$(cksum < "$f")" = "$was" ] || { echo changed; exit 0; }; } && mv "$t" "$f" && echo installed'
    )
    return f"sh -c {shlex.quote(script)}"  # the login shell may be none that reads POSIX syntax


def refusal(exit_status: int | None, stdout: bytes) -> str | None:
    """Why the key is not installed, as a sentence; None when it is."""
    word = stdout.decode(errors="replace").strip()
    if exit_status == 0 and word in _ANSWERS:
        return _ANSWERS[word]
    return "The server did not make the change: its disk may be full, or the old key may be let in for one command alone."
