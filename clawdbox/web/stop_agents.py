"""The kill switch: what agents do ends now."""

import msgspec
from litestar import post

from clawdbox.agents.service import Stopped
from clawdbox.web.fields import PathId
from clawdbox.web.problems import usual
from clawdbox.web.visit import Req, at


class StoppedView(msgspec.Struct, frozen=True):
    """How many answers, open questions and standing grants ended."""

    turns: int
    approvals: int
    grants: int


class OneStopped(msgspec.Struct, frozen=True):
    stopped: StoppedView


@post(
    "/sessions/{session_id:str}/stop-agents",
    status_code=200,
    opt={"action": "agents.stop"},
    summary="Stop the agents of a session",
    responses=usual(404, 409),
)
async def stop_agents_of_session(request: Req, session_id: PathId) -> OneStopped:
    """What runs is killed on the server, what was asked is void. The session stays open. Repeatable."""
    box, who = at(request)
    return _view(await box.conversations.stop_agents(who.actor, who.account_id, session_id))


@post(
    "/agents/stop",
    status_code=200,
    opt={"action": "agents.stop"},
    summary="Stop all agents",
    responses=usual(409),
)
async def stop_all_agents(request: Req) -> OneStopped:
    """The same for every session of the account."""
    box, who = at(request)
    return _view(await box.conversations.stop_agents(who.actor, who.account_id, None))


def _view(stopped: Stopped) -> OneStopped:
    return OneStopped(StoppedView(stopped.turns, stopped.approvals, stopped.grants))
