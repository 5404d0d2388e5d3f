"""The one table from an error to an HTTP answer: `application/problem+json` (RFC 9457)."""

import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Annotated, Any, Self

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.datastructures import ResponseSpec

from clawdbox import errors, logs
from clawdbox.errors import Problem
from clawdbox.web.visit import Visit, visit_of

log = logs.get("web")
MEDIA_TYPE = "application/problem+json"
Send = Callable[[Any], Awaitable[None]]

BY_CLASS: dict[type[Problem], int] = {
    errors.Invalid: 422,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.RateLimited: 429,
    errors.TooLarge: 413,
    errors.Upstream: 502,
    errors.Unavailable: 503,
    Problem: 400,
}
# What its class alone does not tell.
BY_CODE = {
    "file_not_found": 404,
    "file_timeout": 504,
    "headers_too_large": 431,
    "host_refused": 421,
    "idempotency_key_reused": 422,
    "internal_error": 500,
    "login_provider_unknown": 404,
    "malformed_json": 400,
    "method_not_allowed": 405,
    "range_not_satisfiable": 416,
    "request_timeout": 504,
    "unsupported_media_type": 415,
}


class FieldProblem(msgspec.Struct, frozen=True):
    """One part of the input, and what is wrong with it."""

    field: str
    message: str


class ProblemBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """RFC 9457. `detail` is a sentence for a person that says what to do next; `code` is stable for programs."""

    type: Annotated[str, msgspec.Meta(examples=["urn:clawdbox:problem:not_found"])]
    title: Annotated[str, msgspec.Meta(examples=["Not Found"])]
    status: Annotated[int, msgspec.Meta(ge=400, le=599, examples=[404])]
    detail: str
    code: Annotated[str, msgspec.Meta(examples=["not_found"])]
    field: str | None = None
    errors: list[FieldProblem] | None = None
    retry_after: int | None = None
    reference: str | None = None


def status_of(problem: Problem) -> int:
    if problem.code in BY_CODE:
        return BY_CODE[problem.code]
    if isinstance(problem, errors.Upstream) and problem.timed_out:
        return 504
    return next(BY_CLASS[kind] for kind in type(problem).__mro__ if kind in BY_CLASS)


def body_of(problem: Problem) -> dict[str, Any]:
    status = status_of(problem)
    detail = dict(problem.detail)
    if isinstance(problem, errors.Invalid):
        detail.setdefault("errors", [{"field": problem.field, "message": problem.message}])
    return {
        **detail,
        "type": f"urn:clawdbox:problem:{problem.code}",
        "title": _phrase(status),
        "status": status,
        "detail": problem.message,
        "code": problem.code,
    }


def headers_of(problem: Problem) -> dict[str, str]:
    """Headers that a status calls for (RFC 9110)."""
    status = status_of(problem)
    if isinstance(problem, errors.RateLimited):
        return {"retry-after": str(problem.retry_after)}
    if status == 401:
        return {"www-authenticate": 'Bearer realm="clawdbox"'}
    if status == 405:
        return {"allow": str(problem.detail.get("allow", "GET"))}
    if status == 416:
        return {"content-range": f"bytes */{problem.detail.get('size', '*')}"}
    return {}


