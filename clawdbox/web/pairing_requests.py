"""`/pairing-requests`: a new device shows six digits, and one that is signed in lets in the device with the same digits."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from litestar import Response, get, post
from litestar.params import JSONBody

from clawdbox.accounts.pairing_requests import PairingRequest
from clawdbox.web.fields import PathId
from clawdbox.web.gate import check_browser
from clawdbox.web.limits import Limits, address_key, check
from clawdbox.web.problems import answers, usual
from clawdbox.web.signed_in import AccountView, device_of, signed_in
from clawdbox.web.visit import Req, at, box_of, visit_of

Digits = Annotated[
    str, msgspec.Meta(max_length=16, description="As the new device shows them.", examples=["402713"])
]


class PairingAsk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    device_name: Annotated[str, msgspec.Meta(max_length=256, examples=["Bob's phone"])] | None = None


class PairingAsked(msgspec.Struct, frozen=True):
    """`digits` are for people to compare; `secret` is kept by the device that asks, which comes back with it."""

    secret: str
    digits: Digits
    expires_at: datetime


class PairingClaim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    secret: Annotated[str, msgspec.Meta(min_length=1, max_length=200, examples=["pZ1v…43 characters"])]


class Claimed(msgspec.Struct, frozen=True, omit_defaults=True):
    """`waiting`: nobody has answered yet, ask again. `paired`: signed in, with what `POST /auth/pair` answers."""

    state: Literal["waiting", "paired"]
    account: AccountView | None = None
    expires_at: datetime | None = None
    csrf_token: str | None = None


class PairingRequestView(msgspec.Struct, frozen=True):
    id: str
    digits: Digits
    device_name: str | None
    ip_address: str | None
    user_agent: str | None
    created_at: datetime
    expires_at: datetime


class PairingRequestList(msgspec.Struct, frozen=True):
    pairing_requests: list[PairingRequestView]


class PairingConfirm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    digits: Digits


class PairingAnswered(msgspec.Struct, frozen=True):
    state: Literal["confirmed", "refused"]
    device_name: str | None


@post(
    "/auth/pairing-requests",
    opt={"public": True, "action": "login.pair"},
    summary="Ask to be paired",
    responses=answers(400, 413, 422, 429),
)
async def ask_to_pair(request: Req, data: JSONBody[PairingAsk]) -> PairingAsked:
    """Six digits to show, for five minutes, and a secret to come back with. Needs no login."""
    box = box_of(request)
    limits: Limits = request.app.state["limits"]
    check(limits.pair, address_key(visit_of(request.scope).client), box.clock.monotonic())
    asked = box.pairing_requests.ask(device_of(request, data.device_name))
    return PairingAsked(asked.secret, asked.digits, asked.expires_at)


@post(
    "/auth/pairing-requests/claim",
    status_code=200,
    opt={"public": True, "action": "login.pair"},
    summary="Was this device let in?",
    responses=answers(
        400,
        413,
        422,
        429,
        s401="Nobody answered in time, or it was claimed before (`pairing_request_invalid`).",
        s403="Whoever is signed in said no (`pairing_request_refused`).",
    ),
)
async def claim_pairing(request: Req, data: JSONBody[PairingClaim]) -> Response[Claimed]:
    """For the device that asked, which repeats it every few seconds. The login comes once. Needs no login."""
    box, visit = box_of(request), visit_of(request.scope)
    limits: Limits = request.app.state["limits"]
    check(limits.claim, address_key(visit.client), box.clock.monotonic())
    granted = await box.pairing_requests.claim(data.secret)
    if granted is None:
        return Response(Claimed("waiting"))
    made = signed_in(request, granted)
    body = Claimed("paired", made.content.account, made.content.expires_at, made.content.csrf_token)
    return Response(body, headers={"set-cookie": str(made.headers["set-cookie"])})


@get("/pairing-requests", summary="Devices that ask to be paired", responses=usual())
async def list_pairing_requests(request: Req) -> PairingRequestList:
    """Those that nobody has answered yet, the newest first. For a browser: it is people who compare digits."""
    box, _who = at(request)
    _only_browser(request)
    return PairingRequestList([_view(one.request, one.expires_at) for one in box.pairing_requests.waiting()])


@post(
    "/pairing-requests/{request_id:str}/confirm",
    status_code=200,
    opt={"action": "pairing_request.confirm", "viewer": True, "once": False},
    summary="Let the device in",
    responses=usual(404, 422, s409="The new device shows other digits (`digits_differ`)."),
)
async def confirm_pairing_request(
    request: Req, request_id: PathId, data: JSONBody[PairingConfirm]
) -> PairingAnswered:
    """It is signed in to the account that says so. The first answer counts; three times other digits end the request."""
    box, who = at(request)
    _only_browser(request)
    found = await box.pairing_requests.confirm(who, request_id, data.digits)
    return PairingAnswered("confirmed", found.device.name)


@post(
    "/pairing-requests/{request_id:str}/refuse",
    status_code=200,
    opt={"action": "pairing_request.refuse", "viewer": True, "once": False},
    summary="Refuse the device",
    responses=usual(404),
)
async def refuse_pairing_request(request: Req, request_id: PathId) -> PairingAnswered:
    """It is told so."""
    box, who = at(request)
    _only_browser(request)
    found = await box.pairing_requests.refuse(who, request_id)
    return PairingAnswered("refused", found.device.name)


def _only_browser(request: Req) -> None:
    check_browser(
        visit_of(request.scope),
        "A browser would stay signed in when the token has ended. Let it in from another browser, or run `clawdbox pair`.",
    )


def _view(request: PairingRequest, expires_at: datetime) -> PairingRequestView:
    device = request.device
    return PairingRequestView(
        request.id,
        request.digits,
        device.name,
        device.ip_address,
        device.user_agent,
        request.created_at,
        expires_at,
    )
