"""A keypair is exchanged on real servers: beside the old one, verified, switched, and a week later taken off."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from clawdbox.app import Box
from clawdbox.errors import Conflict
from clawdbox.keys.model import KeyState
from clawdbox.settings import Settings
from clawdbox.ssh.model import Connection
from clawdbox.ssh.model.key_rotations import Rotation, RotationStep
from tests.clocks import HandClock
from tests.ssh.chain import Chain
from tests.ssh.sshd import Sshd
from tests.ssh.world import World, problem_of

pytestmark = pytest.mark.sshd
OPTIONS = 'no-agent-forwarding,environment="A=#b",no-X11-forwarding'


def home(server: Sshd) -> Path:
    """Where its logins are at home: the fixture `server` has that beside its folder."""
    beside = server.folder.parent / "home"
    return beside if beside.exists() and server.folder.name == "server" else server.home


def linked(server: Sshd) -> Path:
    """~/.ssh/authorized_keys leads to the file that sshd reads, as on a box that keeps its dotfiles elsewhere."""
    link = home(server) / ".ssh" / "authorized_keys"
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(server.folder / "authorized_keys")
    return link


async def rotated(world: World, keypair_id: str | None = None) -> tuple[Rotation, list[RotationStep]]:
    rotations, keypair = world.box.key_rotations, keypair_id or world.key.id
    rotation, _ = await rotations.begin(world.me, world.owner, keypair)
    await rotations.settled(rotation.id)
    return await rotations.get(world.owner, keypair)


async def other(world: World, server: Sshd, label: str = "Other") -> Connection:
    return await world.box.connections.create(
        world.me, world.owner, label=label, host=server.host, port=server.port, username=server.username, keypair_id=None
    )  # fmt: skip


async def pin(world: World, connection: Connection, server: Sshd) -> None:
    await world.box.connections.test(
        world.me, world.owner, connection.id, accept_host_key=True, fingerprint=server.fingerprint()
    )


async def test_the_new_key_stands_beside_the_old_one_under_the_same_options(world: World) -> None:
    link, server = linked(world.server), world.server
    server.deauthorize_all()
    before = f"# mine: {world.key.public_key}\n{OPTIONS} {world.key.public_key}\nssh-ed25519 AAAA somebody"
    file = link.resolve()
    file.write_text(before)
    file.chmod(0o640)
    await world.pin()
    rotation, steps = await rotated(world)
    assert (rotation.state, [step.state for step in steps]) == ("rotated", ["switched"]), steps
    new = await world.box.keys.get(world.owner, rotation.new_keypair_id)
    first, old, fresh, last = file.read_text().splitlines()
    assert [first, old, last] == before.splitlines()
    assert fresh == f"{OPTIONS} {new.public_key}"
    assert link.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o640
    assert (home(server).parent / "server" / "authorized_keys.clawdbox-before").read_text() == before
    assert not list(file.parent.glob("*.clawdbox-[0-9]*"))
    assert ((await world.now()).keypair_id, new.label) == (new.id, "default")
    assert (await world.box.keys.default(world.owner)).id == new.id
    assert await world.chain_is_whole()


async def test_seven_days_later_the_old_key_is_off_the_server_and_its_leases_end(world: World) -> None:
    linked(world.server)
    lease = await world.ready()
    await rotated(world)
    world.clock.turn((6 * 24 + 23) * 3600)
    await world.box.key_rotations.sweep()
    assert (await world.box.keys.get(world.owner, world.key.id)).state is KeyState.ROTATED
    world.clock.turn(2 * 3600)
    await world.box.key_rotations.sweep()
    after, steps = await world.box.key_rotations.get(world.owner, world.key.id)
    assert (after.state, [step.state for step in steps]) == ("revoked", ["removed"])
    assert (await world.box.keys.get(world.owner, world.key.id)).state is KeyState.REVOKED
    assert world.key.public_key.split()[1] not in world.server.authorized_keys()
    assert (await world.ended(lease)).error_detail is not None
    assert (await world.test()).result == "ok"


async def test_a_server_that_is_down_keeps_the_old_key_until_it_is_tried_again(
    world: World, tmp_path: Path
) -> None:
    linked(world.server)
    with Sshd(tmp_path / "down") as down:
        linked(down)
        down.authorize(world.key.public_key)
        second = await other(world, down)
        await world.pin()
        await pin(world, second, down)
        down.stop()
        rotation, steps = await rotated(world)
        assert rotation.state == "stalled"
        assert {step.connection_id: step.state for step in steps} == {
            world.connection.id: "switched",
            second.id: "failed",
        }
        assert [step.cause for step in steps if step.state == "failed"] == ["port"]
        assert (await world.box.keys.get(world.owner, world.key.id)).state is KeyState.ACTIVE
        refused = await problem_of(world.box.key_rotations.cancel(world.me, world.owner, world.key.id))
        assert refused.code == "rotation_switched"
        assert (
            await problem_of(world.box.key_rotations.begin(world.me, world.owner, world.key.id))
        ).code == ("keypair_rotating")
        down.start()
        await world.box.key_rotations.retry(world.me, world.owner, world.key.id)
        await world.box.key_rotations.settled(rotation.id)
        rotation, steps = await world.box.key_rotations.get(world.owner, world.key.id)
        assert (rotation.state, {step.state for step in steps}) == ("rotated", {"switched"})
        assert down.authorized_keys().count("ssh-ed25519") == 2


async def test_a_rotation_reaches_servers_behind_a_jump_host(world: World, tmp_path: Path) -> None:
    chain = await Chain.make(world, tmp_path)
    try:
        for server in chain.servers.values():
            linked(server)
        await chain.pin("bastion", "inner")
        rotation, steps = await rotated(world)
        assert (rotation.state, {step.state for step in steps}) == ("rotated", {"switched"}), steps
        for server in chain.servers.values():
            server.deauthorize_all()
            new = await world.box.keys.get(world.owner, rotation.new_keypair_id)
            server.authorize(new.public_key)
        assert (await chain.test("inner")).result == "ok"
    finally:
        chain.stop()


async def test_where_the_new_key_does_not_open_nothing_is_switched_and_a_cancel_takes_it_off(
    world: World,
) -> None:
    await world.pin()
    own = home(world.server) / ".ssh" / "authorized_keys"  # not the file that sshd reads
    own.parent.mkdir()
    own.write_text(world.server.authorized_keys())
    rotation, (step,) = await rotated(world)
    assert (rotation.state, step.state, step.cause) == ("stalled", "failed", "authentication"), step.message
    assert (await world.now()).keypair_id == world.key.id
    assert own.read_text().count("ssh-ed25519") == 2
    await world.box.key_rotations.cancel(world.me, world.owner, world.key.id)
    await world.box.key_rotations.settled(rotation.id)
    rotation, (step,) = await world.box.key_rotations.get(world.owner, world.key.id)
    assert (rotation.state, step.state) == ("cancelled", "removed")
    assert own.read_text() == world.server.authorized_keys()
    assert (await world.box.keys.get(world.owner, rotation.new_keypair_id)).state is KeyState.REVOKED
    with pytest.raises(Conflict):
        await world.box.key_rotations.retry(world.me, world.owner, world.key.id)


async def test_a_file_without_the_old_key_is_left_alone(world: World) -> None:
    await world.pin()
    rotation, (step,) = await rotated(world)
    assert (rotation.state, step.cause) == ("stalled", "not_installed")
    assert "not in ~/.ssh/authorized_keys" in (step.message or "")
    assert not (home(world.server) / ".ssh").exists()


BOX = """
import asyncio, sys
from pathlib import Path
from clawdbox.app import Box
from clawdbox.clock import Clock
from clawdbox.events import Actor
from clawdbox.settings import Settings
from clawdbox.ssh.service import key_rotations

