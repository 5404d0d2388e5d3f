"""Terminals against a real OpenSSH server."""

import asyncio
import re
import uuid

import pytest

from clawdbox.ssh.wire.channels import PtyChannel
from clawdbox.ssh.wire.link import Link
from clawdbox.ssh.wire.model import ChannelRefused
from tests.ssh.sshd import Sshd
from tests.ssh.test_execs import processes_with
from tests.waiting import eventually


async def read_until(terminal: PtyChannel, words: bytes, timeout: float = 15) -> bytes:
    seen = b""
    try:
        async with asyncio.timeout(timeout):
            while not re.search(words, seen):
                piece = await terminal.read()
                assert piece, f"the terminal ended: {seen!r}"
                seen += piece
    except TimeoutError:
        raise AssertionError(f"{words!r} never came: {seen!r}") from None
    return seen


async def rest(terminal: PtyChannel) -> bytes:
    seen = b""
    while piece := await terminal.read():
        seen += piece
    return seen


async def test_a_terminal_has_the_size_and_type_that_were_asked_for(link: Link) -> None:
    terminal = await link.open_terminal(101, 41, env={"LC_WIRE": "passed"})
    await terminal.write(b"stty size; echo $TERM-$LC_WIRE; exit\n")
    seen = await rest(terminal)
    assert b"41 101\r\n" in seen
    assert b"xterm-256color-passed" in seen


async def test_a_resize_is_seen_by_what_runs_in_the_terminal(link: Link) -> None:
    terminal = await link.open_terminal(80, 24)
    await terminal.write(b"stty size\n")
    await read_until(terminal, rb"\b24 80\r")
    terminal.resize(132, 50)
    await terminal.write(b"stty size; exit\n")
    assert b"50 132\r\n" in await rest(terminal)


async def test_ctrl_c_interrupts_what_runs_and_not_the_shell(link: Link) -> None:
    mark = f"WIRE_TEST={uuid.uuid4().hex}"
    terminal = await link.open_terminal(80, 24)
    await terminal.write(f"env {mark} sleep 600\n".encode())
    await eventually(lambda: processes_with(mark))
    await terminal.write(b"\x03")
    await eventually(lambda: not processes_with(mark))
    await terminal.write(b"echo st''ill; exit 5\n")
    assert b"still" in await rest(terminal)
    assert terminal.exit_status == 5


async def test_the_end_of_the_shell_is_seen_with_its_status(link: Link) -> None:
    terminal = await link.open_terminal(80, 24)
    await terminal.write(b"exit 3\n")
    await rest(terminal)
    await terminal.wait_closed()
    assert not terminal.is_open
    assert terminal.exit_status == 3
    with pytest.raises(BrokenPipeError):
        await terminal.write(b"too late")
    terminal.resize(10, 10)
    terminal.close()


async def test_ten_megabytes_pass_through_a_slow_reader_without_loss(link: Link) -> None:
    terminal = await link.open_terminal(80, 24)
    await terminal.write(b"stty -opost -echo; echo re''ady; head -c 10000000 /dev/zero | tr '\\0' x; exit\n")
    seen = len((await read_until(terminal, rb"ready\n")).partition(b"ready\n")[2])
    pieces = 0
    while piece := await terminal.read():
        seen += piece.count(b"x")
        pieces += 1
        if pieces % 50 == 0:
            await asyncio.sleep(0.002)
    assert seen >= 10_000_000
    assert seen < 10_001_000


async def test_closing_hangs_up_on_what_runs_in_the_terminal(link: Link) -> None:
    mark = f"WIRE_TEST={uuid.uuid4().hex}"
    terminal = await link.open_terminal(80, 24)
    await terminal.write(f"env {mark} sleep 600\n".encode())
    await eventually(lambda: processes_with(mark))
    terminal.close()
    assert await rest(terminal) is not None
    await eventually(lambda: not processes_with(mark))


async def test_a_paste_of_a_megabyte_arrives_whole(link: Link) -> None:
    terminal = await link.open_terminal(80, 24)
    await terminal.write(b"stty raw -echo; echo re''ady; head -c 1000000 | cksum; exit\n")
    await read_until(terminal, rb"ready")
    await asyncio.wait_for(terminal.write(b"y" * 1_000_000), 30)
    assert b" 1000000" in await rest(terminal)


async def test_a_terminal_that_finds_no_session_is_refused_after_a_while(link: Link, sshd: Sshd) -> None:
    terminals = [await link.open_terminal(80, 24) for _ in range(10)]
    with pytest.raises(ChannelRefused, match="no session left"):
        await link.open_terminal(80, 24, wait_s=0.3)
    terminals[0].close()
    last = await link.open_terminal(80, 24)
    assert last.is_open
