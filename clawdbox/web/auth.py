"""`/auth`: trade a pairing code for a login, see who is signed in, sign out."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Response, delete, get, post
from litestar.params import JSONBody

from clawdbox import __version__, net
from clawdbox.accounts import Account, Login
from clawdbox.errors import Unauthorized
from clawdbox.web.box import Box
from clawdbox.web.cookies import csrf_token, login_cookie
from clawdbox.web.limits import Limits, address_key, check, count_failure, failure_keys
from clawdbox.web.problems import answers, usual
from clawdbox.web.signed_in import AccountView, Paired, account_view, device_of, signed_in
from clawdbox.web.visit import Means, Req, Visit, at, box_of, visit_of

RUNTIMES = ["runbook"]


class PairRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    code: Annotated[
        str,
        msgspec.Meta(
            min_length=1,
            max_length=512,
            description="From a pairing link, behind the `#`.",
            examples=["pZ1v…43 characters"],
        ),
    ]
    device_name: Annotated[str, msgspec.Meta(max_length=256, examples=["Bob's phone"])] | None = None


class OwnLogin(msgspec.Struct, frozen=True):
    id: str
    kind: str
    device_name: str | None
    created_at: datetime
    expires_at: datetime
    method: str
    verified_at: datetime | None


class BoxView(msgspec.Struct, frozen=True):
    """`insecure`: this request came over plain http from another machine."""

    version: str
    demo: bool
    public_url: str | None
    insecure: bool
    runtimes: list[str]
    recovery_words_pending: bool


class Me(msgspec.Struct, frozen=True):
    account: AccountView
    login: OwnLogin
    csrf_token: str
    box: BoxView


class Revoked(msgspec.Struct, frozen=True):
    revoked: bool


@post(
    "/auth/pair",
    opt={"public": True, "action": "login.pair"},
    summary="Sign in with a pairing code",
    responses=answers(
        400, 413, 422, 429, s401="The code is wrong, used or expired (`pairing_code_invalid`)."
    ),
)
async def pair(request: Req, data: JSONBody[PairRequest]) -> Response[Paired]:
    """Trades a code (single use, ten minutes) for a login, which comes as an HttpOnly cookie. Needs no login."""
    box, visit = box_of(request), visit_of(request.scope)
    limits: Limits = request.app.state["limits"]
    if not await box.accounts.knows_pairing_code(
        data.code
    ):  # what is right gets in, whoever else is at that address
        check(limits.pair, address_key(visit.client), box.clock.monotonic())
    try:
        granted = await box.accounts.pair(data.code, device_of(request, data.device_name))
    except Unauthorized:
        count_failure(limits, failure_keys(visit.client, data.code), box.clock.monotonic())
        raise
    return signed_in(request, granted)


@get("/auth/me", summary="Who is signed in", responses=usual())
async def me(request: Req) -> Response[Me]:
    """The account, this login, the value for `X-CSRF-Token`, and what the UI has to know of the box."""
    box, who = at(request)
    visit = visit_of(request.scope)
    body = Me(
        account_view(who.account),
        _own_login(who.login),
        csrf_token(box, who.login.id),
        _box_view(box, visit, who.account),
    )
    return Response(body, headers=_renewed_cookie(box, visit))


@delete(
    "/auth/session",
    status_code=200,
    opt={"action": "login.revoke", "viewer": True},
    summary="Sign out",
    responses=usual(),
)
async def sign_out(request: Req) -> Response[Revoked]:
    """Ends this login at once, and every socket that was opened with it."""
    box, who = at(request)
    await box.accounts.revoke_login(who.actor, who.account_id, who.login.id)
    cookie = login_cookie(visit_of(request.scope).scheme, "", 0)
    return Response(Revoked(True), headers={"set-cookie": cookie})


def _own_login(login: Login) -> OwnLogin:
    return OwnLogin(
        login.id,
        login.kind,
        login.device_name,
        login.created_at,
        login.expires_at,
        login.method,
        login.verified_at,
    )


def _box_view(box: Box, visit: Visit, account: Account) -> BoxView:
    return BoxView(
        version=__version__,
        demo=box.settings.demo,
        public_url=box.settings.public_url,
        insecure=visit.scheme == "http" and not net.is_loopback(visit.client or ""),
        runtimes=RUNTIMES,
        recovery_words_pending=account.role == "owner" and box.recovery.pending,
    )


def _renewed_cookie(box: Box, visit: Visit) -> dict[str, str]:
    """A login slides with its use, so its cookie must, too."""
    if visit.means is not Means.COOKIE or visit.token is None:
        return {}
    return {"set-cookie": login_cookie(visit.scheme, visit.token, int(box.settings.login_ttl_s))}
