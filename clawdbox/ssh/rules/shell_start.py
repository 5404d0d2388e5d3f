"""What a login shell does before it runs a command: measured on the server, so that no network is in it.

Every exec goes through the login shell, and some shells read their start-up files even then (bash under sshd reads
~/.bashrc, zsh ~/.zshenv, fish its config). The kernel knows when each process was started. The command is run by the
shell once its files are read, and compares its own start with that of its parent, the shell: both from one clock
(proc(5), field 22 of /proc/PID/stat), so that neither the way to the server nor its wall clock matters.
"""

import re
from statistics import median

from clawdbox.names import printable
from clawdbox.ssh.model.stats import Level, ShellStart

RUNS = 5
# `; :` keeps a shell from replacing itself by its last command, which would then be its own parent.
COMMAND = (
    "sh -c 'echo @@shell; read -r a </proc/$PPID/stat; echo $a; read -r b </proc/self/stat; echo $b;"
    " read -r c </proc/$PPID/comm; echo $c' 2>/dev/null; :"
)
_TICK_MS = 10.0  # USER_HZ is 100 wherever Linux has a stable ABI
_ABSURD_MS = 600_000
_GUARD = "Put it below the line that ends the file for shells without a person ({guard}), or take it out."
_ADVICE = {
    "bash": ("~/.bashrc", "such as `case $- in *i*) ;; *) return;; esac` at its top"),
    "zsh": ("~/.zshenv", "`[[ -o interactive ]] || return`; better: move it to ~/.zshrc"),
    "fish": ("~/.config/fish/config.fish", "`status is-interactive; or exit`"),
}
UNKNOWN = "It can be measured on Linux only, where the kernel tells when a shell was started."


def parse(output: bytes) -> tuple[float | None, str | None]:
    """(milliseconds, the shell's name) of one run. Never raises."""
    text = output[:4096].decode(errors="replace")
    lines = text[text.rfind("@@shell\n") :].split("\n") if "@@shell\n" in text else []
    if len(lines) < 4:
        return None, None
    shell, own = _started(lines[1]), _started(lines[2])
    name = printable(lines[3], 32).removeprefix("-") or None
    if shell is None or own is None or not 0 <= (own - shell) * _TICK_MS < _ABSURD_MS:
        return None, name
    return (own - shell) * _TICK_MS, name


def _started(stat: str) -> int | None:
    """Field 22; the name in field 2 may hold blanks and brackets, so that counting begins behind the last one."""
    fields = stat[:2000].rpartition(")")[2].split()
    return int(fields[19]) if len(fields) > 19 and re.fullmatch(r"[0-9]{1,18}", fields[19]) else None


def verdict(runs: list[tuple[float | None, str | None]]) -> ShellStart:
    samples = [ms for ms, _ in runs if ms is not None]
    shell = next((name for _, name in runs if name), None)
    if not samples:
        return ShellStart(None, [], shell, "ok", UNKNOWN)
    middle = float(median(samples))
    level: Level = "bad" if middle >= 300 else "warn" if middle >= 80 else "ok"
    return ShellStart(middle, samples, shell, level, _advice(shell, middle))


def _advice(shell: str | None, ms: float) -> str:
    if ms < 80:
        return "Nothing to mend: the login shell starts quickly."
    cost = f"Every command waits {ms:.0f} ms for the start-up files of the login shell."
    if shell in _ADVICE:
        file, guard = _ADVICE[shell]
        return f"{cost} Look into {file} on the server for what takes so long. {_GUARD.format(guard=guard)}"
    return f"{cost} Look on the server for what they do before they ask whether a person is there."
