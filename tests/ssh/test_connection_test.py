"""A test of a connection: it shows the host key before anything else, pins exactly what a person accepted, and says
why it failed. What authenticated is known from the server's own log."""

import asyncio
import pwd
import subprocess
from pathlib import Path

import pytest

from clawdbox.app import Box
from clawdbox.errors import Conflict, NotFound
from clawdbox.events import Actor
from clawdbox.settings import Settings
from clawdbox.ssh.model import Connection, HostKey
from clawdbox.ssh.model import TestResult as Result
from tests.clocks import HandClock
from tests.ssh.sshd import Sshd
from tests.ssh.world import World, problem_of
from tests.waiting import eventually

OTHER_KEY = "SHA256:" + "A" * 43


def make_key(file: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file], check=True)


# the first key


async def test_an_unknown_key_is_shown_and_nothing_is_sent_to_that_server(world: World) -> None:
    problem = await world.refused_test()
    assert problem.code == "host_key_unknown"
    assert problem.detail == {"new_fingerprint": world.server.fingerprint(), "new_type": "ssh-ed25519"}
    assert world.server.login_attempts() == 0
    now = await world.now()
    assert (now.host_key_fingerprint, now.offered_fingerprint) == (None, world.server.fingerprint())
    assert (await world.audit("connection.test"))[0]["result"] == "failed"


async def test_the_accepted_fingerprint_is_pinned_and_logged_in_to(world: World) -> None:
    outcome = await world.test(accept=True, fingerprint=world.server.fingerprint())
    assert (outcome.result, outcome.cause, outcome.next_step) == (Result.OK, None, None)
    assert outcome.latency_ms is not None
    assert outcome.latency_ms > 0
    now = await world.now()
    assert (now.host_key_fingerprint, now.host_key_type) == (world.server.fingerprint(), "ssh-ed25519")
    assert now.host_key_pinned_at is not None
    assert now.offered_fingerprint is None
    assert now.state == "tested"
    assert world.server.login_attempts() >= 1
    assert [row["action"] for row in await world.audit("host_key.pin")] == ["host_key.pin"]


