"""`/auth/oauth`: sign in by way of GitHub or a provider of OpenID Connect; `/auth/methods` says which there are."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from clawdbox.accounts import Principal
from clawdbox.accounts.login_providers.model import Begun, Done, Purpose
from clawdbox.errors import Forbidden, Problem
from clawdbox.web import failures
from clawdbox.web.cookies import csrf_fits
from clawdbox.web.gate import authenticate, check_browser, check_fresh, header
from clawdbox.web.limits import Limits, address_key, check
from clawdbox.web.problems import Answers, answers, status_of
from clawdbox.web.signed_in import Paired, device_of, signed_in
from clawdbox.web.visit import Req, box_of, visit_of

COOKIE = "clawdbox_oauth"
_PATH = "/api/v1/auth/oauth"
FAILED_PAGE = "/pair?failed="
Slug = FromPath[str]
Words = Annotated[str | None, QueryParameter(max_length=4096)]
_UNREACHED = "The provider could not be reached, or its answer cannot be trusted (`oauth_provider_failed`)."
_BACK = "A browser that navigates goes on to where it came from, signed in or with the reason why not."
_NO_SUCH = "There is no such provider (`login_provider_unknown`)."


class MethodView(msgspec.Struct, frozen=True):
    """`web`: a browser can be sent there and back; `device`: by a code that is typed in on another device."""

    slug: str
    kind: str
    label: str
    web: bool
    device: bool


class Methods(msgspec.Struct, frozen=True):
    passkey: bool
    providers: list[MethodView]


class StartLogin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`purpose`: sign in, add the identity to the account that is signed in, or prove who is there."""

    purpose: Literal["sign_in", "link", "step_up"] = "sign_in"
    return_to: Annotated[str, msgspec.Meta(max_length=1000, examples=["/settings"])] | None = None
    invitation: Annotated[str, msgspec.Meta(max_length=200)] | None = None


class Started(msgspec.Struct, frozen=True):
    redirect_url: str
    expires_at: datetime


class DeviceStarted(msgspec.Struct, frozen=True):
    """Enter `user_code` at `verification_uri`, and ask what came of it every `interval_s` seconds."""

    id: str
    user_code: str
    verification_uri: str
    interval_s: int
    expires_at: datetime


class DeviceState(msgspec.Struct, frozen=True):
    state: Literal["pending", "done"]
    interval_s: int | None
    signed_in: Paired | None


class Finished(msgspec.Struct, frozen=True):
    """`signed_in` is null where an identity was linked, or a login verified."""

    purpose: str
    signed_in: Paired | None


def _beginning(s409: str) -> Answers:
    """What both ways to begin may answer, but for why the way itself is not to be had."""
    return answers(
        400,
        403,
        413,
        422,
        429,
        s401="For `link` and `step_up`: no login (`login_required`). The invitation does not hold (`invitation_invalid`).",
        s404=_NO_SUCH,
        s409=s409,
        s502=_UNREACHED,
    )


@get(
    "/auth/methods",
    opt={"public": True, "action": "login.methods"},
    summary="Ways to sign in",
    responses=answers(),
)
async def list_methods(request: Req) -> Methods:
    """What this box offers to somebody who is not signed in. A pairing link always works."""
    box = box_of(request)
    web = box.login_flows.origin is not None
    return Methods(
        passkey=box.passkeys.place is not None,
        providers=[
            MethodView(one.slug, one.kind, one.label, web, one.device_flow)
            for one in await box.login_providers.all()
        ],
    )


@post(
    "/auth/oauth/{slug:str}/start",
    status_code=200,
    opt={"public": True, "action": "login.oauth", "once": False},
    summary="Begin to sign in with a provider",
    responses=_beginning("No provider could send the browser back (`oauth_no_callback`)."),
)
async def start_oauth(request: Req, slug: Slug, data: JSONBody[StartLogin]) -> Response[Started]:
    """Answers with the address to go to, and a signed cookie that the way back is checked against."""
    limits: Limits = request.app.state["limits"]
    check(limits.oauth_start, *_stranger(request))
    who = await _begin(request, data.purpose)
    purpose = Purpose(data.purpose)
    begun = await box_of(request).login_flows.start(slug, purpose, who, data.return_to, data.invitation)
    return Response(Started(begun.redirect_url, begun.expires_at), headers=_ticket(request, begun))


