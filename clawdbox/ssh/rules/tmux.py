"""Terminals kept alive on a server: the commands that make, list, enter and end its tmux sessions, and what they answer.

The scripts are one line of POSIX sh, without single quotes and exclamation marks, so that they pass unharmed through
any login shell (bash, zsh, fish, csh). Nothing a person wrote is in them: a name is made from an id, sizes are numbers.
The sessions have a socket and settings of their own and leave a person's tmux alone. Options are set one by one: what
an old tmux does not know (1.8 came in 2013) costs that option and nothing else. rc files may write before an answer,
so answers are lines that begin with a mark.
"""

import re
from typing import Literal

HISTORY = 10_000
_SHOWN = 5_000
PAST_BYTES = 1_048_576
_PAST = b"clawdbox:past\n"
_WIPED = b"\x1b[H\x1b[2J\x1b[3J"
_NAME = re.compile(r"clawdbox-[0-9a-f]{12}")
# Where tmux lives when a shell that reads no profile does not look there.
_PATH = 'PATH="$PATH:/usr/local/bin:/opt/homebrew/bin:/opt/local/bin:/usr/pkg/bin:/opt/bin"; export PATH'
_TMUX = "tmux -u -L clawdbox -f /dev/null"
# What scrolls away lands where the browser scrolls back to: no alternate screen of tmux's own, and line feeds instead
# of "scroll up by N" (indn), which lets go of what it moves out.
_TERMINAL = '"xterm*:smcup@:rmcup@:indn@:Tc"'
_OPTIONS = (
    "-g status off",
    "-g prefix None",
    "-g prefix2 None",
    "-g destroy-unattached off",
    "-g mouse off",
    "-g window-size latest",
    "-s escape-time 0",
    "-s exit-unattached off",
    f"-g terminal-overrides {_TERMINAL}",
)

Made = Literal["made", "missing", "failed"]


def name_of(kept_id: str) -> str:
    """The tmux session of a kept terminal. All have one length, since old versions take a prefix for the name."""
    return f"clawdbox-{kept_id.replace('-', '')[-12:]}"


def make(name: str, cols: int, rows: int) -> str:
    """Make the session, without entering it."""
    new = f"new-session -d -s {_checked(name)} -x {int(cols)} -y {int(rows)}"
    first = (
        f'set-option -g default-terminal screen-256color ";" set-option -g history-limit {HISTORY} ";" {new}'
    )
    options = "; ".join(f"$T set-option {option}" for option in _OPTIONS)
    return _sh(
        f'{_PATH}; command -v tmux >/dev/null 2>&1 || {{ echo clawdbox:missing; exit 0; }}; T="{_TMUX}"; '
        f'{{ $T start-server ";" {first} || $T {new}; }} >/dev/null 2>&1 || {{ echo clawdbox:failed; exit 0; }}; '
        f"{{ {options}; $T unbind-key -a; }} >/dev/null 2>&1; echo clawdbox:made"
    )


def was_made(output: bytes) -> Made:
    marks: list[Made] = ["made", "missing"]
    return next((mark for mark in marks if f"clawdbox:{mark}" in _lines(output)), "failed")


def past(name: str, cols: int, rows: int) -> str:
    """Give the session the size that the PTY will have, and print what is above its screen then.

    Not on the PTY itself: as it attaches, tmux drops what a terminal has not read yet. Set by hand, a size would stay.
    """
    target = _checked(name)
    return _sh(
        f'{_PATH}; T="{_TMUX}"; {{ $T set-option -g terminal-overrides {_TERMINAL}; $T detach-client -s {target}; '
        f"$T resize-window -t {target} -x {int(cols)} -y {int(rows)}; $T set-option -uw -t {target} window-size; }} "
        f'>/dev/null 2>&1; H=$($T display-message -p -t {target} "#{{history_size}}" 2>/dev/null); echo clawdbox:past; '
        f'[ "${{H:-0}}" -gt 0 ] 2>/dev/null && $T capture-pane -p -e -S -{_SHOWN} -E -1 -t {target} 2>/dev/null '
        f"| tail -c {PAST_BYTES}"
    )


def shown(output: bytes, rows: int) -> bytes:
    """What a terminal shows before tmux draws: the past, pushed out of sight line by line, and an empty screen.

    A page that is taller than `rows` keeps its newest lines in sight, where tmux wipes them: those it draws again,
    as soon as it has heard of the size.
    """
    _, mark, lines = output.replace(b"\r\n", b"\n").partition(_PAST)
    if len(lines) >= PAST_BYTES:
        lines = lines[lines.find(b"\n") + 1 :]
    if not mark or not lines:
        return _WIPED
    return _WIPED + lines.replace(b"\n", b"\r\n") + b"\x1b[m" + b"\r\n" * rows


def enter(name: str) -> str:
    """On a PTY; who was attached before is detached."""
    return _sh(f"{_PATH}; exec {_TMUX} attach-session -d -t {_checked(name)}")


def look() -> str:
    """Which sessions are there."""
    return _sh(
        f"{_PATH}; command -v tmux >/dev/null 2>&1 || exit 0; "
        f'{_TMUX} list-sessions -F "clawdbox:has #{{session_name}}" 2>/dev/null; echo clawdbox:looked'
    )


def seen(output: bytes) -> frozenset[str] | None:
    """The names there are; None when the server did not say, which is no proof that one has ended."""
    lines = _lines(output)
    if "clawdbox:looked" not in lines:
        return None
    return frozenset(line.removeprefix("clawdbox:has ") for line in lines if line.startswith("clawdbox:has "))


def end(name: str) -> str:
    """End the session and what runs in it, and look."""
    return _sh(
        f"{_PATH}; command -v tmux >/dev/null 2>&1 || exit 0; {_TMUX} kill-session -t {_checked(name)} 2>/dev/null; "
        f'{_TMUX} list-sessions -F "clawdbox:has #{{session_name}}" 2>/dev/null; echo clawdbox:looked'
    )


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"no name of a kept terminal: {name!r}")
    return name


def _sh(script: str) -> str:
    assert "'" not in script
    assert "!" not in script
    return f"exec sh -c '{script}'"


def _lines(output: bytes) -> list[str]:
    return [line.strip() for line in output.decode("utf-8", "replace").splitlines()]