async def test_it_works_for_a_user_whose_number_has_no_name(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container: `docker run --user 4321`."""

    def nobody(uid: int) -> pwd.struct_passwd:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "")
    outcome = await world.test(accept=True, fingerprint=world.server.fingerprint())
    assert outcome.result is Result.OK


async def test_another_fingerprint_than_the_shown_one_accepts_nothing(world: World) -> None:
    await world.refused_test()
    problem = await world.refused_test(accept=True, fingerprint=OTHER_KEY)
    assert problem.code == "host_key_unknown"
    assert problem.detail["new_fingerprint"] == world.server.fingerprint()
    assert (await world.now()).host_key_fingerprint is None
    assert world.server.login_attempts() == 0


async def test_accepting_without_a_fingerprint_takes_the_key_that_was_shown_last(world: World) -> None:
    await world.refused_test()
    assert (await world.test(accept=True)).result is Result.OK
    assert (await world.now()).host_key_fingerprint == world.server.fingerprint()


async def test_accepting_without_a_fingerprint_takes_nothing_when_nothing_was_shown(world: World) -> None:
    assert (await world.refused_test(accept=True)).code == "host_key_unknown"
    assert (await world.now()).host_key_fingerprint is None
    assert world.server.login_attempts() == 0


@pytest.mark.parametrize("fingerprint", [None, "shown"])
async def test_a_key_that_was_swapped_between_showing_and_accepting_is_not_pinned(
    world: World, fingerprint: str | None
) -> None:
    shown = (await world.refused_test()).detail["new_fingerprint"]
    world.server.restart(new_host_keys=("ed25519",))
    problem = await world.refused_test(accept=True, fingerprint=shown if fingerprint else None)
    assert problem.code == "host_key_unknown"
    assert problem.detail["new_fingerprint"] == world.server.fingerprint() != shown
    assert (await world.now()).host_key_fingerprint is None
    assert world.server.login_attempts() == 0


# a changed key


async def test_a_changed_key_is_refused_before_any_authentication(world: World) -> None:
    pinned = await world.pin()
    world.server.restart(new_host_keys=("ed25519",))
    before = world.server.login_attempts()
    problem = await world.refused_test()
    assert problem.code == "host_key_changed"
    assert problem.detail["old_fingerprint"] == pinned.host_key_fingerprint
    assert problem.detail["new_fingerprint"] == world.server.fingerprint()
    assert problem.detail["pinned_at"] == pinned.host_key_pinned_at
    assert problem.detail["offered_at"] > problem.detail["pinned_at"]
    assert world.server.login_attempts() == before
    now = await world.now()
    assert now.host_key_fingerprint == pinned.host_key_fingerprint
    assert now.last_test_result is Result.HOST_KEY_MISMATCH


async def test_a_key_of_another_type_counts_as_changed_not_as_unknown(world: World) -> None:
    await world.pin()
    world.server.restart(new_host_keys=("rsa",))
    before = world.server.login_attempts()
    problem = await world.refused_test()
    assert problem.code == "host_key_changed"
    assert (problem.detail["old_type"], problem.detail["new_type"]) == ("ssh-ed25519", "ssh-rsa")
    assert problem.detail["new_fingerprint"] == world.server.fingerprint("rsa")
    assert world.server.login_attempts() == before


async def test_a_changed_key_is_pinned_by_an_explicit_act_only(world: World) -> None:
    first = await world.pin()
    world.server.restart(new_host_keys=("ed25519",))
    for _ in range(2):
        assert (await world.refused_test()).code == "host_key_changed"
    outcome = await world.test(accept=True, fingerprint=world.server.fingerprint())
    assert outcome.result is Result.OK
    now = await world.now()
    assert now.host_key_fingerprint == world.server.fingerprint()
    assert now.host_key_pinned_at is not None
    assert first.host_key_pinned_at is not None
    assert now.host_key_pinned_at > first.host_key_pinned_at
    assert len(await world.audit("host_key.pin")) == 2


async def test_a_server_with_a_second_type_of_key_keeps_showing_the_pinned_one(world: World) -> None:
    world.server.restart(new_host_keys=("rsa",))
    await world.pin()
    more = world.server._key_file("ed25519")  # of the type that is asked for first when nothing is pinned
    await asyncio.to_thread(make_key, more)
    world.server._host_keys = ("rsa", "ed25519")
    world.server.restart()
    assert (await world.test()).host_key == HostKey(world.server.fingerprint("rsa"), "ssh-rsa")


async def test_the_same_pin_keeps_its_date(world: World, clock: HandClock) -> None:
    first = await world.pin()
    clock.turn(3600)
    again = (await world.test()).connection
    assert again.host_key_pinned_at == first.host_key_pinned_at
    assert again.last_tested_at is not None
    assert first.last_tested_at is not None
    assert again.last_tested_at > first.last_tested_at


# tests that overtake each other


async def overtake(world: World, tested: Connection, seen: HostKey) -> Conflict:
    """What a slow test of `tested` that saw `seen` without accepting anything still writes."""

    async def write() -> None:
        raise await world.box.connections._tests._show_key(world.me, tested, seen)

    problem = await problem_of(write())
    assert isinstance(problem, Conflict)
    return problem


async def test_a_test_that_was_overtaken_by_an_acceptance_does_not_call_the_accepted_key_changed(
    world: World,
) -> None:
    draft = await world.now()
    await world.test(accept=True, fingerprint=world.server.fingerprint())
    problem = await overtake(world, draft, HostKey(world.server.fingerprint(), "ssh-ed25519"))
    assert problem.code == "connection_changed"
    now = await world.now()
    assert (now.last_test_result, now.offered_fingerprint) == (Result.OK, None)


async def test_a_key_that_another_host_showed_is_not_kept_for_the_host_after_an_edit(world: World) -> None:
    draft = await world.now()
    await world.box.connections.change(world.me, world.owner, draft.id, host="192.168.77.1")
    problem = await overtake(world, draft, HostKey(OTHER_KEY, "ssh-ed25519"))
    assert problem.code == "connection_changed"
    assert (await world.now()).offered_fingerprint is None


async def test_a_test_without_acceptance_never_puts_an_older_pin_back(world: World) -> None:
    old = await world.pin()
    world.server.restart(new_host_keys=("ed25519",))
    await world.refused_test()
    new = (await world.test(accept=True, fingerprint=world.server.fingerprint())).connection
    assert old.host_key_fingerprint is not None
    key = HostKey(old.host_key_fingerprint, "ssh-ed25519")
    problem = await problem_of(world.box.connections._tests._record(world.me, old, key, False, None, None))
    assert problem.code == "connection_changed"
    assert (await world.now()).host_key_fingerprint == new.host_key_fingerprint


async def test_two_tests_at_once_both_answer(world: World) -> None:
    await world.pin()
    outcomes = await asyncio.gather(world.test(), world.test())
    assert [outcome.result for outcome in outcomes] == [Result.OK, Result.OK]


async def test_a_caller_who_leaves_does_not_undo_the_outcome(world: World) -> None:
    task = asyncio.ensure_future(world.test(accept=True, fingerprint=world.server.fingerprint()))
    await eventually(lambda: world.box.connections._tests._running)
    task.cancel()
    await asyncio.wait([task])

    async def pinned() -> str | None:
        return (await world.now()).host_key_fingerprint

    assert await eventually(pinned) == world.server.fingerprint()


# drafts


async def test_a_draft_cannot_be_started(world: World) -> None:
    assert (await problem_of(world.start())).code == "connection_untested"
    await world.refused_test()
    assert (await problem_of(world.start())).code == "connection_untested"
    assert await world.rows("SELECT 1 FROM session_leases") == []


async def test_an_accepted_key_alone_is_no_success(world: World) -> None:
    world.server.deauthorize_all()
    outcome = await world.test(accept=True, fingerprint=world.server.fingerprint())
    assert (outcome.result, outcome.cause) == (Result.FAILED, "authentication")
    assert outcome.next_step
    now = await world.now()
    assert now.host_key_fingerprint == world.server.fingerprint()
    assert now.state == "draft"
    assert (await problem_of(world.start())).code == "connection_untested"


async def test_a_login_that_runs_no_command_is_no_success(world: World) -> None:
    world.server.deauthorize_all()
    world.server.authorize(world.key.public_key, 'command="echo no; exit 1"')
    outcome = await world.test(accept=True, fingerprint=world.server.fingerprint())
    assert outcome.result is Result.FAILED
    assert "did not run a command" in outcome.message
    assert (await world.now()).state == "draft"


@pytest.mark.parametrize("edit", [{"host": "localhost"}, {"port": 2}])
async def test_another_host_or_port_clears_pin_and_result(world: World, edit: dict[str, str | int]) -> None:
    await world.pin()
    after = await world.box.connections.change(world.me, world.owner, world.connection.id, **edit)  # type: ignore[arg-type]
    assert (after.host_key_fingerprint, after.host_key_type, after.host_key_pinned_at) == (None, None, None)
    assert (after.last_tested_at, after.last_test_result, after.last_latency_ms) == (None, None, None)
    assert after.state == "draft"


async def test_another_label_or_user_keeps_the_pin(world: World) -> None:
    pinned = await world.pin()
    after = await world.box.connections.change(
        world.me, world.owner, pinned.id, label="Bob's NAS", username="somebody"
    )
    assert after.host_key_fingerprint == pinned.host_key_fingerprint
    assert (after.label, after.username) == ("Bob's NAS", "somebody")


# who and with which key


async def test_a_revoked_key_logs_in_nowhere_any_more(world: World) -> None:
    await world.pin()
    before = world.server.login_attempts()
    await world.box.keys.revoke(world.me, world.owner, world.key.id, force=False)
    for attempt in (world.test(), world.start()):
        assert (await problem_of(attempt)).code == "keypair_revoked"
    assert world.server.login_attempts() == before


async def test_a_closed_port_is_named_and_written_down(world: World) -> None:
    await world.pin()
    world.server.stop()
    outcome = await world.test()
    assert (outcome.result, outcome.cause) == (Result.FAILED, "port")
    assert outcome.next_step
    now = await world.now()
    assert (now.last_test_result, now.last_test_message) == (Result.FAILED, outcome.message)
    assert now.host_key_fingerprint is not None
    world.server.start()


async def test_a_server_that_stalls_ends_with_a_timeout(tmp_path: Path, clock: HandClock) -> None:
    async def stall(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    writers: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(stall, "127.0.0.1", 0)
    box = Box(tmp_path / "box", Settings(allow_loopback=True, test_timeout_s=0.3), clock)
    await box.start()
    try:
        me = Actor(box.owner.id)
        port = silent.sockets[0].getsockname()[1]
        saved = await box.connections.create(
            me, box.owner.id, label="Silent", host="127.0.0.1", port=port, username="u", keypair_id=None
        )
        outcome = await box.connections.test(
            me, box.owner.id, saved.id, accept_host_key=False, fingerprint=None
        )
        assert (outcome.result, outcome.cause) == (Result.TIMEOUT, "timeout")
        assert outcome.connection.state == "draft"
    finally:
        await box.stop()
        for writer in writers:
            writer.close()
        silent.close()
        await silent.wait_closed()


async def test_loopback_is_refused_when_saved_and_again_when_dialled(
    tmp_path: Path, clock: HandClock, server: Sshd
) -> None:
    box = Box(tmp_path / "box", Settings(), clock)
    await box.start()
    me, owner = Actor(box.owner.id), box.owner.id
    place = {"label": "Here", "port": server.port, "username": "root", "keypair_id": None}
    try:
        for host in ("127.0.0.1", "localhost", "a.localhost", "::1", "::ffff:127.0.0.1", "0.0.0.0"):
            refused = await problem_of(box.connections.create(me, owner, host=host, **place))  # type: ignore[arg-type]
            assert (refused.code, refused.detail["field"]) == ("address_refused", "host"), host
        await box.connections.allow_loopback(me, True)
        saved = await box.connections.create(me, owner, host="127.0.0.1", **place)  # type: ignore[arg-type]
        await box.connections.allow_loopback(me, False)
        outcome = await box.connections.test(
            me, owner, saved.id, accept_host_key=True, fingerprint=server.fingerprint()
        )
        assert (outcome.result, outcome.cause) == (Result.FAILED, "address_refused")
        assert server.login_attempts() == 0
    finally:
        await box.stop()


async def test_another_account_finds_nothing(world: World) -> None:
    other = await world.box.accounts.create(world.me, "Anna")
    me = Actor(other.id)
    for verb in (
        world.box.connections.get(other.id, world.connection.id),
        world.box.connections.change(me, other.id, world.connection.id, label="Mine"),
        world.box.connections.remove(me, other.id, world.connection.id, remove_key=False),
        world.box.connections.test(me, other.id, world.connection.id, accept_host_key=True, fingerprint=None),
        world.box.leases.start(me, other.id, world.connection.id),
    ):
        assert isinstance(await problem_of(verb), NotFound)
    assert await world.box.connections.list(other.id) == []


# removing


async def test_removing_takes_the_key_off_the_server_and_says_so(world: World, tmp_path: Path) -> None:
    await world.pin()
    keys = tmp_path / "home" / ".ssh" / "authorized_keys"
    keys.parent.mkdir()
    keys.write_text(f"ssh-ed25519 AAAAother somebody\nrestrict {world.key.public_key}\n")
    gone, removal = await world.box.connections.remove(
        world.me, world.owner, world.connection.id, remove_key=True
    )
    assert (removal.attempted, removal.removed) == (True, True)
    assert keys.read_text() == "ssh-ed25519 AAAAother somebody\n"
    assert gone.state == "deleted"
    assert isinstance(await problem_of(world.now()), NotFound)


async def test_removing_says_when_the_key_could_not_be_taken_off(world: World) -> None:
    await world.pin()
    world.server.stop()
    _, removal = await world.box.connections.remove(
        world.me, world.owner, world.connection.id, remove_key=True
    )
    assert (removal.attempted, removal.removed) == (True, False)
    assert "still on the server" in removal.message


async def test_removing_does_not_log_in_to_a_server_whose_key_changed(world: World) -> None:
    await world.pin()
    world.server.restart(new_host_keys=("ed25519",))
    before = world.server.login_attempts()
    _, removal = await world.box.connections.remove(
        world.me, world.owner, world.connection.id, remove_key=True
    )
    assert removal.removed is False
    assert world.server.login_attempts() == before


async def test_the_label_of_a_removed_connection_is_free_again(world: World) -> None:
    taken = await problem_of(
        world.box.connections.create(
            world.me,
            world.owner,
            label="Server",
            host="192.168.1.2",
            port=22,
            username="u",
            keypair_id=None,
        )
    )
    assert (taken.code, taken.detail["field"]) == ("label_taken", "label")
    await world.box.connections.remove(world.me, world.owner, world.connection.id, remove_key=False)
    again = await world.box.connections.create(
        world.me, world.owner, label="Server", host="192.168.1.2", port=22, username="u", keypair_id=None
    )
    assert again.id != world.connection.id