def handle(request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
    """Litestar's exception handler for everything."""
    visit = visit_of(request.scope)
    problem = to_problem(error, visit)
    visit.code = problem.code
    return Response(
        body_of(problem), status_code=status_of(problem), headers=headers_of(problem), media_type=MEDIA_TYPE
    )


async def respond(problem: Problem, visit: Visit, send: Send) -> None:
    """The same answer from outside Litestar."""
    visit.code = problem.code
    body = msgspec.json.encode(body_of(problem))
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        *((name.encode(), value.encode()) for name, value in headers_of(problem).items()),
    ]
    await send({"type": "http.response.start", "status": status_of(problem), "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def to_problem(error: Exception, visit: Visit) -> Problem:
    """The problem behind any exception. What nobody foresaw is logged, and shows nothing but a reference to the log."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, ValidationException):
        return _from_validation(error)
    if isinstance(error, HTTPException) and error.status_code < 500:
        return _from_http(error)
    if isinstance(error, RecursionError):
        return Problem("malformed_json", "The body is nested too deeply.")
    visit.reference = secrets.token_hex(6)
    log.error("web.internal_error", reference=visit.reference, route=visit.route, exc_info=error)
    return Problem(
        "internal_error",
        "The box made a mistake. Look for this reference in its log, and report it if it happens again.",
        reference=visit.reference,
    )


def _from_http(error: HTTPException) -> Problem:
    if error.status_code == 404:
        return errors.NotFound()
    if error.status_code == 405:
        allow = (error.headers or {}).get("allow", "")
        return Problem("method_not_allowed", f"This address takes {allow} only.", allow=allow)
    if error.status_code == 413:
        return too_large()
    if error.__cause__ is not None and type(error.__cause__).__name__ == "SerializationException":
        return Problem("malformed_json", f"The body is no valid JSON: {error.detail}.")
    return Problem("bad_request", "The request cannot be read. See /schema for what this address takes.")


def too_large() -> Problem:
    return errors.TooLarge("body_too_large", "The request is larger than this box takes. Send less at once.")


def _from_validation(error: ValidationException) -> Problem:
    found = [_field_problem(entry) for entry in error.extra or [] if isinstance(entry, Mapping)]
    if not found:
        return Problem("bad_request", "The request cannot be read. See /schema for what this address takes.")
    first = found[0]
    problem = errors.Invalid(first.field, _sentence(first))
    problem.detail["errors"] = [msgspec.to_builtins(entry) for entry in found]
    return problem


_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "null",
}
_LIMITS = {"<=": "at most", ">=": "at least", "<": "less than", ">": "more than"}


def _is_missing(_field: str, name: str) -> FieldProblem:
    return FieldProblem(name, "This is required.")


def _is_unknown(_field: str, name: str) -> FieldProblem:
    return FieldProblem(name, "There is no such field here. Check its spelling.")


def _is_out_of_bounds(field: str, kind: str, sign: str, bound: str) -> FieldProblem:
    return FieldProblem(field, f"Choose {_words(kind)} of {_LIMITS[sign]} {bound.removesuffix('.0')}.")


def _has_wrong_length(field: str, sign: str, length: str) -> FieldProblem:
    return FieldProblem(field, f"Use {_LIMITS[sign]} {length} characters.")


def _has_wrong_type(field: str, wanted: str, found: str) -> FieldProblem:
    return FieldProblem(field, f"This must be {_words(wanted)}, not {_words(found)}.")


# The decoder's words, and who says them in a person's.
_SAYINGS: list[tuple[re.Pattern[str], Callable[..., FieldProblem]]] = [
    (re.compile(r"Object missing required field `(.+)`"), _is_missing),
    (re.compile(r"Object contains unknown field `(.+)`"), _is_unknown),
    (re.compile(r"Expected `(\w+)` (<=|>=|<|>) (\S+)"), _is_out_of_bounds),
    (re.compile(r"Expected `\w+` of length (<=|>=) (\d+)"), _has_wrong_length),
    (re.compile(r"Expected `([\w| ]+)`, got `(\w+)`"), _has_wrong_type),
]


def _field_problem(entry: Mapping[str, Any]) -> FieldProblem:
    field, text = str(entry.get("key", "body")), str(entry.get("message", ""))
    field = "body" if field == "data" else field
    if text == "'data'":
        return FieldProblem("body", "Send a JSON object.")
    for pattern, say in _SAYINGS:
        if match := pattern.fullmatch(text):
            return say(field, *match.groups())
    return FieldProblem(field, "This value cannot be used.")


def _words(kinds: str) -> str:
    return " or ".join(_WORDS.get(kind.strip(), kind.strip()) for kind in kinds.split("|"))


def _sentence(problem: FieldProblem) -> str:
    return f"{problem.field}: {problem.message}"


def _phrase(status: int) -> str:
    """Some have another name in older versions of Python than in RFC 9110."""
    return _NAMES.get(status) or HTTPStatus(status).phrase


_NAMES = {413: "Content Too Large", 416: "Range Not Satisfiable", 422: "Unprocessable Content"}


WHEN = {
    400: "The body is no valid JSON (`malformed_json`), or the request cannot be read.",
    401: "No login, or one that has ended (`login_required`).",
    403: "Not allowed: `csrf_missing`, `origin_refused`, `scope_forbidden`, `role_forbidden`.",
    404: "There is no such thing, or it is not yours: the two answer alike (`not_found`).",
    409: "The present state forbids it; `code` says what. `idempotency_in_progress`: still being answered.",
    413: "The body is larger than the box takes (`body_too_large`).",
    415: "The body is not called JSON (`unsupported_media_type`).",
    422: "A field cannot be taken as it stands (`invalid_input`), or an Idempotency-Key was used for another request.",
    429: "Too often (`rate_limited`): `retry_after` and the header Retry-After say when to come back.",
    502: "The server could not be entered (`ssh_failed`): `cause` and `next_step` say why and what to do.",
    504: "The server did not answer in time (`ssh_timeout`), or the box did not (`request_timeout`).",
}


class Answers(dict[int, ResponseSpec]):
    """Litestar copies each handler deeply when it is registered. These never change, so a copy of them is themselves."""

    def __deepcopy__(self, _memo: object) -> Self:
        return self


def answers(*statuses: int, **more: str) -> Answers:
    """For OpenAPI: which problems an operation answers with. `s409="…"` says what a status means here."""
    told = {int(name[1:]): text for name, text in more.items()}
    chosen = {**{status: WHEN[status] for status in statuses}, **told}
    return Answers(
        (
            status,
            ResponseSpec(
                ProblemBody if status >= 400 else str,
                generate_examples=False,
                description=text,
                media_type=MEDIA_TYPE if status >= 400 else "text/plain",
            ),
        )
        for status, text in sorted(chosen.items())
    )


def usual(*statuses: int, **more: str) -> Answers:
    """The same, with what every operation behind a login may answer."""
    return answers(400, 401, 403, 429, *statuses, **more)
