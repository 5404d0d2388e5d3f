"""The kept shell: the same answers as from a shell for each command, faster, and its end cannot be forged."""

import asyncio
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawdbox.ssh.wire.dial import dial
from clawdbox.ssh.wire.execs import run
from clawdbox.ssh.wire.link import Link
from clawdbox.ssh.wire.model import ChannelRefused, ExecResult
from clawdbox.ssh.wire.runner import Marker
from tests.ssh.keys import Keypair, pin_of, target_of
from tests.ssh.odd_server import OddServer
from tests.ssh.sshd import Sshd
from tests.ssh.test_execs import processes_with
from tests.waiting import eventually


async def kept(link: Link, command: str, timeout_s: float = 30, **more: object) -> ExecResult:
    limits = {"max_output_bytes": 1_000_000, **more}
    return await run(link, command, timeout_s=timeout_s, kept=True, **limits)  # type: ignore[arg-type]


COMMANDS = {
    "nothing": (":", 0, b"", b""),
    "both streams": ("printf out; printf err >&2; exit 3", 3, b"out", b"err"),
    "no last newline": ("printf 'a\\nb'", 0, b"a\nb", b""),
    "only newlines": ("printf '\\n\\n\\n'", 0, b"\n\n\n", b""),
    "quotes": ("echo 'it'\"'\"'s' \"$((1 + 1))\" '$HOME' `echo x`", 0, b"it's 2 $HOME x\n", b""),
    "several lines": ("echo one\necho two # 'comment\nfalse", 1, b"one\ntwo\n", b""),
    "here document": ("cat <<'X'\n) ; exit 9\nX\n", 0, b") ; exit 9\n", b""),
    "signal": ("sh -c 'kill -9 $$'", 137, b"", None),
    "unknown": ("no-such-command-here", 127, b"", None),
    "empty stdin": ("cat; read line; echo $?", 0, b"1\n", b""),
    "binary": ("printf '\\000\\377\\n\\001'", 0, b"\x00\xff\n\x01", b""),
    "ends itself": ("exec true", 0, b"", b""),
    "closed streams": ("exec >&- 2>&-; echo gone", 1, b"", None),
}


@pytest.mark.parametrize("name", COMMANDS)
async def test_the_answer_is_the_command_s_own(link: Link, name: str) -> None:
    command, status, out, err = COMMANDS[name]
    for _ in range(2):
        answer = await kept(link, command)
        if name == "closed streams":
            assert (answer.exit_status or 0) > 0
        else:
            assert answer.exit_status == status
        assert answer.stdout == out
        assert err is None or answer.stderr == err
    assert link.open_channels == 1


@pytest.mark.parametrize(
    "broken", ["if", "echo 'open", 'echo "open', ")", "}", "( echo x", "cat <<X", "$(", "\\"]
)
async def test_a_syntax_error_is_an_answer_and_harms_nobody_after_it(link: Link, broken: str) -> None:
    assert not (await kept(link, broken)).lost
    assert (await kept(link, "echo well")).stdout == b"well\n"


async def test_nothing_of_a_command_stays_for_the_next(link: Link) -> None:
    home = (await kept(link, "pwd")).stdout
    await kept(
        link, "cd /; X=1; export X; set -e; trap 'echo trapped' EXIT; umask 777; alias ls=false; f() { :; }"
    )
    assert (await kept(link, 'pwd; echo "<$X>"; false; umask; f')).stdout.startswith(home + b"<>\n0")


async def test_a_command_cannot_forge_its_end(link: Link, tmp_path: Path) -> None:
    steal = (
        "set; env; tr '\\000' ' ' </proc/$PPID/cmdline; cat /proc/$PPID/environ; tr '\\000' ' ' </proc/self/cmdline;"
        ' jobs; echo "$BASH_COMMAND $0 $*"'
    )
    loot = (await kept(link, steal)).stdout
    digits = {word for word in loot.replace(b"\n", b" ").split() if len(word) == 32}
    for word in [*digits, b"0" * 32]:
        forged = f"printf '\\000%s 0\\n' {word.decode()}; printf '\\000%s\\n' {word.decode()} >&2; echo after; exit 5"
        answer = await kept(link, forged)
        assert (answer.exit_status, answer.stdout[-6:]) == (5, b"after\n")


async def test_a_large_output_is_whole_and_capped(link: Link) -> None:
    answer = await kept(link, "head -c 20000000 /dev/urandom | tee /dev/stderr | cksum >/dev/null; echo end")
    assert answer.truncated
    assert len(answer.stdout) + len(answer.stderr) == 1_000_000
    assert answer.exit_status == 0
    assert (await kept(link, "echo well")).stdout == b"well\n"


async def test_output_comes_while_the_command_runs(link: Link) -> None:
    begun = asyncio.Event()

    async def heard(_stream: str, data: bytes) -> None:
        assert data == b"begun\n"
        begun.set()

    cancel = asyncio.Event()
    task = asyncio.ensure_future(kept(link, "echo begun; sleep 600", on_output=heard, cancel=cancel))
    await asyncio.wait_for(begun.wait(), 20)
    cancel.set()
    answer = await task
    assert (answer.cancelled, answer.ended, answer.stdout) == (True, True, b"begun\n")


