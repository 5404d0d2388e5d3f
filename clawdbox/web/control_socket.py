"""`/connections/{id}/control-socket`: where `ssh -S` finds a connection's sessions, and what it may do there."""

import msgspec
from litestar import get, patch
from litestar.params import JSONBody

from clawdbox.ssh.rules import control_config
from clawdbox.ssh.service.control_sockets import ControlView
from clawdbox.web.fields import PathId
from clawdbox.web.problems import usual
from clawdbox.web.visit import Req, at


class ControlPolicy(msgspec.Struct, frozen=True):
    """`exec`: commands, sftp and scp; `pty`: terminals; `forward`: ports and `ssh -W`; `proxy`:
    `ssh -O proxy`; `exit`: `ssh -O stop`, and `ssh -O exit`, which ends the session."""

    exec: bool
    pty: bool
    forward: bool
    proxy: bool
    exit: bool


class ControlPolicyPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Only what is given changes."""

    exec: bool | None = None
    pty: bool | None = None
    forward: bool | None = None
    proxy: bool | None = None
    exit: bool | None = None


class ControlSocketView(msgspec.Struct, frozen=True):
    """`path` and `command` are null where the box offers no control sockets; `listening` is true while one is open."""

    path: str | None
    command: str | None
    listening: bool
    policy: ControlPolicy


class OneControlSocket(msgspec.Struct, frozen=True):
    control_socket: ControlSocketView


@get(
    "/connections/{connection_id:str}/control-socket",
    summary="The control socket of a server",
    responses=usual(404),
)
async def get_control_socket(request: Req, connection_id: PathId) -> OneControlSocket:
    """Its path stays the same from session to session. Only programs of the box's own user can open it."""
    box, who = at(request)
    found = await box.control_sockets.view(who.account_id, connection_id)
    label = (await box.connections.get(who.account_id, connection_id)).label
    return _shown(found, control_config.plain(label, connection_id))


@patch(
    "/connections/{connection_id:str}/control-socket",
    opt={"action": "control.policy"},
    summary="Choose what the control socket allows",
    responses=usual(404, 422),
)
async def choose_control_policy(
    request: Req, connection_id: PathId, data: JSONBody[ControlPolicyPatch]
) -> OneControlSocket:
    """It counts from the next request of a client on, also in open sessions. What runs already goes on."""
    box, who = at(request)
    given = {name: value for name, value in msgspec.structs.asdict(data).items() if value is not None}
    found = await box.control_sockets.choose(who.actor, who.account_id, connection_id, given)
    label = (await box.connections.get(who.account_id, connection_id)).label
    return _shown(found, control_config.plain(label, connection_id))


def _shown(found: ControlView, name: str) -> OneControlSocket:
    policy = ControlPolicy(**msgspec.structs.asdict(found.policy))
    command = control_config.line(found.path, name) if found.path else None
    return OneControlSocket(ControlSocketView(found.path, command, found.listening, policy))
