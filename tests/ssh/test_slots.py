"""Sessions that were not opened for a command count, too: who comes later waits for them, however long they last."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from clawdbox.ssh.wire.dial import dial
from clawdbox.ssh.wire.execs import run
from clawdbox.ssh.wire.link import Link, Wanted
from clawdbox.ssh.wire.model import ChannelRefused
from clawdbox.ssh.wire.sftp import Sftp
from tests.ssh.keys import Keypair, pin_of, target_of
from tests.ssh.sshd import Sshd
from tests.waiting import eventually

LONGER_THAN_PATIENCE = "sleep 6"


@pytest.fixture
async def narrow(tmp_path: Path, key: Keypair) -> AsyncIterator[Link]:
    """A link to a server that allows one session."""
    with Sshd(tmp_path / "narrow", max_sessions=1) as server:
        server.authorize(key.public)
        link = await dial(target_of(server), pin_of(server), key.private)
        yield link
        await link.close()


def waiting_for(link: Link) -> "asyncio.Task[object]":
    return asyncio.ensure_future(run(link, "echo at last", timeout_s=40, max_output_bytes=100))


async def test_a_command_waits_for_files_that_are_in_use(narrow: Link) -> None:
    channel = await Sftp.open(narrow)
    command = waiting_for(narrow)
    done, _ = await asyncio.wait({command}, timeout=6)
    assert not done, "it was refused, or ran where the server allows no second session"
    assert (await channel.lstat(b"/")).kind is not None
    await channel.close()
    assert (await command).stdout == b"at last\n"  # type: ignore[attr-defined]


async def test_a_command_waits_for_a_session_of_a_control_socket(narrow: Link) -> None:
    session = await narrow.open_session(Wanted(command=LONGER_THAN_PATIENCE.encode()))
    command = waiting_for(narrow)
    done, _ = await asyncio.wait({command}, timeout=4.5)
    assert not done
    await session.exited.wait()
    session.close()
    assert (await command).stdout == b"at last\n"  # type: ignore[attr-defined]


async def test_files_wait_for_a_command_and_count_once_they_are_open(narrow: Link) -> None:
    first = asyncio.ensure_future(run(narrow, LONGER_THAN_PATIENCE, timeout_s=40, max_output_bytes=10))
    await eventually(lambda: narrow.open_channels == 1)
    channel = await Sftp.open(narrow)
    assert (await first).exit_status == 0
    await channel.close()
    for _ in range(3):
        again = await Sftp.open(narrow)
        await again.close()
    assert (await run(narrow, "echo", timeout_s=20, max_output_bytes=10)).exit_status == 0


async def test_a_server_that_allows_no_session_at_all_is_not_waited_for(tmp_path: Path, key: Keypair) -> None:
    with Sshd(tmp_path / "none", max_sessions=0) as server:
        server.authorize(key.public)
        link = await dial(target_of(server), pin_of(server), key.private)
        try:
            with pytest.raises(ChannelRefused, match="MaxSessions"):
                await run(link, "true", timeout_s=30, max_output_bytes=10)
        finally:
            await link.close()