async def test_a_command_out_of_time_is_killed_and_the_next_gets_another_shell(link: Link) -> None:
    mark = f"WIRE_TEST={uuid.uuid4().hex}"
    task = asyncio.ensure_future(kept(link, f"env {mark} sleep 600; echo never", timeout_s=3))
    await eventually(lambda: processes_with(mark))
    waiting = asyncio.ensure_future(kept(link, "echo next"))
    answer = await task
    assert (answer.timed_out, answer.started, answer.exit_status) == (True, True, None)
    assert not processes_with(mark)
    assert (await waiting).stdout == b"next\n"


async def test_a_caller_who_goes_away_leaves_nothing_running(link: Link) -> None:
    mark = f"WIRE_TEST={uuid.uuid4().hex}"
    task = asyncio.ensure_future(kept(link, f"env {mark} sleep 600"))
    await eventually(lambda: processes_with(mark))
    task.cancel()
    await asyncio.wait({task})
    await eventually(lambda: not processes_with(mark))
    assert (await kept(link, "echo next")).stdout == b"next\n"


async def test_one_that_waits_its_turn_and_is_cancelled_was_never_started(link: Link) -> None:
    first = asyncio.ensure_future(kept(link, "sleep 2; echo first"))
    await eventually(lambda: link.open_channels == 1)
    cancel = asyncio.Event()
    second = asyncio.ensure_future(kept(link, "echo second", cancel=cancel))
    cancel.set()
    answer = await second
    assert (answer.started, answer.cancelled, answer.stdout) == (False, True, b"")
    assert (await first).stdout == b"first\n"


async def test_a_command_that_kills_its_shell_is_lost_and_not_run_again(link: Link, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    answer = await kept(link, f"echo run >>{runs}; kill -9 $$")
    assert (answer.lost, answer.exit_status) == (True, None)
    assert (await kept(link, f"cat {runs}")).stdout == b"run\n"


async def test_many_at_once_are_answered_one_after_the_other(link: Link) -> None:
    answers = await asyncio.gather(*(kept(link, f"echo {number}") for number in range(30)))
    assert [answer.stdout for answer in answers] == [f"{number}\n".encode() for number in range(30)]
    assert link.open_channels == 1


async def test_the_loss_of_the_link_is_the_loss_of_the_command(link: Link, sshd: Sshd) -> None:
    mark = f"WIRE_TEST={uuid.uuid4().hex}"
    task = asyncio.ensure_future(kept(link, f"env {mark} sleep 3"))
    await eventually(lambda: processes_with(mark))
    sshd.kill_connections()
    assert (await task).lost


async def test_a_full_server_gets_the_idle_shell_s_place(tmp_path: Path, key: Keypair) -> None:
    with Sshd(tmp_path / "sshd", max_sessions=1) as server:
        server.authorize(key.public)
        link = await dial(target_of(server), pin_of(server), key.private)
        link.keep_one_ahead()
        for number in range(3):
            assert (await kept(link, f"echo {number}")).exit_status == 0
            answer = await run(link, "echo fresh", timeout_s=20, max_output_bytes=100)
            assert answer.stdout == b"fresh\n"
        await link.close()


async def test_what_rc_files_say_is_no_output(sshd: Sshd, key: Keypair) -> None:
    sshd.authorize(key.public)
    (sshd.home / ".bashrc").write_text("echo noise; echo noise >&2\n")
    link = await dial(target_of(sshd), pin_of(sshd), key.private)
    answer = await kept(link, "echo well")
    assert (answer.stdout, answer.stderr) == (b"well\n", b"")
    await link.close()


async def test_a_server_without_such_a_shell_is_told_and_nothing_was_run(key: Keypair) -> None:
    server = OddServer()
    async with server.link(key) as link:
        with pytest.raises(ChannelRefused):
            await kept(link, "reboot")
        assert not any("reboot" in word for word in server.asked)


@given(st.lists(st.binary(max_size=12), max_size=8), st.binary(max_size=20), st.data())
def test_a_marker_is_found_however_the_stream_is_cut(
    parts: list[bytes], after: bytes, data: st.DataObject
) -> None:
    mark = b"\0abc "
    before = b"\0ab".join(parts)
    stream = before + mark + after
    if mark in (before + mark)[:-1]:
        return
    marker, got, rest = Marker(mark), b"", stream
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        got += marker.feed(rest[:size])
        rest = rest[size:]
    assert (got, marker.after) == (before, after)


def test_what_a_server_writes_behind_a_marker_is_not_kept() -> None:
    marker = Marker(b"\0abc ")
    marker.feed(b"\0abc 0\n" + b"x" * 100_000)
    marker.feed(b"x" * 100_000)
    assert marker.after is not None
    assert marker.after.startswith(b"0\n")
    assert len(marker.after) < 100
