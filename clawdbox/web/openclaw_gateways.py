"""`/openclaw-gateways`: OpenClaw gateways that conversations can be held with. No secret of one is ever shown."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from litestar import delete, get, patch, post
from litestar.params import JSONBody

from clawdbox.agents.runtimes.openclaw.model import Auth, Gateway, Look, Way
from clawdbox.agents.runtimes.openclaw.rules import gateways as rules
from clawdbox.errors import Invalid
from clawdbox.web.fields import Id, Label, PathId
from clawdbox.web.limits import Limits, check
from clawdbox.web.problems import usual
from clawdbox.web.visit import Req, at

Url = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=512,
        description="`ws://` on this machine and in private networks, `wss://` anywhere.",
        examples=["ws://127.0.0.1:18789"],
    ),
]
Secret = Annotated[
    str, msgspec.Meta(max_length=512, description="Of `gateway.auth` there. Kept sealed, never shown again.")
]


class Pairing(msgspec.Struct, frozen=True):
    """`command` is to be run on the gateway's machine; it lets this box in. Null when the gateway named no request."""

    request_id: str | None
    command: str | None


class GatewayView(msgspec.Struct, frozen=True):
    """`may_execute` says whether its commands can reach servers through this box; if not, `why_not_execute`.

    `problem` is about `state`. `device_id` is by what the gateway knows this box.
    """

    id: str
    label: str
    url: str
    way: str
    connection_id: str | None
    auth: str
    may_execute: bool
    why_not_execute: str | None
    state: str
    pairing: Pairing | None
    problem: str | None
    version: str | None
    device_id: str
    checked_at: datetime | None
    created_at: datetime


class GatewayList(msgspec.Struct, frozen=True):
    openclaw_gateways: list[GatewayView]


class OneGateway(msgspec.Struct, frozen=True):
    openclaw_gateway: GatewayView


class GatewayTest(msgspec.Struct, frozen=True):
    """`result` is the gateway's `state` now; `latency_ms` how long it took to be let in."""

    openclaw_gateway: GatewayView
    result: str
    message: str
    latency_ms: float | None


class NewGateway(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """With `way` `forward`, `url` is as the server of `connection_id` understands it. At most one of the secrets."""

    label: Label
    url: Url
    way: Literal["direct", "forward"] = "direct"
    connection_id: Id | None = None
    token: Secret | None = None
    password: Secret | None = None


class GatewayPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Only what is given changes; an empty `token` takes the secret away. Another `url` gets no secret of the old one."""

    label: Label | None = None
    url: Url | None = None
    token: Secret | None = None
    password: Secret | None = None


@get("/openclaw-gateways", summary="OpenClaw gateways", responses=usual())
async def list_gateways(request: Req) -> GatewayList:
    """All of the account, by their labels. Nothing is dialled for it."""
    box, who = at(request)
    return GatewayList([view(one) for one in await box.openclaw_gateways.list(who.account_id)])


@post(
    "/openclaw-gateways",
    opt={"action": "openclaw_gateway.add"},
    summary="Add an OpenClaw gateway",
    responses=usual(
        404,
        422,
        s409="The label is taken (`label_taken`), there are 20 (`gateway_limit_reached`), or one that is reached"
        " directly names a server (`gateway_direct`).",
    ),
)
async def add_gateway(request: Req, data: JSONBody[NewGateway]) -> OneGateway:
    """It gets a device key of its own, and is not dialled yet: test it next."""
    box, who = at(request)
    auth, secret = _secret(data.token, data.password)
    gateway = await box.openclaw_gateways.add(
        who.actor,
        who.account_id,
        label=data.label,
        url=data.url,
        way=Way(data.way),
        connection_id=data.connection_id,
        auth=auth or Auth.NONE,
        secret=secret,
    )
    return OneGateway(view(gateway))


@patch(
    "/openclaw-gateways/{gateway_id:str}",
    opt={"action": "openclaw_gateway.change"},
    summary="Change an OpenClaw gateway",
    responses=usual(404, 422, s409="The label is taken (`label_taken`)."),
)
async def change_gateway(request: Req, gateway_id: PathId, data: JSONBody[GatewayPatch]) -> OneGateway:
    """Another address is another gateway: its secret must be given again, and it must be paired anew."""
    box, who = at(request)
    auth, secret = _secret(data.token, data.password)
    gateway = await box.openclaw_gateways.change(
        who.actor, who.account_id, gateway_id, label=data.label, url=data.url, auth=auth, secret=secret
    )
    return OneGateway(view(gateway))


@delete(
    "/openclaw-gateways/{gateway_id:str}",
    status_code=200,
    opt={"action": "openclaw_gateway.remove"},
    summary="Remove an OpenClaw gateway",
    responses=usual(404),
)
async def remove_gateway(request: Req, gateway_id: PathId) -> OneGateway:
    """What was said with it stays. The gateway itself forgets this box with `openclaw devices remove` there."""
    box, who = at(request)
    return OneGateway(view(await box.openclaw_gateways.remove(who.actor, who.account_id, gateway_id)))


@post(
    "/openclaw-gateways/{gateway_id:str}/test",
    status_code=200,
    opt={"action": "openclaw_gateway.test"},
    summary="Test an OpenClaw gateway",
    responses=usual(404),
)
async def run_gateway_test(request: Req, gateway_id: PathId) -> GatewayTest:
    """Connects as a turn would. That it cannot be reached, or does not know the box, is an answer and no error."""
    box, who = at(request)
    limits: Limits = request.app.state["limits"]
    check(limits.test, f"{who.account_id} {gateway_id}", box.clock.monotonic())
    gateway, look = await box.openclaw_gateways.test(who.actor, who.account_id, gateway_id)
    return GatewayTest(view(gateway), look.state.value, _message(gateway, look), look.latency_ms)


def _message(gateway: Gateway, look: Look) -> str:
    if look.problem:
        return look.problem
    return f"OpenClaw {gateway.version or ''} lets this box in.".replace("  ", " ")


def _secret(token: str | None, password: str | None) -> tuple[Auth | None, str]:
    """Raises Invalid for two at once. An empty one is none."""
    if token and password:
        raise Invalid("password", "Give the token or the password, as the gateway is set up.")
    if token:
        return Auth.TOKEN, token
    if password:
        return Auth.PASSWORD, password
    return (None if token is None and password is None else Auth.NONE), ""


def view(gateway: Gateway) -> GatewayView:
    command = rules.pairing_command(gateway.pairing_request_id)
    pairing = Pairing(gateway.pairing_request_id, command) if gateway.state == "pairing" else None
    return GatewayView(
        id=gateway.id,
        label=gateway.label,
        url=gateway.url,
        way=gateway.way.value,
        connection_id=gateway.connection_id,
        auth=gateway.auth.value,
        may_execute=rules.may_execute(gateway),
        why_not_execute=rules.why_not_execute(gateway),
        state=gateway.state.value,
        pairing=pairing,
        problem=gateway.problem,
        version=gateway.version,
        device_id=gateway.device_id,
        checked_at=gateway.checked_at,
        created_at=gateway.created_at,
    )
