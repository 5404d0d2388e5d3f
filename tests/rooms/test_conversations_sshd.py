"""Conversations in a whole box, over a real OpenSSH server."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from clawdbox.agents.model import ConversationEvent, Turn, TurnState
from clawdbox.app import Box
from clawdbox.errors import Conflict
from clawdbox.events import Actor
from clawdbox.settings import Settings
from clawdbox.ssh.model import Lease
from tests.rooms.conversing import kinds, of_type
from tests.ssh.sshd import Sshd

pytestmark = pytest.mark.sshd


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    """With an empty home: what the user's own .bashrc does, and how long it takes, is no part of these tests."""
    home = tmp_path / "home"
    home.mkdir()
    with Sshd(tmp_path / "sshd", options={"SetEnv": f"HOME={home}"}) as server:
        yield server


class Session:
    """A box with one open session on the server."""

    def __init__(self, box: Box, lease: Lease, conversation_id: str) -> None:
        self.box = box
        self.lease = lease
        self.conversation_id = conversation_id
        self.account_id = box.owner.id
        self.actor = Actor(box.owner.id)

    async def send(self, text: str) -> Turn:
        return await self.box.conversations.send(self.actor, self.account_id, self.conversation_id, text)

    async def turn(self, turn: Turn) -> Turn:
        return await self.box.conversations.turn(self.account_id, self.conversation_id, turn.id)

    async def ask(self, text: str) -> Turn:
        return await self.ended(await self.send(text))

    async def ended(self, turn: Turn) -> Turn:
        with self.box.hub.listen(f"turn:{turn.id}") as signal:
            while (now := await self.turn(turn)).state is TurnState.RUNNING:
                async with asyncio.timeout(60):
                    await signal.wait()
                signal.clear()
        return now

    async def said(self, turn: Turn) -> list[ConversationEvent]:
        events = await self.box.conversations.events(self.account_id, self.conversation_id, 0, 100_000)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        return [event for event in events if event.turn_id == turn.id]

    async def until_output(self, turn: Turn) -> str:
        with self.box.hub.listen(f"conversation:{self.conversation_id}") as signal:
            while not (found := of_type(await self.said(turn), "command.output")):
                async with asyncio.timeout(20):
                    await signal.wait()
                signal.clear()
        return str(found[0]["data"])


@pytest.fixture
async def session(tmp_path: Path, sshd: Sshd) -> AsyncIterator[Session]:
    box = Box(tmp_path / "box", Settings(allow_loopback=True))
    await box.start()
    actor, owner = Actor(box.owner.id), box.owner.id
    (keypair,) = await box.keys.list(owner)
    sshd.authorize(keypair.public_key)
    connection = await box.connections.create(
        actor, owner, label="web", host=sshd.host, port=sshd.port, username=sshd.username, keypair_id=None
    )
    with pytest.raises(Conflict):
        await box.connections.test(actor, owner, connection.id, accept_host_key=False, fingerprint=None)
    await box.connections.test(
        actor, owner, connection.id, accept_host_key=True, fingerprint=sshd.fingerprint()
    )
    lease = await box.leases.start(actor, owner, connection.id)
    conversation = await box.conversations.of_connection(owner, connection.id)
    assert lease.agent_session_id == conversation.agent_session_id
    yield Session(box, lease, conversation.id)
    await box.stop()


async def test_a_line_with_a_dollar_is_run_as_it_stands(session: Session) -> None:
    turn = await session.ask("$ printf '%s\\n' \"two  words\" $((6 * 7)); echo oops >&2; exit 5")
    events = await session.said(turn)
    outputs = of_type(events, "command.output")
    assert "".join(part["data"] for part in outputs if part["stream"] == "stdout") == "two  words\n42\n"
    assert "".join(part["data"] for part in outputs if part["stream"] == "stderr") == "oops\n"
    (finished,) = of_type(events, "command.finished")
    assert (finished["exit_status"], finished["state"]) == (5, "done")
    assert turn.state is TurnState.DONE


@pytest.mark.parametrize("recipe", ["health", "disk", "memory", "services", "who", "help"])
async def test_recipes_read_a_real_server(session: Session, recipe: str) -> None:
    turn = await session.ask(recipe)
    assert (turn.state, turn.error) == (TurnState.DONE, None)
    events = await session.said(turn)
    (card,) = of_type(events, "card")
    assert "could not be read" not in card["summary"]
    assert card["rows"]
    assert of_type(events, "suggestions")[0]["items"]


async def test_binary_and_endless_output_is_survived(session: Session) -> None:
    turn = await session.ask("$ head -c 10000000 /dev/urandom")
    events = await session.said(turn)
    (finished,) = of_type(events, "command.finished")
    assert (finished["exit_status"], finished["truncated"]) == (0, True)
    assert sum(len(part["data"]) for part in of_type(events, "command.output")) < 3_000_000


async def test_cancelling_ends_the_process_on_the_server(session: Session) -> None:
    turn = await session.send("$ echo $$; exec sleep 1000")
    pid = int(await session.until_output(turn))
    ended = await session.box.conversations.cancel(
        session.actor, session.account_id, session.conversation_id, turn.id
    )
    assert ended.state is TurnState.CANCELLED
    assert kinds(await session.said(turn))[-2:] == ["command.finished", "turn.finished"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_closing_the_session_ends_the_turn(session: Session) -> None:
    turn = await session.send("$ echo begun; sleep 1000")
    await session.until_output(turn)
    await session.box.leases.close(session.actor, session.account_id, session.lease.id)
    ended = await session.ended(turn)
    assert ended.state is TurnState.CANCELLED
    (finished,) = of_type(await session.said(turn), "command.finished")
    assert finished["state"] == "cancelled"
    with pytest.raises(Conflict) as refusal:
        await session.send("health")
    assert refusal.value.code == "session_not_active"


async def test_a_lost_link_in_mid_command_is_lost_and_not_run_again(
    session: Session, sshd: Sshd, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    turn = await session.send(f"$ echo ran >> {marks}; echo begun; sleep 1000")
    await session.until_output(turn)
    sshd.kill_connections()
    ended = await session.ended(turn)
    assert ended.state is TurnState.LOST
    (finished,) = of_type(await session.said(turn), "command.finished")
    assert (finished["state"], finished["exit_status"]) == ("lost", None)
    assert marks.read_text() == "ran\n"


async def test_stopping_the_box_leaves_no_turn_running(session: Session) -> None:
    turn = await session.send("$ echo begun; sleep 1000")
    await session.until_output(turn)
    await session.box.conversations.stop()
    ended = await session.turn(turn)
    assert (ended.state, ended.error) == (TurnState.CANCELLED, "The box was stopped.")


async def test_a_box_that_died_in_mid_turn_says_so_when_it_comes_back(
    session: Session, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    turn = await session.send(f"$ echo ran >> {marks}; echo begun; sleep 1000")
    await session.until_output(turn)
    # What a kill at this moment leaves behind, but for control sockets, which cannot be copied.
    shutil.copytree(session.box.data_dir, tmp_path / "later", ignore=shutil.ignore_patterns("ctl"))
    later = Box(tmp_path / "later", Settings(allow_loopback=True))
    await later.start()
    try:
        events = await later.conversations.events(session.account_id, session.conversation_id, 0, 1000)
        assert kinds(events)[-3:] == ["command.finished", "turn.finished", "lease.ended"]
        assert (events[-3].payload["state"], events[-2].payload["state"]) == ("lost", "lost")
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert marks.read_text() == "ran\n"
    finally:
        await later.stop()
