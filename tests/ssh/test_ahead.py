"""The session channel that is open before anybody asks for it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import pytest

from clawdbox.ssh.wire import ahead
from clawdbox.ssh.wire import link as link_module
from clawdbox.ssh.wire.dial import dial
from clawdbox.ssh.wire.execs import run
from clawdbox.ssh.wire.link import Link
from clawdbox.ssh.wire.model import ExecResult
from tests.ssh.keys import Keypair, pin_of, target_of
from tests.ssh.odd_server import OddServer, OddSession
from tests.ssh.sshd import Sshd
from tests.waiting import eventually


async def done(link: Link, command: str) -> ExecResult:
    return await run(link, command, timeout_s=30, max_output_bytes=100_000)


@pytest.fixture(params=[1, 2, 10])
async def tight(request: pytest.FixtureRequest, tmp_path: Path, key: Keypair) -> AsyncIterator[Link]:
    """A link with one channel ahead, to a server with so many sessions."""
    with Sshd(tmp_path / "sshd", max_sessions=request.param) as server:
        server.authorize(key.public)
        link = await dial(target_of(server), pin_of(server), key.private)
        link.keep_one_ahead()
        await eventually(lambda: link.has_one_ahead)
        yield link
        await link.close()


def test_the_installed_asyncssh_is_the_one_whose_inside_is_known() -> None:
    assert ahead.KNOWN, "read SSHClientChannel.create and ._open of this version, then move the pin"


async def test_a_command_uses_the_channel_that_is_open_already_and_the_next_is_opened_meanwhile(
    key: Keypair,
) -> None:
    server = OddServer()
    async with server.link(key) as link:
        link.keep_one_ahead()
        await eventually(lambda: link.has_one_ahead)
        assert server.asked == ["open"]
        assert (await done(link, "one")).stdout == b"one"
        await eventually(lambda: link.has_one_ahead)
        assert (await done(link, "two")).stdout == b"two"
        await eventually(lambda: link.has_one_ahead)
        assert server.asked == ["open", "one", "open", "two", "open"]


async def test_a_link_that_was_not_told_to_opens_nothing_ahead(key: Keypair) -> None:
    server = OddServer()
    async with server.link(key) as link:
        assert (await done(link, "one")).exit_status == 0
        assert server.asked == ["open", "one"]


async def test_a_terminal_uses_it_too(sshd: Sshd, link: Link) -> None:
    link.keep_one_ahead()
    await eventually(lambda: link.has_one_ahead)
    terminal = await link.open_terminal(91, 33)
    await terminal.write(b"stty size; exit 7\n")
    heard = b""
    while piece := await terminal.read():
        heard += piece
    assert b"33 91" in heard
    assert terminal.exit_status == 7


async def test_thirty_commands_at_once_get_thirty_answers(tight: Link) -> None:
    answers = await asyncio.gather(*(done(tight, f"echo {number}") for number in range(30)))
    assert [answer.stdout for answer in answers] == [f"{number}\n".encode() for number in range(30)]
    assert {answer.exit_status for answer in answers} == {0}
    await eventually(lambda: tight.has_one_ahead)


async def test_what_opens_its_own_session_gets_the_place_of_the_one_ahead(tight: Link) -> None:
    async def attempt() -> tuple[asyncssh.SSHClientChannel[bytes], asyncssh.SSHClientSession[bytes]]:
        return await tight.connection.create_session(
            asyncssh.SSHClientSession, "sleep 60", encoding=None, request_pty=False
        )

    async def one() -> asyncssh.SSHClientChannel[bytes]:
        opening = tight.in_line(attempt, lambda opened: opened[0].wait_closed())
        return (await asyncio.wait_for(opening, 20))[0]

    limit = 1
    opened = [await one()]
    while limit < 10 and tight.has_one_ahead:  # as many as the server takes
        limit += 1
        opened.append(await one())
    for channel in opened:
        channel.abort()


async def test_it_is_closed_with_the_link_and_costs_no_time(tight: Link) -> None:
    async with asyncio.timeout(1.5):
        await tight.close()
    assert not tight.has_one_ahead


class ClosesWhenIdle(OddSession):
    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        super().connection_made(chan)
        if self.asked.count("open") in (1, 3):
            chan.close()


async def test_one_that_the_server_closed_is_replaced_and_the_command_runs_once(key: Keypair) -> None:
    server = OddServer(ClosesWhenIdle)
    async with server.link(key) as link:
        link.keep_one_ahead()
        await eventually(lambda: server.asked == ["open"])
        assert (await done(link, "one")).stdout == b"one"
        await eventually(lambda: server.asked.count("open") == 3)
        assert (await done(link, "two")).stdout == b"two"
        # A server that does this twice is left alone from then on.
        assert (await done(link, "three")).stdout == b"three"
        assert [word for word in server.asked if word != "open"] == ["one", "two", "three"]
        assert not link.has_one_ahead


class TalksTooEarly(OddSession):
    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        super().connection_made(chan)
        if self.asked == ["open"]:
            chan.exit(3)


async def test_one_on_which_the_server_spoke_unasked_is_not_used(key: Keypair) -> None:
    server = OddServer(TalksTooEarly)
    async with server.link(key) as link:
        link.keep_one_ahead()
        await eventually(lambda: server.asked == ["open"])
        answer = await done(link, "one")
        assert (answer.stdout, answer.exit_status) == (b"one", 0)
        assert server.asked.count("one") == 1


async def test_a_server_that_refuses_it_is_asked_the_ordinary_way(key: Keypair) -> None:
    server = OddServer()
    server.refuse = lambda number: asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED if number == 0 else None
    async with server.link(key) as link:
        link.keep_one_ahead()
        await eventually(lambda: server.asked == ["refused"])
        assert (await done(link, "one")).stdout == b"one"
        assert server.asked == ["refused", "open", "one"]


class ClosesWhenAsked(OddSession):
    def exec_requested(self, command: str) -> bool:
        super().exec_requested(command)
        assert self.chan is not None
        self.chan.abort()
        return True

    def session_started(self) -> None:
        pass


@pytest.mark.parametrize("one_ahead", [True, False])
async def test_a_command_that_left_without_an_answer_is_lost_and_never_sent_again(
    key: Keypair, one_ahead: bool
) -> None:
    server = OddServer(ClosesWhenAsked)
    async with server.link(key) as link:
        if one_ahead:
            link.keep_one_ahead()
            await eventually(lambda: link.has_one_ahead)
        answer = await done(link, "one")
        assert (answer.lost, answer.started, answer.exit_status) == (True, True, None)
        assert server.asked.count("one") == 1
        assert link.is_up


async def test_a_caller_who_goes_away_while_it_is_opened_leaves_it_to_the_next(key: Keypair) -> None:
    server = OddServer()
    server.release.clear()
    async with server.link(key) as link:
        link.keep_one_ahead()
        waiting = asyncio.ensure_future(link.open_exec("never"))
        await eventually(lambda: server._number == 0)
        waiting.cancel()
        await asyncio.wait({waiting})
        server.release.set()
        assert (await done(link, "one")).stdout == b"one"
        assert "never" not in server.asked


async def test_another_version_of_asyncssh_goes_the_ordinary_way(
    key: Keypair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "KNOWN", False)
    monkeypatch.setattr(ahead, "KNOWN", False)
    server = OddServer()
    async with server.link(key) as link:
        link.keep_one_ahead()
        assert (await done(link, "one")).stdout == b"one"
        assert server.asked == ["open", "one"]


async def test_a_slow_reader_holds_no_more_than_a_small_window(link: Link) -> None:
    channel = await link.open_exec("head -c 50000000 /dev/zero")
    first = await channel.next()
    assert first is not None
    raw = channel.session._chan
    assert raw is not None
    held = 0

    def still() -> bool:
        nonlocal held
        before, held = held, channel.session._size + sum(len(data) for data, _ in raw._recv_buf)
        return 0 < held == before

    await eventually(still)
    assert held < 2 * 1024 * 1024
    total = len(first[1])
    while piece := await channel.next():
        total += len(piece[1])
    assert total == 50_000_000
