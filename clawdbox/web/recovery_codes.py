"""`/recovery-codes`: ten codes on paper, for the day no device is at hand."""

from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.params import JSONBody

from clawdbox.errors import Unauthorized
from clawdbox.web.limits import Limits, address_key, check, count_failure, failure_keys
from clawdbox.web.problems import answers, usual
from clawdbox.web.signed_in import Paired, device_of, signed_in
from clawdbox.web.visit import Req, at, box_of, visit_of


class RecoveryCodesLeft(msgspec.Struct, frozen=True):
    left: Annotated[int, msgspec.Meta(ge=0, le=10)]


class RecoveryCodesShown(msgspec.Struct, frozen=True):
    """Shown once."""

    codes: list[str]


class RecoveryCodeSignIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    code: Annotated[
        str,
        msgspec.Meta(
            min_length=1,
            max_length=100,
            description="Spaces, dashes and capitals do not matter.",
            examples=["k3fd-98xq-m2vt-7rbn"],
        ),
    ]
    device_name: Annotated[str, msgspec.Meta(max_length=256, examples=["Bob's phone"])] | None = None


@get("/recovery-codes", summary="How many recovery codes are left", responses=usual())
async def count_recovery_codes(request: Req) -> RecoveryCodesLeft:
    """Of the account. The codes themselves are shown when they are made, and never again."""
    box, who = at(request)
    return RecoveryCodesLeft(await box.recovery_codes.left(who.account_id))


@post(
    "/recovery-codes",
    opt={"action": "recovery_codes.renew", "viewer": True, "once": False, "fresh": True},
    summary="Make recovery codes",
    responses=usual(),
)
async def renew_recovery_codes(request: Req) -> RecoveryCodesShown:
    """Ten new ones, each good for one sign-in. Those made before are good no more."""
    box, who = at(request)
    return RecoveryCodesShown(await box.recovery_codes.renew(who))


@post(
    "/auth/recovery-code",
    opt={"public": True, "action": "login.recovery_code"},
    summary="Sign in with a recovery code",
    responses=answers(400, 413, 422, 429, s401="The code is wrong or used (`recovery_code_invalid`)."),
)
async def sign_in_with_recovery_code(request: Req, data: JSONBody[RecoveryCodeSignIn]) -> Response[Paired]:
    """One of the ten for a login, which comes as an HttpOnly cookie. Needs no login."""
    box, visit = box_of(request), visit_of(request.scope)
    limits: Limits = request.app.state["limits"]
    check(limits.pair, address_key(visit.client), box.clock.monotonic())
    try:
        granted = await box.recovery_codes.sign_in(data.code, device_of(request, data.device_name))
    except Unauthorized:
        count_failure(limits, failure_keys(visit.client, data.code), box.clock.monotonic())
        raise
    return signed_in(request, granted)
