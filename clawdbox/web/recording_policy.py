"""`/recording-policy`: whether terminals are recorded never, when somebody asks, or always."""

from typing import Literal

import msgspec
from litestar import get, patch
from litestar.params import JSONBody

from clawdbox.errors import Invalid
from clawdbox.ssh.model.recordings import Policies, Policy
from clawdbox.web.fields import Id
from clawdbox.web.problems import usual
from clawdbox.web.visit import Req, at

Choice = Literal["never", "ask", "always"]


class ConnectionPolicy(msgspec.Struct, frozen=True):
    connection_id: str
    record: Choice


class PolicyView(msgspec.Struct, frozen=True):
    """`default` holds for every connection that is not in `connections`."""

    default: Choice
    connections: list[ConnectionPolicy]


class OnePolicy(msgspec.Struct, frozen=True):
    policy: PolicyView


class PolicyPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Without `connection_id` the account's default. `default`: the connection follows that again."""

    record: Literal["never", "ask", "always", "default"]
    connection_id: Id | None = None


@get("/recording-policy", summary="When terminals are recorded", responses=usual())
async def get_recording_policy(request: Req) -> OnePolicy:
    """Of the account that asks."""
    box, who = at(request)
    return _view(await box.recordings.policies(who.account_id))


@patch(
    "/recording-policy",
    opt={"action": "recording.policy"},
    summary="Choose when terminals are recorded",
    responses=usual(404, 422),
)
async def change_recording_policy(request: Req, data: JSONBody[PolicyPatch]) -> OnePolicy:
    """Holds for terminals that are opened from now on."""
    box, who = at(request)
    record = None if data.record == "default" else Policy(data.record)
    if record is None and data.connection_id is None:
        raise Invalid("record", "Choose one of never, ask, always.")
    return _view(await box.recordings.choose(who.actor, who.account_id, data.connection_id, record))


def _view(policies: Policies) -> OnePolicy:
    chosen = [ConnectionPolicy(id_, record.value) for id_, record in sorted(policies.connections.items())]
    return OnePolicy(PolicyView(policies.default.value, chosen))
