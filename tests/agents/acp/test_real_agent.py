"""The real claude-agent-acp, started on a real server, with a scripted model behind it."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from clawdbox.agents.model import TurnState
from tests.agents.acp.there import There
from tests.agents.model_server.parts import Gate, Tool, reply
from tests.agents.model_server.script import Script, with_tools
from tests.agents.model_server.server import ModelServer
from tests.agents.programs import installed, npm_command
from tests.ssh.world import World

LOCK = Path(__file__).parent / "npm"
pytestmark = [pytest.mark.sshd, pytest.mark.xdist_group("acp"), pytest.mark.timeout(1000)]


@pytest.fixture
def model() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture(scope="module")
def path() -> str:
    """Where the agent and its Node lie."""
    node = Path(npm_command()[0]).resolve().parent
    return f"{installed(LOCK, 'claude-agent-acp') / '.bin'}:{node}:{os.environ['PATH']}"


@pytest.fixture
async def there(world: World, model: ModelServer, path: str, tmp_path: Path) -> AsyncIterator[There]:
    """Its key stands where a person would put it: in the profile of the login."""
    (tmp_path / "home" / ".profile").write_text(
        f"PATH={path}; export PATH\n"
        f"ANTHROPIC_BASE_URL={model.anthropic_url}; export ANTHROPIC_BASE_URL\n"
        "ANTHROPIC_API_KEY=canary-4711; export ANTHROPIC_API_KEY\n"
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1; export CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC\n"
        "echo what a profile says\n"
    )
    lease = await world.ready()
    conversation = await world.box.conversations.open(
        world.me, world.owner, world.connection.id, "acp", {"agent": "claude"}, None
    )
    found = There(world, lease, conversation, tmp_path / "notes")
    yield found
    await found.end_agents()


async def test_it_is_found_asked_about_and_goes_on_after_its_link_was_cut(
    there: There, model: ModelServer, tmp_path: Path
) -> None:
    """One story, since its start costs seconds: the probe, a command that reads, one that asks, a cut, a second turn."""
    found = {
        one.name: one
        for one in await there.box.code_agents.look(
            there.world.me, there.world.owner, there.conversation.connection_id
        )
    }
    claude = found["claude"]
    assert (claude.version, claude.signed_in, claude.hint) == ("0.101.0", True, "")
    assert (claude.path or "").endswith("/claude-agent-acp")

    gate, made = Gate(), tmp_path / "made"
    model.answers = Script(
        reply("Let me look. ", Tool("Bash", {"command": "uname", "description": "The kernel"})),
        reply(Tool("Bash", {"command": f"touch {made}", "description": "A mark"})),
        reply("It is ", gate, "Linux."),
        "Nothing more.",
        when=with_tools,
    )
    turn = await there.send_text("Which kernel is it?")
    (approval,) = await there.asked()
    assert (approval.command, approval.reason) == (f"touch {made}", "A mark")
    assert not made.exists()
    await there.answer(approval, True)
    await gate.reached(60)
    assert made.exists()
    there.world.server.kill_connections()
    gate.open()
    ended = await there.ended(turn, 90)
    assert (ended.state, ended.error) == (TurnState.DONE, None)
    text = await there.text(turn)
    assert (text.count("Let me look."), text.count("It is Linux.")) == (1, 1)
    assert (ended.input_tokens or 0) > 0
    assert (ended.cost_usd or 0) > 0
    tools = await there.of_type(turn, "tool")
    assert {tool["status"] for tool in tools if tool["title"] == "uname"} >= {"completed"}
    assert len((await there.box.approvals.page(there.world.owner, "all", 10, 0))[0]) == 1

    again = await there.ended(await there.send_text("Anything else?"), 60)
    assert (again.state, await there.text(again)) == (TurnState.DONE, "Nothing more.")
    everything = str(
        await there.box.conversations.events(there.world.owner, there.conversation.id, 0, 10_000)
    )
    assert "canary-4711" not in everything
