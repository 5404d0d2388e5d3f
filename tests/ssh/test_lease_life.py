"""A lease from its start to each of its ends, over a real server, with the clock turned by hand."""

import asyncio
from pathlib import Path

import pytest

from clawdbox.app import Box
from clawdbox.errors import Conflict, NotFound, Upstream
from clawdbox.events import Actor
from clawdbox.settings import Settings
from clawdbox.ssh.model import CloseReason, Lease, LeaseStatus, MasterState
from clawdbox.ssh.rules import leases as rules
from clawdbox.ssh.service.ways import Way
from clawdbox.ssh.sql import leases as sql
from clawdbox.ssh.wire.dial import DialFailure
from clawdbox.ssh.wire.link import Link
from tests.clocks import HandClock
from tests.ssh.sshd import Sshd
from tests.ssh.world import World, problem_of
from tests.waiting import eventually

PENDING = LeaseStatus.PENDING


def alive(pid: int) -> bool:
    """A zombie has ended, too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def pid_in(file: Path) -> int:
    return int(await eventually(lambda: file.read_text().strip() if file.exists() else ""))


# its start


async def test_a_started_session_is_active_and_says_so_everywhere(world: World) -> None:
    lease = await world.ready()
    assert (lease.status, lease.close_reason, lease.closed_at) == (LeaseStatus.ACTIVE, None, None)
    assert lease.agent_session_id
    assert lease.started_at == lease.last_heartbeat_at
    assert await world.box.leases.present(world.owner, world.connection.id) == lease
    assert await world.box.connections.active_sessions(world.owner) == {world.connection.id: lease.id}
    assert await world.box.leases.count_active() == 1
    assert [row["result"] for row in await world.audit("session.start")] == ["ok"]
    kinds = await world.rows("SELECT type FROM events WHERE subject_id = ? ORDER BY seq", lease.id)
    assert kinds[0]["type"] == "session.pending"
    assert "session.active" in [row["type"] for row in kinds]


async def test_the_limit_of_leases_counts_the_pending_ones_too(world: World) -> None:
    await world.pin()
    await world.box.accounts.change_settings(world.me, world.owner, {"max_leases": 2})
    outcomes = await asyncio.gather(*(world.start() for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(outcome, Lease) for outcome in outcomes) == 2
    refused = [outcome for outcome in outcomes if isinstance(outcome, Conflict)]
    assert [problem.code for problem in refused] == ["lease_limit_reached"] * 2
    assert refused[0].detail == {"open_sessions": 2, "limit": 2}


async def test_a_failed_start_ends_in_error_and_names_cause_and_lease(world: World) -> None:
    await world.pin()
    world.server.stop()
    problem = await problem_of(world.start())
    assert isinstance(problem, Upstream)
    assert (problem.code, problem.detail["cause"], problem.timed_out) == ("ssh_failed", "port", False)
    assert problem.detail["next_step"]
    lease = await world.box.leases.get(world.owner, problem.detail["session_id"])
    assert (lease.status, lease.close_reason) == (LeaseStatus.ERROR, CloseReason.ERROR)
    assert lease.error_detail == problem.message
    assert world.box.leases.held == {}
    assert [row["result"] for row in await world.audit("session.start")] == ["failed"]


async def test_a_start_on_a_changed_key_authenticates_nowhere_and_shows_the_key(world: World) -> None:
    await world.pin()
    world.server.restart(new_host_keys=("ed25519",))
    before = world.server.login_attempts()
    problem = await problem_of(world.start())
    assert problem.code == "host_key_changed"
    assert problem.detail["new_fingerprint"] == world.server.fingerprint()
    assert world.server.login_attempts() == before
    assert (await world.now()).offered_fingerprint == world.server.fingerprint()
    assert [row["status"] for row in await world.rows("SELECT status FROM session_leases")] == ["error"]


async def test_a_start_whose_refused_key_is_accepted_in_that_moment_leaves_nothing_pending(
    world: World,
) -> None:
    await world.pin()
    world.server.restart(new_host_keys=("ed25519",))
    real = world.box.leases._dialler.dial

    async def refused(way: Way) -> Link:
        world.box.leases._dialler.dial = real  # type: ignore[method-assign]
        try:
            return await real(way)
        except DialFailure:
            await world.test(accept=True, fingerprint=world.server.fingerprint())
            raise

    world.box.leases._dialler.dial = refused  # type: ignore[method-assign]
    assert isinstance(await problem_of(world.start()), Conflict)
    assert [row["status"] for row in await world.rows("SELECT status FROM session_leases")] == ["error"]
    assert (await world.start()).status is LeaseStatus.ACTIVE


async def test_a_start_that_breaks_inside_the_box_leaves_nothing_pending(world: World) -> None:
    await world.pin()

    def broken(_tx: object, _lease: object) -> str:
        raise ZeroDivisionError

    world.box.leases.writes.on_started = broken
    with pytest.raises(ZeroDivisionError):
        await world.start()
    rows = await world.rows("SELECT status, error_detail FROM session_leases")
    assert rows == [{"status": "error", "error_detail": rules.NEVER_UP}]
    assert world.box.leases.held == {}


async def test_a_key_that_cannot_be_unsealed_fails_the_start_and_leaves_nothing_pending(world: World) -> None:
    await world.pin()
    await world.box.store.write(lambda tx: tx.run("UPDATE agent_keypairs SET private_key_enc = 'AAAA'"))
    assert (await problem_of(world.start())).code == "sealed_value_broken"
    assert [row["status"] for row in await world.rows("SELECT status FROM session_leases")] == ["error"]


async def test_a_connection_with_an_open_session_changes_its_label_only(world: World) -> None:
    lease = await world.ready()
    change = world.box.connections.change
    for edit in ({"host": "localhost"}, {"port": 2}, {"username": "x"}):
        problem = await problem_of(change(world.me, world.owner, world.connection.id, **edit))
        assert (problem.code, problem.detail["session_ids"]) == ("connection_in_use", [lease.id])
    assert (await change(world.me, world.owner, world.connection.id, label="New")).label == "New"
    removed = world.box.connections.remove(world.me, world.owner, world.connection.id, remove_key=True)
    assert (await problem_of(removed)).code == "connection_in_use"


async def test_another_account_finds_no_lease(world: World) -> None:
    lease = await world.ready()
    other = await world.box.accounts.create(world.me, "Anna")
    me = Actor(other.id)
    for verb in (
        world.box.leases.get(other.id, lease.id),
        world.box.leases.close(me, other.id, lease.id),
        world.box.execs.execute(me, other.id, lease.id, "id", timeout_s=5, max_output_bytes=10),
        world.box.terminals.open(me, other.id, lease.id, 80, 24),
        world.box.terminals.list(other.id, lease.id),
    ):
        assert isinstance(await problem_of(verb), NotFound)
    assert (await world.lease(lease)).status is LeaseStatus.ACTIVE
    found, count = await world.box.leases.list(other.id, status=None, connection_id=None, limit=10, offset=0)
    assert (found, count) == ([], 0)
    assert await world.box.leases.present(other.id, world.connection.id) is None


# commands


async def test_a_command_is_answered_whole_and_written_down(world: World) -> None:
    lease = await world.ready()
    answer = await world.run(lease, "echo out; echo err >&2; exit 3")
    assert (answer.exit_status, answer.stdout, answer.stderr) == (3, b"out\n", b"err\n")
    assert (answer.timed_out, answer.cancelled, answer.truncated) == (False, False, False)
    rows = await world.rows("SELECT * FROM executions")
    assert len(rows) == 1
    assert (rows[0]["id"], rows[0]["state"], rows[0]["exit_status"]) == (answer.execution_id, "done", 3)
    assert rows[0]["ended_at"] >= rows[0]["started_at"]
    assert (await world.audit("session.exec"))[0]["target_id"] == answer.execution_id


async def test_a_command_that_takes_too_long_is_stopped_on_the_server(world: World, tmp_path: Path) -> None:
    lease = await world.ready()
    answer = await world.run(lease, f"echo $$ > {tmp_path}/pid; sleep 300; true", timeout_s=0.7)
    assert (answer.timed_out, answer.exit_status is None or answer.exit_status > 0) == (True, True)
    pid = await pid_in(tmp_path / "pid")
    await eventually(lambda: not alive(pid))
    assert [row["state"] for row in await world.rows("SELECT state FROM executions")] == ["timed_out"]
    assert (await world.run(lease, "echo still here")).stdout == b"still here\n"


@pytest.mark.parametrize("command", ["", " \n", "echo \0", "é" * 60_000, "echo \ud800"])
async def test_what_is_no_command_is_refused_before_anything_is_written(world: World, command: str) -> None:
    lease = await world.ready()
    problem = await problem_of(world.run(lease, command))
    assert problem.detail == {"field": "command"}
    assert await world.rows("SELECT 1 FROM executions") == []


async def test_a_link_that_breaks_under_a_command_leaves_its_outcome_lost(world: World) -> None:
    lease = await world.ready()
    task = await world.begin(lease, "sleep 300")
    world.server.kill_connections()
    answer = await asyncio.wait_for(task, 15)
    assert answer.exit_status is None
    rows = await world.rows("SELECT state, exit_status FROM executions")
    assert rows == [{"state": "lost", "exit_status": None}]
    assert (await world.audit("session.exec"))[0]["result"] == "failed"


async def test_a_caller_who_leaves_ends_the_command(world: World, tmp_path: Path) -> None:
    lease = await world.ready()
    task = await world.begin(lease, f"echo $$ > {tmp_path}/pid; sleep 300; true")
    pid = await pid_in(tmp_path / "pid")
    task.cancel()
    await asyncio.wait([task])
    await eventually(lambda: not alive(pid))
    assert [row["state"] for row in await world.rows("SELECT state FROM executions")] == ["cancelled"]


async def test_more_commands_than_the_server_takes_wait_in_line(
    box: Box, clock: HandClock, tmp_path: Path
) -> None:
    (tmp_path / "home").mkdir()
    with Sshd(tmp_path / "small", max_sessions=2, options={"SetEnv": f"HOME={tmp_path}/home"}) as small:
        world = await World.meet(box, clock, small)
        lease = await world.ready()
        answers = await asyncio.gather(*(world.run(lease, f"echo {n}; sleep 0.1") for n in range(8)))
        assert [answer.stdout for answer in answers] == [f"{n}\n".encode() for n in range(8)]
        await world.close(lease)


# ends


async def test_closing_ends_the_lease_its_commands_and_its_processes(world: World, tmp_path: Path) -> None:
    lease = await world.ready()
    task = await world.begin(lease, f"echo $$ > {tmp_path}/pid; sleep 300; true")
    pid = await pid_in(tmp_path / "pid")
    assert alive(pid)
    closed = await world.close(lease)
    assert (closed.status, closed.close_reason) == (LeaseStatus.CLOSED, CloseReason.USER)
    assert closed.closed_at is not None
    answer = await asyncio.wait_for(task, 5)
    assert answer.cancelled
    await eventually(lambda: not alive(pid), what="the end of the process on the server")
    assert world.box.leases.held == {}
    assert (await problem_of(world.run(lease, "id"))).code == "session_not_active"


async def test_closing_twice_changes_nothing(world: World) -> None:
    lease = await world.ready()
    first, second = await asyncio.gather(world.close(lease), world.close(lease))
    third = await world.close(lease)
    assert {first.status, second.status, third.status} == {LeaseStatus.CLOSED}
    assert len(await world.audit("session.close")) == 1


async def test_closing_while_it_dials_ends_the_lease_and_the_dial(world: World) -> None:
    await world.pin()
    gate = asyncio.Event()
    real = world.box.leases._dialler.dial

    async def slow(way: Way) -> Link:
        await gate.wait()
        return await real(way)

    world.box.leases._dialler.dial = slow  # type: ignore[method-assign]
    before = world.server.login_attempts()
    starting = asyncio.ensure_future(world.start())
    await eventually(lambda: world.box.leases.held)
    lease_id = next(iter(world.box.leases.held))
    closed = await world.box.leases.close(world.me, world.owner, lease_id)
    assert (closed.status, closed.close_reason) == (LeaseStatus.CLOSED, CloseReason.USER)
    assert (await problem_of(asyncio.wait_for(starting, 5))).code == "session_not_active"
    gate.set()
    assert world.server.login_attempts() == before
    assert world.box.leases.held == {}


async def test_a_lease_that_ended_before_its_dial_began_logs_in_nowhere(world: World) -> None:
    await world.pin()
    before = world.server.login_attempts()
    lease, connection, key = await world.box.store.write(
        lambda tx: world.box.leases.writes.intend(tx, world.owner, world.connection.id, 5)
    )
    await world.close(lease)
    problem = await problem_of(world.box.leases._bring_up(world.me, lease, connection, key))
    assert problem.code == "session_not_active"
    assert world.server.login_attempts() == before
    assert (await world.lease(lease)).close_reason is CloseReason.USER


async def test_many_starts_and_closes_at_once_leave_no_lease_and_no_link(world: World) -> None:
    await world.pin()

    async def life() -> None:
        lease = await world.start()
        await world.close(lease)

    await world.box.accounts.change_settings(world.me, world.owner, {"max_leases": 50})
    await asyncio.gather(*(life() for _ in range(8)))
    assert world.box.leases.held == {}
    assert await world.rows("SELECT 1 FROM session_leases WHERE status IN ('pending', 'active')") == []
    assert await world.chain_is_whole()


async def test_an_idle_lease_ends_by_the_clock(world: World) -> None:
    lease = await world.ready()
    world.clock.turn(1799)
    assert await world.janitor.sweep() == 0
    await world.run(lease, "true")
    world.clock.turn(1799)
    assert await world.janitor.sweep() == 0
    world.clock.turn(2)
    assert await world.janitor.sweep() == 1
    ended = await world.lease(lease)
    assert (ended.status, ended.close_reason) == (LeaseStatus.CLOSED, CloseReason.TIMEOUT)
    assert ended.error_detail == rules.IDLE


async def test_the_idle_time_out_is_the_account_s_own(world: World) -> None:
    lease = await world.ready()
    await world.box.accounts.change_settings(world.me, world.owner, {"idle_timeout_s": 60})
    world.clock.turn(61)
    assert await world.janitor.sweep() == 1
    assert (await world.lease(lease)).close_reason is CloseReason.TIMEOUT


async def test_a_command_that_says_nothing_keeps_its_lease(world: World) -> None:
    lease = await world.ready()
    task = await world.begin(lease, "sleep 300")
    world.clock.turn(3600)
    assert await world.janitor.sweep() == 0
    await world.close(lease)
    await task


async def test_output_of_a_terminal_keeps_its_lease(world: World) -> None:
    lease = await world.ready()
    live = await world.open_terminal(lease)
    world.clock.turn(1700)
    before = live.ring.end
    await live.type("a", 1, b"echo $((6*7))\n")
    await eventually(lambda: b"42" in live.ring.recent(before, 1000))
    world.clock.turn(1700)
    assert await world.janitor.sweep() == 0


async def test_a_lease_that_nobody_holds_ends_when_its_heartbeat_is_too_old(world: World) -> None:
    lease = await world.ready()
    master = world.box.leases._masters.pop(lease.id)
    world.clock.turn(119)
    assert await world.janitor.sweep() == 0
    world.clock.turn(2)
    assert await world.janitor.sweep() == 1
    ended = await world.lease(lease)
    assert (ended.status, ended.error_detail) == (LeaseStatus.ERROR, rules.NO_HEARTBEAT)
    await master.close()


async def test_the_heartbeat_is_written_while_the_master_is_up_and_makes_no_event(world: World) -> None:
    lease = await world.ready()
    count = (await world.rows("SELECT count(*) AS n FROM events"))[0]["n"]
    world.clock.turn(60)
    await world.janitor.beat()
    beaten = await world.lease(lease)
    assert beaten.last_heartbeat_at is not None
    assert lease.last_heartbeat_at is not None
    assert (beaten.last_heartbeat_at - lease.last_heartbeat_at).total_seconds() >= 60
    assert (await world.rows("SELECT count(*) AS n FROM events"))[0]["n"] == count


# the link breaks


async def test_a_cut_link_is_redialled_within_the_same_lease(world: World) -> None:
    lease = await world.ready()
    world.server.kill_connections()
    await world.master_is(lease, MasterState.LOST)
    assert (await problem_of(world.run(lease, "id"))).code == "session_reconnecting"
    await world.master_is(lease, MasterState.UP)
    assert (await world.run(lease, "echo back")).stdout == b"back\n"
    view = world.box.leases.master(lease.id)
    assert view is not None
    assert (view.redials >= 1, view.grace_ends_at) == (True, None)
    assert (await world.lease(lease)).status is LeaseStatus.ACTIVE
    states = await world.rows("SELECT payload FROM events WHERE type = 'session.master' ORDER BY seq")
    assert '"state":"lost"' in "".join(row["payload"] for row in states)


async def test_a_redial_that_meets_another_host_key_ends_the_lease_without_a_login(world: World) -> None:
    lease = await world.ready()
    world.server.stop()
    await world.master_is(lease, MasterState.LOST)
    world.server.restart(new_host_keys=("ed25519",))
    before = world.server.login_attempts()
    ended = await world.ended(lease)
    assert (ended.status, ended.close_reason) == (LeaseStatus.ERROR, CloseReason.ERROR)
    assert "host key" in (ended.error_detail or "")
    assert world.server.login_attempts() == before
    now = await world.now()
    assert now.offered_fingerprint == world.server.fingerprint()
    assert (await world.audit("session.redial"))[0]["result"] == "failed"


async def test_a_redial_that_is_no_longer_let_in_ends_the_lease(world: World) -> None:
    lease = await world.ready()
    world.server.deauthorize_all()
    world.server.kill_connections()
    ended = await world.ended(lease)
    assert (ended.status, ended.close_reason) == (LeaseStatus.ERROR, CloseReason.ERROR)


async def test_the_grace_holds_a_lost_lease_and_ends_it_by_the_clock(world: World) -> None:
    lease = await world.ready()
    world.server.stop()
    await world.master_is(lease, MasterState.LOST)
    world.clock.turn(290)  # longer than a dead heartbeat, shorter than the grace
    assert await world.janitor.sweep() == 0
    world.clock.turn(11)
    assert await world.janitor.sweep() == 1
    ended = await world.lease(lease)
    assert (ended.status, ended.close_reason) == (LeaseStatus.CLOSED, CloseReason.SERVER_CLOSED)
    assert ended.error_detail == rules.NOT_BACK
    assert world.box.leases.held == {}


async def test_closing_a_lost_lease_ends_the_redialling(world: World) -> None:
    lease = await world.ready()
    world.server.stop()
    await world.master_is(lease, MasterState.LOST)
    master = world.box.leases.held[lease.id]
    await world.close(lease)
    assert master.state is MasterState.CLOSED
    assert master._redialling is not None
    assert master._redialling.done()


async def test_trouble_of_the_box_itself_does_not_end_the_redialling(world: World) -> None:
    lease = await world.ready()
    sealed = (await world.rows("SELECT private_key_enc FROM agent_keypairs"))[0]["private_key_enc"]
    await world.box.store.write(lambda tx: tx.run("UPDATE agent_keypairs SET private_key_enc = 'AAAA'"))
    world.server.kill_connections()
    await world.master_is(lease, MasterState.LOST)
    master = world.box.leases.held[lease.id]
    await eventually(lambda: master.redials >= 1 and master.state is MasterState.LOST)
    await world.box.store.write(lambda tx: tx.run("UPDATE agent_keypairs SET private_key_enc = ?", (sealed,)))
    await world.master_is(lease, MasterState.UP)


# keys and accounts


async def test_a_key_in_use_is_not_revoked_without_force(world: World) -> None:
    lease = await world.ready()
    problem = await problem_of(world.box.keys.revoke(world.me, world.owner, world.key.id, force=False))
    assert (problem.code, problem.detail["session_ids"]) == ("keypair_in_use", [lease.id])
    assert (await world.box.keys.get(world.owner, world.key.id)).is_active
    assert (await world.run(lease, "echo on")).stdout == b"on\n"


async def test_a_forced_revocation_ends_the_leases_at_once(world: World) -> None:
    leases = [await world.ready(), await world.start()]
    revoked = await world.box.keys.revoke(world.me, world.owner, world.key.id, force=True)
    assert (revoked.is_active, revoked.revoked_at is not None) == (False, True)
    for lease in leases:
        ended = await world.ended(lease)
        assert (ended.status, ended.error_detail) == (LeaseStatus.ERROR, rules.KEY_REVOKED)
    await eventually(lambda: not world.box.leases.held)
    assert (await problem_of(world.start())).code == "keypair_revoked"


async def test_disabling_an_account_ends_its_leases_at_once(world: World) -> None:
    box = world.box
    other = await box.accounts.create(world.me, "Anna")
    actor = Actor(other.id)
    key = (await box.keys.list(other.id))[0]
    world.server.authorize(key.public_key)
    saved = await box.connections.create(
        actor,
        other.id,
        label="S",
        host=world.server.host,
        port=world.server.port,
        username=world.server.username,
        keypair_id=None,
    )
    await box.connections.test(
        actor, other.id, saved.id, accept_host_key=True, fingerprint=world.server.fingerprint()
    )
    theirs = await box.leases.start(actor, other.id, saved.id)
    mine = await world.ready()
    await box.accounts.set_active(world.me, other.id, False)

    async def ended() -> bool:
        return (await box.leases.get(other.id, theirs.id)).status is LeaseStatus.ERROR

    await eventually(ended)
    assert (await box.leases.get(other.id, theirs.id)).error_detail == rules.ACCOUNT_DISABLED
    assert (await world.lease(mine)).status is LeaseStatus.ACTIVE


# the box's own end


async def test_a_stopping_box_ends_its_leases_and_starts_none(
    tmp_path: Path, clock: HandClock, server: Sshd
) -> None:
    box = Box(tmp_path / "box", Settings(allow_loopback=True), clock)
    await box.start()
    world = await World.meet(box, clock, server)
    lease = await world.ready()
    orphan, _, _ = await box.store.write(
        lambda tx: box.leases.writes.intend(tx, world.owner, world.connection.id, 5)
    )
    await box.leases.stop()
    for ended in (await world.lease(lease), await world.lease(orphan)):
        assert (ended.status, ended.error_detail) == (LeaseStatus.ERROR, rules.BOX_STOPPED)
    assert (await problem_of(world.start())).code == "stopping"
    await box.stop()
    again = Box(tmp_path / "box", Settings(allow_loopback=True), clock)
    await again.open()
    assert await again.store.read(sql.open_leases) == []
    assert (await again.keys.list(again.owner.id))[0].id == world.key.id
    await again.store.close()


async def test_what_fails_beside_a_lease_at_its_end_leaves_no_link_behind(world: World) -> None:
    lease = await world.ready()
    link = world.box.leases.held[lease.id].link
    assert link is not None

    async def fails(_lease_id: str) -> None:
        raise RuntimeError("a hook that does not work")

    world.box.leases.on_closing.insert(0, fails)
    closed = await world.box.leases.close(world.me, world.owner, lease.id)
    assert closed.close_reason is CloseReason.USER
    assert not link.is_alive
