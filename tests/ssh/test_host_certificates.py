"""A server that shows a certificate of a trusted authority needs no pin; every other certificate is refused in its own words."""

from pathlib import Path

import pytest

from clawdbox.errors import Conflict, NotFound
from clawdbox.events import Actor
from clawdbox.ssh.model import HostAuthority, LeaseStatus, MarkKind
from clawdbox.ssh.model import TestResult as Result
from tests.ssh.certificates import Authority, keygen, public_key_of
from tests.ssh.chain import Chain
from tests.ssh.sshd import Sshd
from tests.ssh.world import World, problem_of

pytestmark = pytest.mark.sshd


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


async def trust(world: World, authority: Authority, patterns: str = "127.0.0.1") -> HostAuthority:
    return await world.box.host_authorities.add(
        world.me, world.owner, MarkKind.AUTHORITY, "Home CA", patterns, authority.public
    )


async def revoke(world: World, public_key: str, patterns: str = "*") -> HostAuthority:
    return await world.box.host_authorities.add(
        world.me, world.owner, MarkKind.REVOKED, "Lost", patterns, public_key
    )


async def test_a_server_certified_by_a_trusted_authority_needs_no_approval(
    world: World, authority: Authority
) -> None:
    authority.certify(world.server)
    added = await trust(world, authority)
    outcome = await world.test()
    assert (outcome.result, outcome.host_key) == (Result.OK, None)
    connection = outcome.connection
    assert (connection.state, connection.host_key_fingerprint) == ("tested", None)
    assert connection.host_authority_id == added.id
    lease = await world.start()
    assert lease.status is LeaseStatus.ACTIVE
    assert (await world.run(lease, "echo certified")).stdout == b"certified\n"


async def test_a_new_host_key_with_a_new_certificate_is_trusted_without_a_question(
    world: World, authority: Authority
) -> None:
    authority.certify(world.server)
    await trust(world, authority)
    await world.test()
    world.server._settings.pop("HostCertificate")
    world.server.restart(new_host_keys=("ed25519",))
    authority.certify(world.server)
    assert (await world.test()).result is Result.OK


async def test_without_the_authority_the_server_is_met_as_any_other(
    world: World, authority: Authority
) -> None:
    authority.certify(world.server)
    assert (await world.refused_test()).code == "host_key_unknown"
    await trust(world, authority, "*.lan")
    assert (await world.refused_test()).code == "host_key_unknown", "the authority speaks for other hosts"


async def test_a_pinned_key_holds_although_an_authority_speaks_for_the_host(
    world: World, authority: Authority
) -> None:
    await world.pin()
    await trust(world, authority)
    world.server.restart(new_host_keys=("ed25519",))
    authority.certify(world.server)
    before = world.server.login_attempts()
    assert (await world.refused_test()).code == "host_key_changed"
    assert world.server.login_attempts() == before
    assert (await world.now()).host_authority_id is None


async def test_a_server_without_a_certificate_is_asked_about_although_an_authority_speaks_for_the_host(
    world: World, authority: Authority
) -> None:
    await trust(world, authority)
    assert (await world.refused_test()).code == "host_key_unknown"
    connection = await world.pin()
    assert (connection.state, connection.host_authority_id) == ("tested", None)


@pytest.mark.parametrize(
    "names, valid, words, step",
    [
        ("127.0.0.1", "-2d:-1d", "has expired", "Sign a new one"),
        ("127.0.0.1", "+1d:+2d", "is not valid yet", "Compare the clocks"),
        ("nas.lan,backup.lan", "-1d:+1d", "was made for other names than 127.0.0.1", "ssh-keygen -n"),
    ],
)
async def test_a_certificate_that_does_not_hold_is_refused_in_words_of_its_own(
    world: World, authority: Authority, names: str, valid: str, words: str, step: str
) -> None:
    authority.certify(world.server, names=names, valid=valid)
    await trust(world, authority)
    before = world.server.login_attempts()
    outcome = await world.test()
    assert (outcome.result, outcome.cause) == (Result.FAILED, "host_certificate")
    assert words in outcome.message
    assert outcome.next_step is not None
    assert step in outcome.next_step
    assert world.server.login_attempts() == before
    assert outcome.connection.state == "draft"


async def test_another_authoritys_certificate_is_refused_and_its_fingerprint_is_shown(
    world: World, authority: Authority, tmp_path: Path
) -> None:
    other = Authority(tmp_path / "other")
    other.certify(world.server)
    await trust(world, authority)
    outcome = await world.test()
    assert outcome.cause == "host_certificate"
    assert f"is signed by {other.fingerprint}, which you do not trust for it" in outcome.message
    await trust(world, other)
    assert (await world.test()).result is Result.OK


