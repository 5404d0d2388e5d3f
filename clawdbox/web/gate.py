"""Who may pass to a route: login, scope, role, CSRF nonce, rate. It runs once the route is known."""

import asyncio
from typing import Any

from litestar import Request
from litestar.enums import ScopeType
from litestar.exceptions.http_exceptions import InternalServerException, RequestEntityTooLarge
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from clawdbox.accounts import Principal
from clawdbox.errors import Forbidden, NotFound, Problem, Unauthorized
from clawdbox.ids import is_id
from clawdbox.web import failures, idempotency, sockets
from clawdbox.web.box import Box
from clawdbox.web.cookies import csrf_fits, read_cookies
from clawdbox.web.guards import SAFE_METHODS
from clawdbox.web.idempotency import Answers
from clawdbox.web.limits import Limits, address_key, check, count_failure, failure_keys
from clawdbox.web.problems import respond, status_of, too_large
from clawdbox.web.visit import Means, Visit, visit_of

_JSON = ("application/json", "")
_RAW = ("application/octet-stream", "")


class Gate:
    """ASGI middleware of every route. What a route is, its `opt` says:

    `action` its name in the audit trail, `public` no login needed, `viewer` open to a viewer although it changes
    something, `unlimited` its own time-out rules, `once` False: its answer holds a secret and is never stored, `raw`
    its body is bytes and not JSON, and it has its own way of being sent twice, `fresh` for a browser whose person proved
    within the last minutes to be there (step-up).
    """

    def __init__(self, app: ASGIApp, box: Box, limits: Limits, answers: Answers) -> None:
        self._app = app
        self._box = box
        self._limits = limits
        self._answers = answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        visit = visit_of(scope)
        opt = scope["route_handler"].opt
        visit.route = str(scope.get("path_template") or scope["path"])
        visit.action = opt.get("action") or "request"
        if scope["type"] == ScopeType.WEBSOCKET:
            await self._socket(visit, scope, receive, send)
            return
        try:
            if not opt.get("public"):
                await self._admit(visit, scope, opt)
            await self._pass(visit, scope, receive, send, opt)
        except Problem as problem:
            visit.code = problem.code
            await self._note(visit, problem)
            raise

    async def _admit(self, visit: Visit, scope: Scope, opt: dict[str, Any]) -> None:
        principal = await self._login(visit, scope)
        unsafe = visit.method not in SAFE_METHODS
        if unsafe and visit.means is Means.COOKIE:
            offered = header(scope, b"x-csrf-token")
            if not csrf_fits(self._box, principal.login.id, offered):
                raise Forbidden(
                    "csrf_missing", "Send the header X-CSRF-Token with the value from GET /auth/me."
                )
        if unsafe and principal.account.role == "viewer" and not opt.get("viewer"):
            raise role_forbidden()
        if opt.get("fresh"):
            await check_fresh(self._box, visit)
        check_ids(scope)

    async def _login(self, visit: Visit, scope: Scope) -> Principal:
        """The principal of this request, within its scope and rate. Raises Unauthorized, Forbidden, RateLimited."""
        principal = visit.principal = await authenticate(self._box, self._limits, visit, scope)
        if principal.login.scope != "full":
            raise Forbidden(
                "scope_forbidden", "This token opens /metrics only. Make one of full scope for the API."
            )
        check(self._limits.request, principal.login.id, self._box.clock.monotonic())
        return principal

    async def _pass(
        self, visit: Visit, scope: Scope, receive: Receive, send: Send, opt: dict[str, Any]
    ) -> None:
        async def run(out: Send) -> None:
            async def noted(message: Message) -> None:
                if message["type"] == "http.response.start" and message["status"] >= 400:
                    await self._note_answer(visit, message["status"])
                await out(message)

            await self._in_time(visit, scope, receive, noted, opt)

        if visit.method in SAFE_METHODS:
            await run(send)
            return
        check_media_type(scope, raw=bool(opt.get("raw")))
        body = await self._read(scope, receive, text=not opt.get("raw"))
        raw = header_bytes(scope, idempotency.HEADER)
        if raw is None or visit.principal is None or opt.get("once") is False or opt.get("raw"):
            await run(send)
            return
        key = idempotency.check_key(raw)
        request_hash = idempotency.hash_request(visit.method, scope["path"], scope["query_string"], body)
        await self._answers.once(visit.principal.account_id, key, request_hash, run, send)

    async def _read(self, scope: Scope, receive: Receive, *, text: bool) -> bytes:
        """The body, which Litestar keeps for the handler. Raises Problem when it is too large, too slow or no text."""
        try:
            async with asyncio.timeout(self._box.settings.request_timeout_s):
                body = await Request[Any, Any, Any](scope, receive).body()
            if text:
                body.decode()
        except RequestEntityTooLarge:
            raise too_large() from None
        except TimeoutError:
            raise request_timeout() from None
        except InternalServerException:  # Litestar's word for a client that went away in the middle
            raise Problem("bad_request", "The connection ended before the body did.") from None
        except UnicodeDecodeError:  # which Litestar would take for a fault of the box
            raise Problem("malformed_json", "The body is no valid JSON: it is not in UTF-8.") from None
        return body

    async def _in_time(
        self, visit: Visit, scope: Scope, receive: Receive, send: Send, opt: dict[str, Any]
    ) -> None:
        limit = None if opt.get("unlimited") else self._box.settings.request_timeout_s
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            async with asyncio.timeout(limit):
                await self._app(scope, receive, watched)
        except TimeoutError:
            if begun:
                raise
            await respond(request_timeout(), visit, send)

    async def _note(self, visit: Visit, problem: Problem) -> None:
        if isinstance(problem, Unauthorized) and visit.means is not None:
            visit.action = "login.authenticate"
        elif visit.principal is None:
            return  # nobody in particular, trying nothing in particular
        await self._note_answer(visit, status_of(problem))

    async def _note_answer(self, visit: Visit, status: int) -> None:
        stranger_at_the_door = visit.principal is None and visit.action in _WAYS_IN
        if stranger_at_the_door or (visit.principal is not None and visit.method not in SAFE_METHODS):
            await failures.record(self._box, self._limits, visit, status)

    async def _socket(self, visit: Visit, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._login(visit, scope)
            check_ids(scope)
        except Problem as problem:
            visit.code = problem.code
            await self._note(visit, problem)
            await sockets.refuse(receive, send, sockets.code_of(problem), problem.code)
            return
        await self._app(scope, receive, send)


_NO_SUCH_TOKEN = (
    "This token is unknown, expired or revoked. `clawdbox token list` on the box shows those that work,"
    " `clawdbox token create` makes a new one."
)
_MOST_COOKIES = 4
_WAYS_IN = frozenset(
    {
        "login.authenticate",
        "login.pair",
        "login.passkey",
        "login.recovery_code",
        "login.oauth",
        "invitation.accept",
    }
)


async def authenticate(box: Box, limits: Limits, visit: Visit, scope: Scope) -> Principal:
    """The principal behind a bearer token, or else behind the cookie. Raises Unauthorized, RateLimited.

    Only failures count against an address, so that nobody behind a shared one is locked out by a neighbour: what is
    right gets in, however long its address would have to wait for being wrong.
    """
    token = bearer(scope)
    tokens = read_cookies(visit.scheme, scope["headers"]) if token is None else [token]
    if not tokens:
        visit.means = None
        raise Unauthorized
    visit.means = Means.COOKIE if token is None else Means.BEARER
    try:
        return await _one_principal(box, visit, tokens)
    except Unauthorized:
        now = box.clock.monotonic()
        check(limits.failed_login, address_key(visit.client), now)
        count_failure(limits, failure_keys(visit.client, tokens[0]), now)
        raise


async def _one_principal(box: Box, visit: Visit, tokens: list[str]) -> Principal:
    """Of several cookies the only one that is a login; of several logins none, for who knows which was slipped in."""
    if len(tokens) > _MOST_COOKIES:
        raise Unauthorized
    found: list[Principal] = []
    for token in tokens:
        try:
            found.append(await _principal(box, visit, token))
        except Unauthorized:
            if len(tokens) == 1:
                raise
        else:
            visit.token = token
    if len(found) != 1:
        raise Unauthorized
    return found[0]


async def _principal(box: Box, visit: Visit, token: str) -> Principal:
    try:
        principal = await box.accounts.authenticate(token, visit.client)
    except Unauthorized:
        raise Unauthorized(message=_NO_SUCH_TOKEN if visit.means is Means.BEARER else "") from None
    if visit.means is Means.COOKIE and principal.login.kind != "browser":
        raise Unauthorized  # a script's token in a browser's clothes would pass for one
    return principal


def bearer(scope: Scope) -> str | None:
    """The token of `Authorization: Bearer`, never one from the URL. Another scheme is an empty, so a wrong, token."""
    text = header(scope, b"authorization")
    if text is None:
        return None
    scheme, _, token = text.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def header_bytes(scope: Scope, wanted: bytes) -> bytes | None:
    return next((value for name, value in scope["headers"] if name == wanted), None)


def header(scope: Scope, wanted: bytes) -> str | None:
    raw = header_bytes(scope, wanted)
    return None if raw is None else raw.decode("latin-1")


def check_ids(scope: Scope) -> None:
    """An id that is none answers as one that is not there (HOUSE rule 10)."""
    for name, value in scope["path_params"].items():
        if name.endswith("_id") and not is_id(str(value)):
            raise NotFound


def check_media_type(scope: Scope, *, raw: bool = False) -> None:
    """JSON, or bytes, only: a form, which any site's page could send without asking, is never read as either."""
    text = (header(scope, b"content-type") or "").partition(";")[0].strip().lower()
    if raw and text not in _RAW:
        raise Problem(
            "unsupported_media_type", "Send bytes, with the header Content-Type: application/octet-stream."
        )
    if not raw and text not in _JSON:
        raise Problem("unsupported_media_type", "Send JSON, with the header Content-Type: application/json.")


def role_forbidden() -> Forbidden:
    return Forbidden("role_forbidden", "Your account may look, but not do this. Ask the owner of the box.")


def check_browser(visit: Visit, message: str) -> None:
    """For what must not outlive a token, or must be seen by a person. Raises Forbidden."""
    if visit.means is not Means.COOKIE:
        raise Forbidden("browser_only", message)


async def check_fresh(box: Box, visit: Visit) -> None:
    """For what a stolen cookie alone must not do. Raises Forbidden `browser_only`, `step_up_required`."""
    assert visit.principal is not None
    check_browser(visit, "A person has to be there for this. Do it in a browser, not with a token.")
    await box.accounts.check_fresh(visit.principal)


def request_timeout() -> Problem:
    return Problem(
        "request_timeout", "The box did not finish in time. See what came of it before you try again."
    )
