"""Servers behind servers: every hop is its own login, with its own key and its own pinned host key, on every path."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from clawdbox.errors import Conflict, NotFound
from clawdbox.events import Actor
from clawdbox.ssh.model import CloseReason, LeaseStatus, MasterState
from clawdbox.ssh.model import TestResult as Result
from tests.ssh.chain import Chain
from tests.ssh.sshd import Sshd
from tests.ssh.world import World, problem_of
from tests.waiting import eventually

pytestmark = pytest.mark.sshd


@pytest.fixture
async def chain(world: World, tmp_path: Path) -> AsyncIterator[Chain]:
    made = await Chain.make(world, tmp_path)
    yield made
    made.stop()


@pytest.fixture
async def three(world: World, tmp_path: Path) -> AsyncIterator[Chain]:
    made = await Chain.make(world, tmp_path, depth=3)
    yield made
    made.stop()


async def begin(chain: Chain, name: str) -> str:
    world = chain.world
    return (await world.box.leases.start(world.me, world.owner, chain.connections[name].id)).id


async def say(chain: Chain, lease_id: str, command: str) -> str:
    world = chain.world
    answer = await world.box.execs.execute(
        world.me, world.owner, lease_id, command, timeout_s=15, max_output_bytes=10_000
    )
    return str(answer.stdout)


# working


async def test_a_session_runs_on_the_server_at_the_end_of_the_chain(three: Chain) -> None:
    await three.pin("bastion", "inner", "third")
    lease = await begin(three, "third")
    assert str(three.servers["third"].home) in await say(three, lease, "echo $HOME")
    for server in three.servers.values():
        assert "Accepted publickey" in server.log()


async def test_closing_a_session_closes_the_links_to_its_jump_hosts(three: Chain) -> None:
    await three.pin("bastion", "inner", "third")
    lease = await begin(three, "third")
    (link,) = [master.link for master in three.world.box.leases.held.values()]
    assert link is not None
    carriers = [link._carrier, link._carrier._carrier if link._carrier else None]
    assert all(carrier and carrier.is_alive for carrier in carriers)
    await three.world.box.leases.close(three.world.me, three.world.owner, lease)
    assert not any(carrier and carrier.is_alive for carrier in carriers)


async def test_two_sessions_through_one_bastion_share_no_link(chain: Chain) -> None:
    await chain.pin("bastion", "inner")
    first, second = await begin(chain, "inner"), await begin(chain, "inner")
    held = chain.world.box.leases.held
    links = [held[lease].link for lease in (first, second)]
    carriers = [link._carrier for link in links if link is not None]
    assert None not in carriers
    assert len(set(carriers)) == 2
    await chain.world.box.leases.close(chain.world.me, chain.world.owner, first)
    assert "still" in await say(chain, second, "echo still")


async def test_loopback_behind_a_jump_host_is_the_jump_host_and_needs_no_leave(world: World) -> None:
    world.box.addresses._by_flag = False
    saved = await world.box.connections.create(
        world.me,
        world.owner,
        label="Container",
        host="localhost",
        port=2222,
        username="root",
        keypair_id=None,
        jump_connection_id=world.connection.id,
    )
    refused = await problem_of(
        world.box.connections.change(world.me, world.owner, saved.id, jump_connection_id=None)
    )
    assert refused.code == "address_refused", "dialled directly, it would be this machine itself"


async def test_another_way_to_a_server_keeps_its_pin_and_is_tested_anew(chain: Chain) -> None:
    await chain.pin("bastion", "inner")
    world, inner = chain.world, chain.connections["inner"]
    direct = await world.box.connections.change(world.me, world.owner, inner.id, jump_connection_id=None)
    assert (direct.state, direct.host_key_fingerprint) == ("draft", chain.servers["inner"].fingerprint())
    assert (await chain.test("inner")).result is Result.OK
    assert (await chain.now("inner")).state == "tested"


# refusals before any dial


async def test_an_untested_jump_host_is_to_be_tested_first(chain: Chain) -> None:
    outcome = await chain.test("inner")
    assert (outcome.result, outcome.cause) == (Result.FAILED, "jump_untested")
    assert outcome.failed_hop is not None
    assert outcome.failed_hop.label == "Server"
    assert outcome.next_step is not None
    assert "Test “Server” first" in outcome.next_step
    assert chain.world.server.login_attempts() == 0


async def test_a_session_is_refused_while_a_jump_host_waits_for_its_test(chain: Chain) -> None:
    await chain.pin("bastion", "inner")
    world = chain.world
    await world.box.connections.change(world.me, world.owner, world.connection.id, host="localhost")
    refused = await problem_of(begin(chain, "inner"))
    assert refused.code == "jump_untested"
    assert refused.detail["jump_connection_id"] == world.connection.id


async def test_a_cycle_is_refused_also_when_a_later_change_would_close_it(three: Chain) -> None:
    world = three.world
    for jump in ("bastion", "inner", "third"):
        change = world.box.connections.change(
            world.me, world.owner, world.connection.id, jump_connection_id=three.connections[jump].id
        )
        assert (await problem_of(change)).code == "jump_cycle"
    assert (await world.now()).jump_connection_id is None


async def test_a_jump_host_that_others_use_stays_and_the_refusal_names_them(chain: Chain) -> None:
    world = chain.world
    remove = world.box.connections.remove
    refused = await problem_of(remove(world.me, world.owner, world.connection.id, remove_key=False))
    assert refused.code == "connection_is_jump"
    assert [one["label"] for one in refused.detail["connections"]] == ["inner"]
    await remove(world.me, world.owner, chain.connections["inner"].id, remove_key=False)
    await remove(world.me, world.owner, world.connection.id, remove_key=False)


async def test_a_session_keeps_its_jump_hosts_as_they_are(chain: Chain) -> None:
    await chain.pin("bastion", "inner")
    lease = await begin(chain, "inner")
    world = chain.world
    change = world.box.connections.change(world.me, world.owner, world.connection.id, username="other")
    refused = await problem_of(change)
    assert (refused.code, refused.detail["session_ids"]) == ("connection_in_use", [lease])


async def test_nobody_jumps_through_somebody_elses_server(chain: Chain) -> None:
    box = chain.world.box
    anna = await box.accounts.create(Actor(), "Anna")
    with pytest.raises(NotFound):
        await box.connections.create(
            Actor(anna.id),
            anna.id,
            label="x",
            host="nas.lan",
            port=22,
            username="u",
            keypair_id=None,
            jump_connection_id=chain.world.connection.id,
        )
    own = await box.connections.create(
        Actor(anna.id), anna.id, label="x", host="nas.lan", port=22, username="u", keypair_id=None
    )
    with pytest.raises(NotFound):
        await box.connections.change(
            Actor(anna.id), anna.id, own.id, jump_connection_id=chain.world.connection.id
        )


# host keys, at each hop and on each path


@pytest.mark.parametrize("changed", ["bastion", "inner", "third"])
async def test_a_changed_key_anywhere_stops_the_chain_there_and_marks_that_connection(
    three: Chain, changed: str
) -> None:
    names = ["bastion", "inner", "third"]
    await three.pin(*names)
    server = three.servers[changed]
    server.restart(new_host_keys=("ed25519",))
    attempts = {name: three.servers[name].login_attempts() for name in names[names.index(changed) :]}

    if changed == "third":
        assert (await problem_of(begin(three, "third"))).code == "host_key_changed"
    else:
        refused = await problem_of(begin(three, "third"))
        assert (refused.code, refused.detail["cause"]) == ("ssh_failed", "jump_host_key")
        assert refused.detail["jump_connection_id"] == three.connections[changed].id
        outcome = await three.test("third")
        assert (outcome.result, outcome.cause) == (Result.FAILED, "jump_host_key")
        assert outcome.failed_hop is not None
        assert outcome.failed_hop.id == three.connections[changed].id

    marked = await three.now(changed)
    assert marked.last_test_result is Result.HOST_KEY_MISMATCH
    assert marked.offered_fingerprint == server.fingerprint()
    for name in names:
        if name != changed:
            assert (await three.now(name)).offered_fingerprint is None
    for name, before in attempts.items():
        assert three.servers[name].login_attempts() == before, f"nobody logged in to {name}"


async def test_a_hop_that_refuses_the_login_is_named(chain: Chain) -> None:
    await chain.pin("bastion", "inner")
    chain.world.server.deauthorize_all()
    outcome = await chain.test("inner")
    assert (outcome.result, outcome.cause) == (Result.FAILED, "authentication")
    assert outcome.message.startswith("The jump host “Server” refused the login")
    assert outcome.failed_hop is not None
    refused = await problem_of(begin(chain, "inner"))
    assert refused.detail["jump_label"] == "Server"


async def test_the_servers_own_refusal_is_not_blamed_on_the_jump_host(chain: Chain) -> None:
    await chain.pin("bastion", "inner")
    chain.servers["inner"].deauthorize_all()
    outcome = await chain.test("inner")
    assert (outcome.cause, outcome.failed_hop) == ("authentication", None)
    assert "jump host" not in outcome.message


# a bastion that does not let one through


async def test_a_bastion_that_forbids_forwarding_is_told_from_every_other_trouble(
    world: World, tmp_path: Path
) -> None:
    with Sshd(tmp_path / "strict", options={"AllowTcpForwarding": "no"}) as strict:
        strict.authorize(world.key.public_key)
        chain = Chain(world, {"bastion": world.server}, {"bastion": world.connection})
        chain.servers["strict"] = strict
        chain.connections["strict"] = await chain.save("strict", strict, None)
        chain.servers["behind"] = world.server
        chain.connections["behind"] = await chain.save("behind", world.server, "strict")
        await chain.pin("strict")
        outcome = await chain.test("behind")
    assert (outcome.result, outcome.cause) == (Result.FAILED, "forwarding")
    assert outcome.message.startswith("The jump host “strict” does not let the box through")
    assert outcome.next_step is not None
    assert "AllowTcpForwarding" in outcome.next_step


async def test_a_port_where_nothing_listens_behind_the_bastion_says_so(chain: Chain) -> None:
    await chain.pin("bastion")
    chain.servers["inner"].stop()
    outcome = await chain.test("inner")
    assert (outcome.cause, outcome.failed_hop) == ("port", None)
    assert "answered the jump host “Server”, but nothing listens on port" in outcome.message


async def test_a_name_is_looked_up_by_the_jump_host(chain: Chain) -> None:
    await chain.pin("bastion")
    chain.connections["odd"] = await chain.save(
        "odd", chain.servers["inner"], "bastion", host="nowhere.invalid"
    )
    outcome = await chain.test("odd")
    assert outcome.cause == "name"
    assert "says the jump host “Server”" in outcome.message


async def test_a_server_that_is_no_ssh_server_is_recognised_behind_a_jump_host_too(chain: Chain) -> None:
    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    await chain.pin("bastion")
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as web:
        port = web.sockets[0].getsockname()[1]
        chain.connections["web"] = await chain.save("web", chain.servers["inner"], "bastion", port=port)
        outcome = await chain.test("web")
    assert outcome.cause == "not_ssh"
    assert "a web server" in outcome.message


# losing a hop


async def test_a_bastion_that_dies_during_a_session_is_redialled_with_the_whole_chain(chain: Chain) -> None:
    await chain.pin("bastion", "inner")
    lease_id = await begin(chain, "inner")
    lease = await chain.world.box.leases.get(chain.world.owner, lease_id)
    assert "before" in await say(chain, lease_id, "echo before")
    before = chain.servers["inner"].login_attempts()
    chain.world.server.kill_connections()

    def redialled() -> bool:
        view = chain.world.box.leases.master(lease_id)
        return view is not None and view.redials > 0 and view.state is MasterState.UP

    await eventually(redialled, timeout=30, what="a redial of the chain")
    assert chain.servers["inner"].login_attempts() > before, "the server behind was entered anew, too"
    assert "after" in await say(chain, lease.id, "echo after")


async def test_a_redial_checks_every_pin_again_and_ends_the_session_at_a_changed_bastion(
    chain: Chain,
) -> None:
    await chain.pin("bastion", "inner")
    lease_id = await begin(chain, "inner")
    before = chain.servers["inner"].login_attempts()
    chain.world.server.restart(new_host_keys=("ed25519",))
    lease = await chain.world.ended(await chain.world.box.leases.get(chain.world.owner, lease_id))
    assert (lease.status, lease.close_reason) == (LeaseStatus.ERROR, CloseReason.ERROR)
    assert lease.error_detail is not None
    assert "The jump host “Server” shows another host key" in lease.error_detail
    assert (await chain.now("bastion")).offered_fingerprint == chain.world.server.fingerprint()
    assert chain.servers["inner"].login_attempts() == before


async def test_a_server_that_restarts_behind_a_living_bastion_leaves_no_link_behind(chain: Chain) -> None:
    await chain.pin("bastion", "inner")
    lease_id = await begin(chain, "inner")
    link = chain.world.box.leases.held[lease_id].link
    assert link is not None
    carrier = link._carrier
    assert carrier is not None
    chain.servers["inner"].kill_connections()
    await eventually(lambda: not carrier.is_alive, timeout=20, what="the end of the bastion's link")


async def test_revoking_the_key_of_a_jump_host_ends_what_it_opened(chain: Chain) -> None:
    world = chain.world
    other, _ = await world.box.keys.create(world.me, world.owner, "bastion's own")
    world.server.deauthorize_all()
    world.server.authorize(other.public_key)
    await world.box.connections.change(world.me, world.owner, world.connection.id, keypair_id=other.id)
    await chain.pin("bastion", "inner")
    lease_id = await begin(chain, "inner")
    with pytest.raises(Conflict) as refused:
        await world.box.keys.revoke(world.me, world.owner, other.id, force=False)
    assert refused.value.detail["session_ids"] == [lease_id]
    await world.box.keys.revoke(world.me, world.owner, other.id, force=True)
    lease = await world.ended(await world.box.leases.get(world.owner, lease_id))
    assert lease.error_detail == "The key of this session was revoked."
    assert (await chain.world.chain_is_whole()) is True
