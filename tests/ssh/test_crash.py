"""kill -9 in the middle of a session: what the next start finds, and what it tells."""

import asyncio
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clawdbox.app import DATABASE, Box
from clawdbox.errors import StartRefused
from clawdbox.events.wire import AUDIT_FILE
from clawdbox.settings import Settings
from clawdbox.ssh.model import LeaseStatus
from clawdbox.ssh.rules import leases as rules
from tests.clocks import HandClock
from tests.ssh.sshd import Sshd
from tests.ssh.world import World, problem_of

SETTINGS = Settings(allow_loopback=True)

# A box of its own process: a lease, a terminal, a command that has begun. Then it says what it holds, and waits.
BOX = """
import asyncio, sys
from pathlib import Path
import msgspec
from clawdbox.app import Box
from clawdbox.clock import Clock
from clawdbox.events import Actor
from clawdbox.settings import Settings

async def main(folder, connection_id, home):
    box = Box(Path(folder), Settings(allow_loopback=True), Clock())
    await box.start()
    me, owner = Actor(box.owner.id), box.owner.id
    lease = await box.leases.start(me, owner, connection_id)
    terminal = await box.terminals.open(me, owner, lease.id, 80, 24)
    command = f"echo run >> {home}/runs; sleep 300; echo end >> {home}/runs"
    asyncio.ensure_future(box.execs.execute(me, owner, lease.id, command, timeout_s=600, max_output_bytes=100))
    while not Path(home, "runs").exists():
        await asyncio.sleep(0.02)
    print("HELD " + msgspec.json.encode({"lease": lease.id, "terminal": terminal.id}).decode(), flush=True)
    await asyncio.sleep(600)

asyncio.run(main(*sys.argv[1:]))
"""


class Crash(msgspec.Struct):
    folder: Path
    held: dict[str, str]
    key_id: str
    connection_id: str
    home: Path


