"""`/connections/{id}/code-agents`: which code agents a server has."""

import msgspec
from litestar import get

from clawdbox.web.fields import PathId
from clawdbox.web.problems import usual
from clawdbox.web.visit import Req, at


class CodeAgentView(msgspec.Struct, frozen=True):
    """`path` is null where it is not installed, `signed_in` where the server does not tell."""

    name: str
    label: str
    version: str | None
    signed_in: bool | None
    path: str | None
    hint: str


class CodeAgentList(msgspec.Struct, frozen=True):
    code_agents: list[CodeAgentView]


@get(
    "/connections/{connection_id:str}/code-agents",
    summary="Look for code agents",
    responses=usual(
        404,
        s409="`session_not_active`, `session_reconnecting` or `stream_refused`.",
        s502="`code_agents_unknown`.",
    ),
)
async def find_code_agents(request: Req, connection_id: PathId) -> CodeAgentList:
    """Those that speak the Agent Client Protocol, with what each still lacks. Asks the server; needs a session."""
    box, who = at(request)
    found = await box.code_agents.look(who.actor, who.account_id, connection_id)
    return CodeAgentList([CodeAgentView(**msgspec.structs.asdict(one)) for one in found])
