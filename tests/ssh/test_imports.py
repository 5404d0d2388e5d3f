"""An import is shown, then saved: pinned where known_hosts says so, a draft until tested, and nothing is half there."""

from pathlib import Path

import pytest

from clawdbox.errors import NotFound, Problem
from clawdbox.events import Actor
from clawdbox.ssh.model import TestResult as Result
from clawdbox.ssh.service.imports import Choice, Imported, Pasted
from tests.ssh.certificates import Authority, public_key_of
from tests.ssh.sshd import Sshd
from tests.ssh.world import World, problem_of

pytestmark = pytest.mark.sshd


def config_of(world: World, inner: Sshd) -> str:
    return (
        f"Host bastion\n  HostName {world.server.host}\n  Port {world.server.port}\n"
        f"Host inner\n  HostName {inner.host}\n  Port {inner.port}\n  ProxyJump bastion\n"
        f"Host *\n  User {inner.username}\n  IdentityFile ~/.ssh/id_ed25519\n"
    )


def known_of(*servers: Sshd) -> str:
    return "".join(f"[{server.host}]:{server.port} {public_key_of(server)}\n" for server in servers)


async def run(world: World, pasted: Pasted, *names: str, marks: tuple[str, ...] = ()) -> Imported:
    choices = [Choice(name) for name in names]
    return await world.box.imports.run(world.me, world.owner, pasted, choices, marks)


async def remove_first(world: World) -> None:
    await world.box.connections.remove(world.me, world.owner, world.connection.id, remove_key=False)


async def test_imported_servers_work_with_the_keys_that_were_trusted_before(
    world: World, tmp_path: Path
) -> None:
    await remove_first(world)
    with Sshd(tmp_path / "inner") as inner:
        inner.authorize(world.key.public_key)
        pasted = Pasted(config_of(world, inner), known_of(world.server, inner), "")
        plan = await world.box.imports.preview(world.owner, pasted)
        assert [(row.name, row.jump, row.problem) for row in plan.rows] == [
            ("bastion", None, None),
            ("inner", "bastion", None),
        ]
        assert await world.box.connections.list(world.owner) == [], "a preview saves nothing"

        imported = await run(world, pasted, "inner")
        saved = {connection.label: connection for connection in imported.connections}
        assert set(saved) == {"bastion", "inner"}
        assert saved["inner"].jump_connection_id == saved["bastion"].id
        assert saved["inner"].host_key_fingerprint == inner.fingerprint()
        assert {connection.state for connection in saved.values()} == {"draft"}
        for label in ("bastion", "inner"):
            outcome = await world.box.connections.test(
                world.me, world.owner, saved[label].id, accept_host_key=False, fingerprint=None
            )
            assert outcome.result is Result.OK, "its key was trusted before: nothing to approve"
    assert len(await world.audit("connection.import")) == 1
    assert len(await world.audit("host_key.pin")) == 2


async def test_a_key_that_is_not_the_one_of_known_hosts_is_a_changed_key(
    world: World, tmp_path: Path
) -> None:
    with Sshd(tmp_path / "other") as other:
        known = f"[{world.server.host}]:{world.server.port} {public_key_of(other)}\n"
        imported = await run(world, Pasted(config_of(world, other), known, ""), "bastion")
        (connection,) = imported.connections
    before = world.server.login_attempts()
    refused = await problem_of(
        world.box.connections.test(
            world.me, world.owner, connection.id, accept_host_key=False, fingerprint=None
        )
    )
    assert refused.code == "host_key_changed"
    assert world.server.login_attempts() == before


async def test_marked_lines_are_imported_when_they_are_chosen(world: World, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    authority.certify(world.server)
    pasted = Pasted(
        "", f"@cert-authority 127.0.0.1 {authority.public}\n@cert-authority * ssh-ed25519 AAAA\n", ""
    )
    plan = await world.box.imports.preview(world.owner, pasted)
    (mark,) = plan.marks
    assert (mark.kind, mark.fingerprint, mark.there) == ("authority", authority.fingerprint, False)
    assert (await run(world, pasted)).authorities == []
    assert len((await run(world, pasted, marks=(mark.fingerprint,))).authorities) == 1
    assert (await world.test()).result is Result.OK
    assert (await world.box.imports.preview(world.owner, pasted)).marks[0].there


async def test_an_import_is_whole_or_not_at_all(world: World) -> None:
    pasted = Pasted("Host a\nHost b\n", "", "bob")
    choices = [Choice("a", "Fine"), Choice("b", "Server")]
    refused = await problem_of(world.box.imports.run(world.me, world.owner, pasted, choices, []))
    assert (refused.code, refused.detail["field"]) == ("label_taken", "b")
    assert [one.label for one in await world.box.connections.list(world.owner)] == ["Server"]


async def test_a_row_that_cannot_be_saved_is_not_saved_by_asking_for_it(world: World) -> None:
    for name, pasted in (
        ("x", Pasted("Host x\n HostName 169.254.169.254\n", "", "bob")),
        ("x", Pasted("Host x\n", "", "")),
        ("gone", Pasted("Host x\n", "", "bob")),
    ):
        with pytest.raises(Problem) as refused:
            await run(world, pasted, name)
        assert refused.value.code == "import_impossible"


async def test_what_another_account_has_saved_is_nobodys_jump_host(world: World) -> None:
    anna = await world.box.accounts.create(Actor(), "Anna")
    where = f"{world.server.username}@{world.server.host}:{world.server.port}"
    pasted = Pasted(f"Host inner\n ProxyJump {where}\n", "", "bob")
    mine = await world.box.imports.preview(world.owner, pasted)
    theirs = await world.box.imports.preview(anna.id, pasted)
    assert [row.same_as for row in mine.rows] == [None, world.connection.id]
    assert [row.same_as for row in theirs.rows] == [None, None]
    imported = await world.box.imports.run(Actor(anna.id), anna.id, pasted, [Choice("inner")], [])
    assert {connection.account_id for connection in imported.connections} == {anna.id}
    with pytest.raises(NotFound):
        await world.box.connections.get(world.owner, imported.connections[0].id)
    assert (await run(world, pasted, "inner")).connections[0].jump_connection_id == world.connection.id