def killed_once_it_holds(*arguments: str | Path) -> str:
    """Run BOX until it says what it holds, then kill it; returns what it said."""
    process = subprocess.Popen(
        [sys.executable, "-c", BOX, *arguments],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        line = next((line for line in process.stdout if line.startswith("HELD ")), "")
        process.send_signal(signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL
    return line


@pytest.fixture
async def crash(tmp_path: Path, clock: HandClock, server: Sshd) -> Crash:
    """The folder of a box that was killed with an active lease, an open terminal and a running command."""
    folder = tmp_path / "box"
    box = Box(folder, SETTINGS, clock)
    await box.start()
    world = await World.meet(box, clock, server)
    await world.pin()
    await box.stop()
    line = await asyncio.to_thread(killed_once_it_holds, folder, world.connection.id, tmp_path / "home")
    held = msgspec.json.decode(line.removeprefix("HELD "), type=dict[str, str])
    return Crash(folder, held, world.key.id, world.connection.id, tmp_path / "home")


async def reopened(crash: Crash, clock: HandClock, server: Sshd) -> World:
    box = Box(crash.folder, SETTINGS, clock)
    await box.start()
    connection = await box.connections.get(box.owner.id, crash.connection_id)
    return World(box, clock, server, (await box.keys.list(box.owner.id))[0], connection)


async def test_after_kill_9_nothing_is_lost_and_nothing_says_active(
    crash: Crash, clock: HandClock, server: Sshd
) -> None:
    world = await reopened(crash, clock, server)
    try:
        lease = await world.box.leases.get(world.owner, crash.held["lease"])
        assert (lease.status, lease.error_detail) == (LeaseStatus.ERROR, rules.BOX_CRASHED)
        assert lease.closed_at is not None
        assert await world.rows("SELECT 1 FROM session_leases WHERE status IN ('pending', 'active')") == []
        closed = (await world.audit("session.close"))[-1]
        assert (closed["target_id"], closed["actor"], closed["result"]) == (lease.id, "system", "failed")
        assert closed["account_id"] == world.owner
        assert rules.BOX_CRASHED in closed["detail"]

        executions = await world.rows("SELECT state, exit_status FROM executions")
        assert executions == [{"state": "lost", "exit_status": None}]
        terminals = await world.rows("SELECT id, state, end_reason FROM terminals")
        assert terminals == [{"id": crash.held["terminal"], "state": "ended", "end_reason": "box_crashed"}]

        assert world.key.id == crash.key_id
        assert world.key.is_active
        assert world.connection.host_key_fingerprint == server.fingerprint()
        assert world.connection.state == "tested"
        assert await world.chain_is_whole()
    finally:
        await world.box.stop()


async def test_after_kill_9_nothing_is_run_again_and_the_next_session_works(
    crash: Crash, clock: HandClock, server: Sshd
) -> None:
    world = await reopened(crash, clock, server)
    try:
        lease = await world.start()
        assert (await world.run(lease, "cat ~/runs")).stdout == b"run\n"
        conversation = await world.box.conversations.of_connection(world.owner, world.connection.id)
        events = await world.box.conversations.events(world.owner, conversation.id, 0, 100)
        assert [event.type for event in events] == ["lease.started", "lease.ended", "lease.started"]
        problem = await problem_of(
            world.box.terminals.open(world.me, world.owner, crash.held["lease"], 80, 24)
        )
        assert problem.code == "session_not_active"
    finally:
        await world.box.stop()


async def test_after_kill_9_the_audit_file_is_the_table_again(
    crash: Crash, clock: HandClock, server: Sshd
) -> None:
    file = crash.folder / AUDIT_FILE
    with file.open("ab") as torn:
        torn.write(b'{"id":999,"account_id":"0')
    world = await reopened(crash, clock, server)
    await world.box.stop()
    lines = [msgspec.json.decode(line) for line in file.read_bytes().splitlines()]
    assert [line["id"] for line in lines] == list(range(1, len(lines) + 1))
    assert rules.BOX_CRASHED in str(lines)


# starts that are refused


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith("-shm")
    }


def lose(name: str) -> Any:
    return lambda folder: (folder / name).unlink()


def damage(folder: Path) -> None:
    raw = bytearray((folder / "host.key").read_bytes())
    raw[-5] ^= 1
    (folder / "host.key").write_bytes(raw)


REFUSED = {
    "the keyring is gone": lose("master.keyring"),
    "the host key is gone": lose("host.key"),
    "the host key is another": damage,
    "others may read the keyring": lambda folder: (folder / "master.keyring").chmod(0o644),
}


async def test_a_refused_start_after_a_crash_changes_no_byte(crash: Crash, clock: HandClock) -> None:
    assert (crash.folder / f"{DATABASE}-wal").stat().st_size > 0
    for name, spoil in REFUSED.items():
        folder = crash.folder.with_name(name.replace(" ", "-"))
        shutil.copytree(crash.folder, folder, ignore=shutil.ignore_patterns("ctl"))  # no socket can be copied
        spoil(folder)
        before = contents(folder)
        with pytest.raises(StartRefused) as refused:
            await Box(folder, SETTINGS, clock).start()
        assert refused.value.exit_code == 78, name
        assert contents(folder) == before, name


async def test_a_box_that_was_stopped_leaves_its_database_in_one_file(
    tmp_path: Path, clock: HandClock
) -> None:
    box = Box(tmp_path / "box", SETTINGS, clock)
    await box.start()
    await box.stop()
    assert [path.name for path in box.data_dir.glob(f"{DATABASE}*")] == [DATABASE]


async def test_a_database_of_a_newer_box_is_refused_and_changes_no_byte(
    tmp_path: Path, clock: HandClock
) -> None:
    folder = tmp_path / "box"
    box = Box(folder, SETTINGS, clock)
    await box.start()
    await box.store.write(
        lambda tx: tx.run("INSERT INTO schema_migrations VALUES ('99990101T000000_x', 'x')")
    )
    await box.stop()
    before = contents(folder)
    with pytest.raises(StartRefused) as refused:
        await Box(folder, SETTINGS, clock).start()
    assert refused.value.code == "database_newer"
    assert contents(folder) == before