async def main(folder, keypair_id):
    box = Box(Path(folder), Settings(allow_loopback=True), Clock())
    await box.start()
    run = key_rotations.run

    async def edited_and_hung(link, command, **more):
        result = await run(link, command, **more)
        print("EDITED", flush=True)
        await asyncio.sleep(600)
        return result

    key_rotations.run = edited_and_hung
    await box.key_rotations.begin(Actor(box.owner.id), box.owner.id, keypair_id)
    await asyncio.sleep(600)

asyncio.run(main(*sys.argv[1:]))
"""


def killed_once_it_edited(*arguments: str | Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", BOX, *arguments],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        assert any(line == "EDITED\n" for line in process.stdout)
        process.send_signal(signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL


async def test_after_kill_9_in_the_middle_it_goes_on_and_adds_no_second_line(
    tmp_path: Path, sshd: Sshd
) -> None:
    clock, folder, settings = HandClock(), tmp_path / "box", Settings(allow_loopback=True)
    box = Box(folder, settings, clock)
    await box.start()
    world = await World.meet(box, clock, sshd)
    linked(sshd)
    await world.pin()
    await box.stop()
    await asyncio.to_thread(killed_once_it_edited, folder, world.key.id)
    assert sshd.authorized_keys().count("ssh-ed25519") == 2

    box = Box(folder, settings, clock)
    await box.start()
    try:
        rotation, _ = await box.key_rotations.get(box.owner.id, world.key.id)
        await box.key_rotations.settled(rotation.id)
        rotation, (step,) = await box.key_rotations.get(box.owner.id, world.key.id)
        assert (rotation.state, step.state) == ("rotated", "switched"), step
        assert sshd.authorized_keys().count("ssh-ed25519") == 2
    finally:
        await box.stop()
