"""Which process on the server is a given command of ours? Pure: what to ask, and how to read the answer.

All commands of one connection are children of the same server process, and so is the one that asks. The children
without a terminal, oldest first, are therefore our running commands in the order in which they were sent.
"""

import re
from collections.abc import Sequence

import msgspec

_MARK = "clawdbox-child"
_NUMBER = re.compile(r"[0-9]{1,18}")  # `int` refuses what a hostile server could make much longer

# For any login shell (sh, bash, zsh, fish, csh): one line, no single quote and no `!` within the single quotes.
# After the command's name, /proc/PID/stat goes on with: state, parent, group, session, terminal, …, start time (20th).
ASK = (
    "exec sh -c '"
    "for d in /proc/[0-9]*; do "
    "{ read -r s < $d/stat; } 2>/dev/null || continue; "
    "set -- ${s##*) }; "
    '[ "$2" = "$PPID" ] && [ ${d#/proc/} -ne $$ ] && '
    f'echo {_MARK} ${{d#/proc/}} $3 $5 ${{20}} "$(tr "\\000\\n" "  " < $d/cmdline)"; '
    "done 2>/dev/null'"
)


class Child(msgspec.Struct, frozen=True):
    pid: int
    group: int
    terminal: int
    begun: int
    args: str


def children(answer: bytes) -> list[Child]:
    """The answer to ASK, oldest first; lines of rc files in between are passed over."""
    found = []
    for line in answer.decode("utf-8", "replace").splitlines():
        words = line.split(" ", 5)
        if len(words) == 6 and words[0] == _MARK and all(map(_NUMBER.fullmatch, words[1:5])):
            pid, group, terminal, begun = (int(word) for word in words[1:5])
            found.append(Child(pid, group, terminal, begun, words[5].strip()))
    return sorted(found, key=lambda child: (child.begun, child.pid))


def find(found: Sequence[Child], running: Sequence[str], mine: int) -> Child | None:
    """The child that is `running[mine]`, or None when that is not certain: better none than another one's.

    `running` are our commands without a terminal that have not ended, in the order in which they were sent.
    """
    candidates = [child for child in found if child.terminal == 0]
    alike = [child for child in candidates if _is(child, running[mine])]
    twins = [index for index, command in enumerate(running) if command == running[mine]]
    if len(alike) == len(twins):
        return alike[twins.index(mine)]
    return candidates[mine] if len(candidates) == len(running) else None


def _is(child: Child, command: str) -> bool:
    """`bash -c command`, or the command itself where the shell replaced itself by it."""
    flat = command.replace("\n", " ").strip()
    return child.args == flat or child.args.endswith(f" -c {flat}")


def kill_command(child: Child, signal: str) -> str:
    """Signals the whole group, if the child leads one, as it does under OpenSSH; else the child and what it started."""
    if child.group == child.pid:
        return f"exec sh -c 'kill -s {signal} -- -{child.pid}'"
    return (
        f'exec sh -c \'l=" {child.pid} "; n=; '
        'until [ "$l" = "$n" ]; do n=$l; for d in /proc/[0-9]*; do '
        "{ read -r s < $d/stat; } 2>/dev/null || continue; p=${d#/proc/}; set -- ${s##*) }; "
        'case $l in *" $p "*) ;; *" $2 "*) l="$l$p ";; esac; done; done; '
        f"kill -s {signal} $l'"
    )
