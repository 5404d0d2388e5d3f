"""How the loss of a link is noticed and told."""

import asyncio
import uuid

import pytest

from clawdbox.ssh.wire.dial import dial
from clawdbox.ssh.wire.execs import run
from clawdbox.ssh.wire.link import Link
from clawdbox.ssh.wire.model import ChannelRefused, LinkLost, Target
from tests.ssh.hostile import Proxy, serving
from tests.ssh.keys import Keypair, pin_of, target_of
from tests.ssh.sshd import Sshd
from tests.ssh.test_execs import processes_with
from tests.waiting import eventually


async def test_a_link_knows_its_server_and_its_round_trip(link: Link) -> None:
    assert link.is_up
    assert link.server_version.startswith("SSH-2.0-OpenSSH")
    assert 0 < link.latency_ms < 1000


async def test_the_loss_of_the_server_is_told_once_with_a_sentence(link: Link, sshd: Sshd) -> None:
    told: list[str] = []
    link.on_lost(told.append)
    sshd.kill_connections()
    await eventually(lambda: told)
    assert told[0].endswith(".")
    assert not link.is_up
    link.on_lost(told.append)  # whoever asks later is told at once
    assert len(told) == 2
    await link.close()
    assert len(told) == 2


async def test_our_own_close_is_no_loss(link: Link) -> None:
    told: list[str] = []
    link.on_lost(told.append)
    await link.close()
    await link.close()
    assert not link.is_up
    assert told == []
    with pytest.raises(LinkLost):
        await link.open_terminal(80, 24)


async def test_a_listener_that_fails_does_not_keep_the_others_from_hearing(
    link: Link, sshd: Sshd, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []

    def fail(reason: str) -> None:
        raise RuntimeError("listener")

    link.on_lost(fail)
    link.on_lost(told.append)
    sshd.kill_connections()
    await eventually(lambda: told)
    assert "listener" in caplog.text


async def test_a_half_open_connection_is_found_by_keepalive(sshd: Sshd, key: Keypair) -> None:
    sshd.authorize(key.public)
    proxy = Proxy(sshd.port)
    async with serving(proxy) as port:
        link = await dial(
            Target("127.0.0.1", port, sshd.username, allow_loopback=True),
            pin_of(sshd),
            key.private,
            keepalive_interval=0.3,
            keepalive_count=2,
        )
        told: list[str] = []
        link.on_lost(told.append)
        task = asyncio.ensure_future(run(link, "sleep 20", timeout_s=60, max_output_bytes=10))
        await eventually(lambda: link.open_channels == 1)
        assert told == []
        proxy.go_silent()
        await eventually(lambda: told)
        assert told == ["The server stopped answering."]
        assert (await task).lost


async def test_a_quiet_link_outlives_its_keepalives(sshd: Sshd, key: Keypair) -> None:
    sshd.authorize(key.public)
    link = await dial(target_of(sshd), pin_of(sshd), key.private, keepalive_interval=0.2, keepalive_count=5)
    result = await run(link, "sleep 2; echo well", timeout_s=30, max_output_bytes=10)
    assert result.stdout == b"well\n"
    await link.close()


async def test_a_refused_command_is_told_from_a_lost_link(sshd: Sshd, key: Keypair) -> None:
    sshd.authorize(key.public, options="no-pty")
    link = await dial(target_of(sshd), pin_of(sshd), key.private)
    with pytest.raises(ChannelRefused):
        await link.open_terminal(80, 24)
    assert link.is_up
    await link.close()


async def test_closing_a_link_ends_its_terminals(link: Link) -> None:
    terminal = await link.open_terminal(80, 24)
    await link.close()
    while await terminal.read():
        pass
    assert not terminal.is_open


async def test_closing_a_link_stops_its_commands_on_the_server(link: Link) -> None:
    mark = f"WIRE_TEST={uuid.uuid4().hex}"
    told: list[str] = []
    link.on_lost(told.append)
    task = asyncio.ensure_future(
        run(link, f"env {mark} sleep 600; echo never", timeout_s=60, max_output_bytes=10)
    )
    await eventually(lambda: processes_with(mark))
    await link.close()
    assert (await task).cancelled
    assert (await task).ended
    assert not processes_with(mark)
    assert told == []