async def test_a_users_certificate_is_no_hosts(world: World, authority: Authority) -> None:
    authority.certify(world.server, host=False)
    await trust(world, authority)
    outcome = await world.test()
    assert outcome.cause == "host_certificate"
    assert "a user's certificate in place of a host's" in outcome.message


@pytest.mark.parametrize("which", ["pinned key", "certified key", "authority"])
async def test_a_revoked_key_is_refused_whatever_else_speaks_for_it(
    world: World, authority: Authority, which: str
) -> None:
    if which == "pinned key":
        await world.pin()
    else:
        authority.certify(world.server)
        await trust(world, authority)
        assert (await world.test()).result is Result.OK
    host_key = public_key_of(world.server)
    await revoke(world, authority.public if which == "authority" else host_key)
    before = world.server.login_attempts()
    outcome = await world.test()
    assert (outcome.result, outcome.cause) == (Result.FAILED, "host_key_revoked")
    assert world.server.login_attempts() == before
    refused = await problem_of(world.start())
    assert refused.detail["cause"] == "host_key_revoked"


async def test_a_revoked_key_cannot_be_accepted_at_first_sight(world: World) -> None:
    await revoke(world, public_key_of(world.server))
    outcome = await world.test(accept=True, fingerprint=world.server.fingerprint())
    assert outcome.cause == "host_key_revoked"
    assert outcome.connection.host_key_fingerprint is None


async def test_an_authority_that_is_removed_speaks_for_nobody_from_the_next_dial_on(
    world: World, authority: Authority
) -> None:
    authority.certify(world.server)
    added = await trust(world, authority)
    await world.test()
    lease = await world.start()
    await world.box.host_authorities.remove(world.me, world.owner, added.id)
    assert (await world.now()).state == "draft"
    assert (await problem_of(world.start())).code == "connection_untested"
    world.server.kill_connections()
    ended = await world.ended(lease)
    assert ended.status is LeaseStatus.ERROR
    assert await world.box.host_authorities.list(world.owner) == []


async def test_a_certificate_counts_at_a_jump_host_and_behind_it(
    world: World, authority: Authority, tmp_path: Path
) -> None:
    chain = await Chain.make(world, tmp_path)
    try:
        for server in chain.servers.values():
            authority.certify(server)
        await trust(world, authority)
        assert (await chain.test("bastion")).result is Result.OK
        assert (await chain.test("inner")).result is Result.OK
        await revoke(world, public_key_of(world.server))
        outcome = await chain.test("inner")
        assert (outcome.cause, outcome.failed_hop is not None) == ("host_key_revoked", True)
        assert "The jump host “Server”" in outcome.message
    finally:
        chain.stop()


async def test_an_account_trusts_its_own_authorities_alone(world: World, authority: Authority) -> None:
    authority.certify(world.server)
    anna = await world.box.accounts.create(Actor(), "Anna")
    theirs = await world.box.host_authorities.add(
        Actor(anna.id), anna.id, MarkKind.AUTHORITY, "Theirs", "*", authority.public
    )
    assert (await world.refused_test()).code == "host_key_unknown"
    with pytest.raises(NotFound):
        await world.box.host_authorities.remove(world.me, world.owner, theirs.id)
    assert await world.box.host_authorities.list(world.owner) == []


async def test_adding_and_removing_are_in_the_audit_trail(world: World, authority: Authority) -> None:
    added = await trust(world, authority)
    with pytest.raises(Conflict) as again:
        await trust(world, authority)
    assert again.value.code == "authority_exists"
    await world.box.host_authorities.remove(world.me, world.owner, added.id)
    await trust(world, authority)
    for action, count in (("host_authority.add", 2), ("host_authority.remove", 1)):
        rows = await world.audit(action)
        assert len(rows) == count
        assert all(authority.fingerprint in row["detail"] for row in rows)
    assert await world.chain_is_whole()


async def test_a_host_with_a_certificate_of_rsa_works_too(
    world: World, tmp_path: Path, authority: Authority
) -> None:
    with Sshd(tmp_path / "rsa", host_keys=("rsa",)) as server:
        server.authorize(world.key.public_key)
        await world.box.connections.change(
            world.me, world.owner, world.connection.id, host=server.host, port=server.port
        )
        key = server._key_file("rsa")
        keygen("-q", "-s", str(authority.file), "-I", "x", "-h", "-n", "127.0.0.1", f"{key}.pub")
        server._settings["HostCertificate"] = f"{key}-cert.pub"
        server.restart()
        await trust(world, authority)
        assert (await world.test()).result is Result.OK
