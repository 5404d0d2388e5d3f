"""Small servers of routers and boards: what works with OpenSSH works there, too, or is refused in words."""

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from clawdbox.app import Box
from clawdbox.ssh.model import MasterState
from tests.clocks import HandClock
from tests.ssh.odd import Dropbear, OddServer, Tinysshd
from tests.ssh.test_execs import mark, processes_with
from tests.ssh.world import World
from tests.waiting import eventually

__all__ = ["mark"]
pytestmark = pytest.mark.sshd


@pytest.fixture
def dropbear(tmp_path: Path) -> Iterator[OddServer]:
    with Dropbear(tmp_path / "dropbear") as server:
        yield server


@pytest.fixture
async def there(box: Box, clock: HandClock, dropbear: OddServer) -> World:
    return await World.meet(box, clock, dropbear)


async def test_dropbear_is_tested_pinned_and_runs_commands_with_their_status(there: World) -> None:
    lease = await there.ready()
    answer = await there.run(lease, "echo out; echo err >&2; exit 7")
    assert (answer.stdout, answer.stderr, answer.exit_status) == (b"out\n", b"err\n", 7)


async def test_dropbear_answers_thirty_commands_at_once(there: World) -> None:
    lease = await there.ready()
    answers = await asyncio.gather(*(there.run(lease, f"echo {n}") for n in range(30)))
    assert [int(answer.stdout) for answer in answers] == list(range(30))


async def test_a_large_output_of_dropbear_comes_whole(there: World) -> None:
    lease = await there.ready()
    heard = hashlib.sha256()

    async def hear(_stream: str, data: bytes) -> None:
        heard.update(data)

    await there.box.execs.execute(
        there.me, there.owner, lease.id, "head -c 20000000 /dev/zero",
        timeout_s=60, max_output_bytes=30_000_000, on_output=hear,
    )  # fmt: skip
    assert heard.hexdigest() == hashlib.sha256(bytes(20_000_000)).hexdigest()


async def test_a_command_out_of_time_is_gone_from_dropbear(there: World, mark: str) -> None:
    lease = await there.ready()
    answer = await there.run(lease, f"env {mark} sleep 600", timeout_s=1)
    assert answer.timed_out
    await eventually(lambda: not processes_with(mark))


async def test_a_terminal_on_dropbear_types_resizes_and_ends(there: World) -> None:
    lease = await there.ready()
    terminal = await there.open_terminal(lease)
    await terminal.type("phone", 1, b"stty size; echo typed-$((40+2)); exit 4\r")
    await eventually(lambda: not terminal.is_open)
    assert terminal.view.exit_status == 4


async def test_a_lost_link_to_dropbear_is_dialled_again(there: World, dropbear: OddServer) -> None:
    lease = await there.ready()
    dropbear.restart()
    master = there.box.leases.held[lease.id]
    await eventually(lambda: master.redials >= 1 and master.state is MasterState.UP)
    assert (await there.run(lease, "echo back")).stdout == b"back\n"


async def test_tinysshd_works_with_strict_key_exchange_and_is_refused_in_words_without(
    box: Box, clock: HandClock, tmp_path: Path
) -> None:
    """It offers ChaCha20 alone; its releases before 2024 lack strict key exchange (CVE-2023-48795)."""
    with Tinysshd(tmp_path / "tinysshd") as server:
        world = await World.meet(box, clock, server)
        shown = await world.refused_test()
        outcome = await world.test(accept=True, fingerprint=shown.detail["new_fingerprint"])
    if outcome.cause == "algorithms":
        assert "strict key exchange" in outcome.message
    else:  # it reads no keys below a folder that others may write to, as a test's is
        assert outcome.cause == "authentication"