@get(
    "/auth/oauth/{slug:str}/callback",
    opt={"public": True, "action": "login.oauth"},
    summary="Come back from a provider",
    responses=answers(
        400,
        429,
        s303=_BACK,
        s401="The state is not this browser's, used or too old (`oauth_state_invalid`), the provider said no"
        " (`oauth_denied`), or the invitation does not hold (`invitation_invalid`).",
        s403="Nobody here is known by that identity (`signup_refused`), or it is another's (`identity_mismatch`).",
        s404=_NO_SUCH,
        s409="The identity is another account's (`identity_taken`).",
        s502=_UNREACHED,
    ),
)
async def finish_oauth(
    request: Req,
    slug: Slug,
    code: Words = None,
    oauth_state: Annotated[str | None, QueryParameter(name="state", max_length=4096)] = None,
    error: Words = None,
    iss: Words = None,
) -> Response[Any]:
    """Compares the state, trades the code, asks who it is, and signs the browser in. It works once."""
    limits: Limits = request.app.state["limits"]
    box, visit = box_of(request), visit_of(request.scope)
    navigates = "text/html" in request.headers.get("accept", "")
    try:
        check(limits.oauth_callback, *_stranger(request))
        ticket, device = request.cookies.get(COOKIE), device_of(request, None)
        done = await box.login_flows.finish(slug, ticket, oauth_state, code, error, iss, device)
    except Problem as problem:
        if not navigates:
            raise
        visit.code = problem.code
        await failures.record(box, limits, visit, status_of(problem))
        response: Response[Any] = _redirect(f"{FAILED_PAGE}{problem.code}")
    else:
        response = _finished(request, done, navigates=navigates)
    response.delete_cookie(COOKIE, path=_PATH)
    return response


@post(
    "/auth/oauth/{slug:str}/device",
    status_code=200,
    opt={"public": True, "action": "login.oauth", "once": False},
    summary="Begin to sign in with a code for another device",
    responses=_beginning("This provider is not set up for it (`oauth_no_device_flow`)."),
)
async def start_device(request: Req, slug: Slug, data: JSONBody[StartLogin]) -> Response[DeviceStarted]:
    """For a box that no provider can send a browser back to."""
    limits: Limits = request.app.state["limits"]
    check(limits.oauth_start, *_stranger(request))
    who = await _begin(request, data.purpose)
    begun = await box_of(request).login_flows.start_device(slug, Purpose(data.purpose), who, data.invitation)
    body = DeviceStarted(
        begun.flow_id, begun.user_code, begun.verification_uri, begun.interval_s, begun.expires_at
    )
    return Response(body, headers=_ticket(request, begun))


@post(
    "/auth/oauth/{slug:str}/device/{flow:str}",
    status_code=200,
    opt={"public": True, "action": "login.oauth", "once": False},
    summary="Ask whether the code was entered",
    responses=answers(
        400,
        413,
        s401="As for the way back, or the code was not entered in time (`oauth_expired`).",
        s403="Nobody here is known by that identity (`signup_refused`), or it is another's (`identity_mismatch`).",
        s404=_NO_SUCH,
        s409="The identity is another account's (`identity_taken`).",
        s429="Too often, in the provider's view (`rate_limited`).",
        s502=_UNREACHED,
    ),
)
async def poll_device(request: Req, slug: Slug, flow: FromPath[str]) -> Response[DeviceState]:
    """Only the browser that began it gets an answer."""
    box = box_of(request)
    ticket = request.cookies.get(COOKIE)
    done = await box.login_flows.poll(slug, flow, ticket, device_of(request, None))
    if isinstance(done, int):
        return Response(DeviceState("pending", done, None))
    if done.granted is None:
        response: Response[DeviceState] = Response(DeviceState("done", None, None))
    else:
        granted = signed_in(request, done.granted)
        response = Response(DeviceState("done", None, granted.content), headers=dict(granted.headers))
    response.delete_cookie(COOKIE, path=_PATH)
    return response


async def _begin(request: Req, purpose: str) -> Principal | None:
    """The login that a flow is about; None for a new one. Raises Unauthorized, Forbidden, RateLimited."""
    box, visit = box_of(request), visit_of(request.scope)
    limits: Limits = request.app.state["limits"]
    if purpose == Purpose.SIGN_IN:
        return None
    principal = visit.principal = await authenticate(box, limits, visit, request.scope)
    check_browser(visit, "Identities are linked, and proved, in a browser.")
    if not csrf_fits(box, principal.login.id, header(request.scope, b"x-csrf-token")):
        raise Forbidden("csrf_missing", "Send the header X-CSRF-Token with the value from GET /auth/me.")
    if purpose == Purpose.LINK:
        await check_fresh(box, visit)
    return principal


def _stranger(request: Req) -> tuple[str, float]:
    return address_key(visit_of(request.scope).client), box_of(request).clock.monotonic()


def _ticket(request: Req, begun: Begun) -> dict[str, str]:
    """SameSite=Lax: the way back is a navigation from another site."""
    box, scheme = box_of(request), visit_of(request.scope).scheme
    secure = "; Secure" if scheme == "https" else ""
    age = max(1, round((begun.expires_at - box.clock.now()).total_seconds()))
    return {
        "set-cookie": f"{COOKIE}={begun.ticket}; Path={_PATH}; Max-Age={age}; HttpOnly; SameSite=Lax{secure}"
    }


def _finished(request: Req, done: Done, *, navigates: bool) -> Response[Any]:
    granted = signed_in(request, done.granted) if done.granted else None
    headers = dict(granted.headers) if granted else {}
    if navigates:
        return _redirect(done.return_to, headers)
    return Response(Finished(done.purpose, granted.content if granted else None), headers=headers)


def _redirect(to: str, headers: dict[str, str] | None = None) -> Response[Any]:
    return Response(None, status_code=303, headers={"location": to, **(headers or {})})
