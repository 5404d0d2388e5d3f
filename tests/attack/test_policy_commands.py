"""Commands that pass unasked run nothing but what they were said to run, and write nothing."""

import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clawdbox.policy import Class, judge
from tests.attack.policy_sandbox import PAYLOAD, TOOLS, Sandbox, sandbox
from tests.rules.policy_table import rows

__all__ = ["sandbox"]

READS = [row.command for row in rows() if row.section == Class.READ and not judge(row.command).egress]
# Follow something for ever, ask a daemon that may not be there, or read half of the machine.
SLOW = (
    "tail -f",
    "docker logs -f",
    "sysctl -a",
    "find /srv",
    "lsof",
    "du -sh /var",
    "kubectl",
    "docker",
    "podman",
    "apt",
    "pip",
    "npm",
)
TRACED = [command for command in READS if not command.startswith(SLOW)]
MUTABLE = [
    command
    for command in TRACED
    if set(judge(command).programs) <= {*TOOLS, "cd", "[", "command", "set", "type"}
    and "sleep" not in command
]
SHELLS = [shell for shell in ("bash", "dash", "zsh", "fish") if shutil.which(shell)]
# Shells themselves, the limit on each command, and the ways by which a distribution offers its own programs.
_AROUND = {"sh", "dash", "bash", "timeout"}
_SAME = {"mawk": "awk", "gawk": "awk", "xtables-nft-multi": "iptables"}

needs_strace = pytest.mark.skipif(not shutil.which("strace"), reason="strace says what is executed")


@needs_strace
@pytest.mark.timeout(110)
def test_what_is_taken_for_reading_executes_only_what_was_said(sandbox: Sandbox) -> None:
    seen = dict(zip(TRACED, sandbox.executed(TRACED), strict=True))
    more = {
        command: extra
        for command, executed in seen.items()
        if (extra := {_SAME.get(name, name) for name in executed} - set(judge(command).programs) - _AROUND)
    }
    assert more == {}
    assert sum(bool(executed & set(judge(command).programs)) for command, executed in seen.items()) > 100
    assert sandbox.harm() == []


@needs_strace
@pytest.mark.parametrize(
    "command",
    ["find . -exec head -c1 {} +", "ls | xargs wc", "awk 'BEGIN {system(\"id\")}'", "bash -c 'ls; id'"],
)
def test_a_second_program_would_be_seen(sandbox: Sandbox, command: str) -> None:
    (executed,) = sandbox.executed([command])
    assert executed & {"head", "wc", "id"}


FRAGMENTS = [
    f";{PAYLOAD}", f"&&{PAYLOAD}", f"||{PAYLOAD}", f"|{PAYLOAD}", f"&{PAYLOAD}", f"\n{PAYLOAD}", f"\r{PAYLOAD}",
    f"$({PAYLOAD})", f"`{PAYLOAD}`", f"<({PAYLOAD})", f"${{x:-$({PAYLOAD})}}", f"$(({PAYLOAD}))", f"{{{PAYLOAD},}}",
    f" -exec {PAYLOAD} ;", f" -exec {PAYLOAD} \\;", f" -exec {PAYLOAD} {{}} +", f" --pre={PAYLOAD} x", f" --pre {PAYLOAD} x",
    f" --compress-program={PAYLOAD} -S1 -T.", f" --output={PAYLOAD}", " -o out", " -delete", " -fprint out", " > out", ">out", ">>out",
    f" 'BEGIN{{system(\"{PAYLOAD}\")}}'", f"{{print|\"{PAYLOAD}\"}}", "{print>\"out\"}", f";s/./{PAYLOAD}/e", "w out", ";w out", f";1e {PAYLOAD}",
    f"e {PAYLOAD}", f" | xargs {PAYLOAD}", f" | sh -c {PAYLOAD}", f"xargs {PAYLOAD} <", f"env {PAYLOAD} ", f"timeout 1 {PAYLOAD};", f" -c '{PAYLOAD}'",
    f"x='{PAYLOAD}' ", f"BASH_ENV={PAYLOAD} ", f"GIT_PAGER={PAYLOAD} ", f" -c core.pager={PAYLOAD} -p ", f" -c alias.x=!{PAYLOAD} x ",
    f"eval {PAYLOAD};", f"<<E\n$({PAYLOAD})\nE\n", f"{PAYLOAD}(){{ :;}};", f"!{PAYLOAD}", "'", '"', "\\", "\\\n", "#", "{}", "--", " -- ", "*", "~", "=", "(", ")",
    " ", "\t", "\n", "/", "|", "&", ";", "<", ">", "$", "`", "!", "[", "]", "e", "w", "-", ",", "\u00a0", "\u2028", "\u200b",
]  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """An allowed command, into which something was put, from which something was cut, or to which another was joined."""
    command = draw(st.sampled_from(MUTABLE))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(command)))
        match draw(st.integers(0, 3)):
            case 0 | 1:
                command = command[:at] + draw(st.sampled_from(FRAGMENTS)) + command[at:]
            case 2:
                command = command[:at] + command[at + draw(st.integers(1, 3)) :]
            case _:
                command = command[:at] + draw(st.sampled_from(MUTABLE))[draw(st.integers(0, 8)) :]
    return command


def stays_reading(sandbox: Sandbox, command: str) -> None:
    judgement = judge(command)
    if judgement.klass is not Class.READ or judgement.secret is not None:
        return
    assert PAYLOAD not in judgement.programs
    for shell in SHELLS:
        sandbox.run(command, shell)
        assert sandbox.harm() == [], f"{shell}: {command!r}"


@settings(
    max_examples=500,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(command=mutated())
def test_no_mutation_of_an_allowed_command_runs_another_program(sandbox: Sandbox, command: str) -> None:
    stays_reading(sandbox, command)


@pytest.mark.long
@settings(
    max_examples=6000,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(command=mutated())
@pytest.mark.timeout(1800)
def test_nor_do_thousands_of_them(sandbox: Sandbox, command: str) -> None:
    stays_reading(sandbox, command)


@pytest.mark.parametrize(
    "command",
    [
        f"ls;{PAYLOAD}",
        f"find . -exec {PAYLOAD} {{}} +",
        f"awk 'BEGIN {{system(\"{PAYLOAD}\")}}'",
        f"sed '1e {PAYLOAD}' file",
        "sort -o out file",
        "ls > out",
    ],
)
def test_the_sandbox_sees_what_it_is_for(sandbox: Sandbox, command: str) -> None:
    sandbox.run(command, "bash")
    assert sandbox.harm() != []
    assert judge(command).klass is not Class.READ
