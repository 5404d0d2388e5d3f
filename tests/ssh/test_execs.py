"""Commands against a real OpenSSH server: what comes back, what is cut, and what is really gone afterwards."""

import asyncio
import os
import resource
import signal
import uuid
from functools import partial
from pathlib import Path

import pytest

from clawdbox.ssh.wire.dial import dial
from clawdbox.ssh.wire.execs import run
from clawdbox.ssh.wire.link import Link
from clawdbox.ssh.wire.model import ChannelRefused, ExecResult, LinkLost
from tests.ssh.keys import Keypair, pin_of, target_of
from tests.ssh.sshd import Sshd
from tests.waiting import eventually

CAP = 1024 * 1024


async def answer(link: Link, command: str, timeout_s: float = 30) -> ExecResult:
    return await run(link, command, timeout_s=timeout_s, max_output_bytes=CAP)


def processes_with(mark: str) -> list[int]:
    """Processes on this machine that carry a mark in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if mark.encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


@pytest.fixture
def mark() -> str:
    return f"WIRE_TEST={uuid.uuid4().hex}"


async def test_both_streams_and_the_exit_status_come_back(link: Link) -> None:
    result = await answer(link, "echo out; echo err >&2; exit 7")
    assert (result.stdout, result.stderr, result.exit_status) == (b"out\n", b"err\n", 7)
    flags = (
        result.truncated,
        result.timed_out,
        result.cancelled,
        result.lost,
        result.left_running,
        result.flooded,
    )
    assert not any(flags)
    assert result.started
    assert result.ended
    assert result.duration_ms > 0


async def test_binary_output_comes_back_byte_for_byte_and_the_link_survives(link: Link) -> None:
    result = await answer(
        link,
        r"printf '\377\376\000\200'; i=0; while [ $i -lt 5 ]; do head -c 20000 /dev/zero; i=$((i+1)); done",
    )
    assert result.stdout == b"\xff\xfe\x00\x80" + bytes(100_000)
    assert (await answer(link, "echo again")).stdout == b"again\n"


async def test_the_command_reaches_the_shell_exactly_as_it_stands(link: Link) -> None:
    result = await answer(link, "printf '%s|' 'a  b' \"$((1+1))\" 'ü'\nprintf '%s' 'second line' # a comment")
    assert result.stdout.decode() == "a  b|2|ü|second line"


async def test_stdin_is_empty_and_at_its_end(link: Link) -> None:
    assert (await answer(link, "cat; echo end", timeout_s=10)).stdout == b"end\n"


async def test_a_death_by_signal_is_128_and_its_number_with_its_name(link: Link) -> None:
    result = await answer(link, "kill -SEGV $$")
    assert (result.exit_status, result.exit_signal, result.lost) == (139, "SEGV", False)


@pytest.mark.parametrize("command", ["", "  \n", "echo \0", "x" * 200_000, "echo \ud800"])
async def test_what_would_break_the_connection_is_refused_before_it_is_sent(link: Link, command: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any: UnicodeEncodeError is one, too
        await answer(link, command)
    assert link.is_up


async def test_thirty_commands_at_once_all_answer_though_the_server_allows_ten_sessions(link: Link) -> None:
    results = await asyncio.gather(*(answer(link, f"sleep 0.1; echo {i}", timeout_s=60) for i in range(30)))
    assert [int(result.stdout) for result in results] == list(range(30))


async def test_commands_queue_behind_a_server_that_allows_one_session(key: Keypair, tmp_path: Path) -> None:
    with Sshd(tmp_path / "sshd", max_sessions=1) as server:
        server.authorize(key.public)
        link = await dial(target_of(server), pin_of(server), key.private)
        results = await asyncio.gather(*(answer(link, f"echo {i}", timeout_s=60) for i in range(6)))
        assert [int(result.stdout) for result in results] == list(range(6))
        await link.close()


async def test_a_server_without_any_session_refuses_instead_of_queueing_for_ever(
    key: Keypair, tmp_path: Path
) -> None:
    with Sshd(tmp_path / "sshd", max_sessions=0) as server:
        server.authorize(key.public)
        link = await dial(target_of(server), pin_of(server), key.private)
        with pytest.raises(ChannelRefused):
            await answer(link, "echo never")
        assert link.is_up
        await link.close()


async def test_a_command_that_never_left_the_queue_is_timed_out_and_not_started(
    key: Keypair, tmp_path: Path
) -> None:
    with Sshd(tmp_path / "sshd", max_sessions=1) as server:
        server.authorize(key.public)
        link = await dial(target_of(server), pin_of(server), key.private)
        terminal = await link.open_terminal(80, 24)
        result = await answer(link, f"touch {tmp_path}/ran", timeout_s=0.5)
        assert (result.timed_out, result.started, result.lost) == (True, False, False)
        terminal.close()
        assert (await answer(link, "echo next")).stdout == b"next\n"
        assert not (tmp_path / "ran").exists()
        await link.close()


async def test_output_is_handed_on_while_the_command_runs(link: Link) -> None:
    heard: list[tuple[str, bytes]] = []
    first = asyncio.Event()

    async def listen(name: str, data: bytes) -> None:
        heard.append((name, data))
        first.set()

    fifo = f"/tmp/{uuid.uuid4().hex}"
    os.mkfifo(fifo)
    task = asyncio.ensure_future(
        run(link, f"echo one; cat {fifo}; echo two >&2", timeout_s=30, max_output_bytes=CAP, on_output=listen)
    )
    await asyncio.wait_for(first.wait(), 10)
    assert heard == [("stdout", b"one\n")]
    await asyncio.to_thread(Path(fifo).write_text, "middle\n")
    result = await task
    assert heard[-1] == ("stderr", b"two\n")
    assert result.stdout == b"one\nmiddle\n"
    os.unlink(fifo)  # noqa: PTH108 - pathlib is no better on an event loop


async def test_a_flood_of_output_is_kept_to_the_cap_in_bounded_memory(link: Link) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    heard = 0

    async def count(name: str, data: bytes) -> None:
        nonlocal heard
        heard += len(data)

    result = await run(
        link,
        "head -c 150000000 /dev/zero; echo end >&2",
        timeout_s=60,
        max_output_bytes=1000,
        on_output=count,
    )
    assert result.exit_status == 0
    assert result.truncated
    assert len(result.stdout) + len(result.stderr) == heard == 1000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


async def test_output_without_end_stops_the_command(link: Link, mark: str) -> None:
    result = await run(
        link, f"env {mark} cat /dev/zero", timeout_s=60, max_output_bytes=1000, flood_bytes=5_000_000
    )
    assert (result.flooded, result.truncated, result.ended, result.lost) == (True, True, True, False)
    await eventually(lambda: not processes_with(mark))


async def test_a_slow_listener_slows_the_command_down_instead_of_filling_memory(link: Link) -> None:
    gate = asyncio.Event()

    async def wait(name: str, data: bytes) -> None:
        await gate.wait()

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    task = asyncio.ensure_future(
        run(link, "head -c 60000000 /dev/zero", timeout_s=60, max_output_bytes=80_000_000, on_output=wait)
    )
    other = await answer(link, "echo meanwhile")
    assert other.stdout == b"meanwhile\n"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 * 1024
    gate.set()
    assert len((await task).stdout) == 60_000_000


async def test_a_timeout_ends_the_remote_process_and_the_link_goes_on(link: Link, mark: str) -> None:
    result = await answer(link, f"echo begun; env {mark} sleep 600; echo never", timeout_s=0.5)
    assert (result.timed_out, result.ended, result.lost) == (True, True, False)
    assert result.stdout == b"begun\n"
    await eventually(lambda: not processes_with(mark))
    assert (await answer(link, "echo on")).stdout == b"on\n"


async def test_a_command_that_ignores_term_is_killed(link: Link, mark: str) -> None:
    command = f"export {mark}; trap '' TERM; sleep 600; while :; do sleep 1; done"
    result = await run(link, command, timeout_s=0.5, max_output_bytes=CAP, grace_s=0.5)
    assert (result.timed_out, result.ended) == (True, True)
    await eventually(lambda: not processes_with(mark))


async def test_cancelling_ends_the_right_one_of_several_commands(link: Link) -> None:
    marks = [f"WIRE_TEST={uuid.uuid4().hex}" for _ in range(3)]
    cancels = [asyncio.Event() for _ in marks]
    terminal = await link.open_terminal(80, 24)
    tasks = [
        asyncio.ensure_future(
            run(link, f"env {mark} sleep 600", timeout_s=60, max_output_bytes=CAP, cancel=cancel)
        )
        for mark, cancel in zip(marks, cancels, strict=True)
    ]
    await eventually(lambda: all(processes_with(mark) for mark in marks))
    cancels[1].set()
    result = await tasks[1]
    assert (result.cancelled, result.ended) == (True, True)
    await eventually(lambda: not processes_with(marks[1]))
    assert processes_with(marks[0])
    assert processes_with(marks[2])
    assert terminal.is_open
    for cancel in cancels:
        cancel.set()
    await asyncio.gather(*tasks)


async def test_equal_commands_are_told_apart_by_their_order(link: Link, tmp_path: Path) -> None:
    file = tmp_path / "pids"
    file.touch()
    cancels = [asyncio.Event() for _ in range(3)]
    command = f"echo $$ >> {file}; exec sleep 600"
    tasks = []
    for number, cancel in enumerate(cancels, 1):
        tasks.append(
            asyncio.ensure_future(run(link, command, timeout_s=60, max_output_bytes=CAP, cancel=cancel))
        )
        await eventually(partial(has_lines, file, number))
    pids = file.read_text().split()
    cancels[1].set()
    assert (await tasks[1]).ended
    assert [alive(pid) for pid in pids] == [True, False, True]
    for cancel in cancels:
        cancel.set()
    await asyncio.gather(*tasks)


def alive(pid: str) -> bool:
    return Path(f"/proc/{pid}").exists()


def has_lines(file: Path, number: int) -> bool:
    return len(file.read_text().split()) == number


async def test_cancelling_the_caller_stops_the_command_too(link: Link, mark: str) -> None:
    task = asyncio.ensure_future(answer(link, f"env {mark} sleep 600"))
    await eventually(lambda: processes_with(mark))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await eventually(lambda: not processes_with(mark))
    await eventually(lambda: link.open_channels == 0)


async def test_cancelling_while_the_channel_is_being_opened_leaks_no_session(link: Link) -> None:
    for pause in range(12):
        task = asyncio.ensure_future(answer(link, "sleep 0.05"))
        for _ in range(pause):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await eventually(lambda: link.open_channels == 0)
    results = await asyncio.gather(*(answer(link, f"echo {i}") for i in range(10)))
    assert [int(result.stdout) for result in results] == list(range(10))


async def test_a_listener_that_fails_is_told_and_the_command_is_stopped(link: Link, mark: str) -> None:
    async def fail(name: str, data: bytes) -> None:
        raise RuntimeError("the listener broke")

    with pytest.raises(RuntimeError, match="the listener broke"):
        await run(link, f"echo x; env {mark} sleep 600", timeout_s=30, max_output_bytes=CAP, on_output=fail)
    await eventually(lambda: not processes_with(mark))


async def test_what_a_command_leaves_in_the_background_does_not_hold_it_up(link: Link, mark: str) -> None:
    result = await answer(link, f"env {mark} sleep 600 & echo done")
    assert (result.stdout, result.exit_status, result.left_running) == (b"done\n", 0, True)
    for pid in processes_with(mark):
        os.kill(pid, signal.SIGKILL)


async def test_a_server_that_dies_in_the_middle_leaves_the_outcome_lost(
    link: Link, sshd: Sshd, mark: str
) -> None:
    heard = asyncio.Event()

    async def listen(name: str, data: bytes) -> None:
        heard.set()

    task = asyncio.ensure_future(
        run(link, f"echo x; env {mark} sleep 600", timeout_s=60, max_output_bytes=CAP, on_output=listen)
    )
    await asyncio.wait_for(heard.wait(), 10)
    await eventually(lambda: processes_with(mark))
    sshd.kill_connections()
    result = await task
    assert (result.lost, result.exit_status, result.stdout) == (True, None, b"x\n")
    with pytest.raises(LinkLost):
        await answer(link, "echo too late")
    for pid in processes_with(mark):
        os.kill(pid, signal.SIGKILL)


async def test_commands_waiting_in_the_queue_learn_that_the_link_is_lost(
    key: Keypair, tmp_path: Path
) -> None:
    with Sshd(tmp_path / "sshd", max_sessions=1) as server:
        server.authorize(key.public)
        link = await dial(target_of(server), pin_of(server), key.private)
        terminal = await link.open_terminal(80, 24)
        waiting = [asyncio.ensure_future(answer(link, "echo never")) for _ in range(3)]
        await asyncio.sleep(0)
        server.kill_connections()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(outcome, LinkLost) for outcome in outcomes)
        assert not terminal.is_open
        await link.close()
