"""The OpenAPI 3.1 description of the API: `/schema/openapi.json`."""

from typing import Any

import msgspec
from litestar import Router
from litestar.connection import Request
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.openapi.spec import Components, License, SecurityScheme, Tag

from clawdbox import __version__
from clawdbox.web.examples import example
from clawdbox.web.problems import MEDIA_TYPE, WHEN

_ABOUT = """
Your servers from your phone. Times are ISO-8601 in UTC, ids are UUIDv7.

**Login.** Browsers carry an HttpOnly cookie and send `X-CSRF-Token` (from `GET /auth/me`) with everything that changes
something. Scripts send `Authorization: Bearer` with a token from `clawdbox token create`.

**Problems** are `application/problem+json` (RFC 9457): `detail` says what to do next, `code` is stable.

**Idempotency-Key** may be sent with any POST, PATCH and DELETE: the same key with the same request gets the first
answer again for a day, marked `Idempotency-Replayed: true`.

**WebSockets** (text frames are JSON; `{"type":"ping"}` every 30 s wants a `{"type":"pong"}`):
`/api/v1/events/live?after=`, `/api/v1/conversations/{id}/live?after=` say `ready`, then an `event` each;
`/api/v1/sessions/{id}/terminals/{terminal_id}/attach?after=&client=&most=&view=` says `hello`, then binary frames of an 8-byte
offset and output, and takes binary frames of an 8-byte input number and input, `resize` and `received`.
Close codes: 1000 ended, 1012 the box restarts, 4401 login ended, 4403 not allowed, 4404 unknown, 4408 too slow.
"""
_TAGS = {
    "Login": "Pairing, logins, tokens.",
    "Accounts": "The people of this box, and who may become one.",
    "Keys": "Ed25519 keypairs of the account.",
    "Connections": "Saved SSH servers and their host keys.",
    "Sessions": "Leases, commands and terminals.",
    "Recordings": "What terminals showed, kept to be played again.",
    "Files": "What lies on the server of a session, over SFTP.",
    "Server": "What a server is, how it does, and what its login shell costs.",
    "Fleet": "A command on many servers at once, and what each of them answered.",
    "Notifications": "Where an account is told of what happens: web push, ntfy, e-mail, webhooks.",
    "Snippets": "Commands with named places, whose values are quoted and never spliced.",
    "Forwards": "Ports of a server, on the box or in a browser.",
    "Conversations": "The chats on a connection, and what thinks in them.",
    "Agents": "What agents ask, what they may do unasked, and the switch that stops them.",
    "Models": "Where a model of one's own is asked.",
    "Events": "What happened, and who did it.",
    "Settings": "What a person may choose.",
    "Box": "The box itself.",
}
_PUBLIC = frozenset(
    {
        "/health",
        "/api/v1/auth/pair",
        "/api/v1/auth/methods",
        "/api/v1/auth/invitation",
        "/api/v1/auth/pairing-requests",
        "/api/v1/auth/pairing-requests/claim",
        "/api/v1/auth/passkey",
        "/api/v1/auth/passkey/options",
        "/api/v1/auth/recovery-code",
    }
)
_UNSAFE = ("post", "patch", "delete")
_HEADERS = [
    {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": "Up to 200 printable ASCII characters: sent again, the request is answered again and not done again.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 200},
    },
    {
        "name": "X-CSRF-Token",
        "in": "header",
        "required": False,
        "description": "Required when the request rides on the cookie: `csrf_token` from `GET /auth/me`.",
        "schema": {"type": "string", "maxLength": 100},
    },
]


class Description(OpenAPIRenderPlugin):
    """Litestar's schema, with what it cannot know: headers that the gate reads."""

    def __init__(self) -> None:
        super().__init__(path="/openapi.json", media_type="application/vnd.oai.openapi+json")  # type: ignore[arg-type]
        self._rendered: bytes | None = None

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        if self._rendered is None:
            self._rendered = msgspec.json.encode(complete(openapi_schema))
        return self._rendered


def complete(schema: dict[str, Any]) -> dict[str, Any]:
    paths = {path: _complete_path(path, item) for path, item in schema["paths"].items()}
    for item in paths.values():
        for operation in item.values():
            _add_examples(operation, schema["components"]["schemas"])
    return {**schema, "paths": paths}


def _add_examples(operation: dict[str, Any], components: dict[str, Any]) -> None:
    bodies = [operation.get("requestBody", {})]
    bodies += [answer for status, answer in operation["responses"].items() if int(status) < 300]
    for body in bodies:
        media = body.get("content", {}).get("application/json")
        if media is not None:
            media["example"] = example(media["schema"], components)


def _complete_path(path: str, item: dict[str, Any]) -> dict[str, Any]:
    if path in _PUBLIC or path.startswith("/api/v1/auth/oauth/"):
        return {method: {**operation, "security": []} for method, operation in item.items()}
    return {
        method: _unsafe(operation) if method in _UNSAFE else operation for method, operation in item.items()
    }


def _unsafe(operation: dict[str, Any]) -> dict[str, Any]:
    refusals = {str(status): _refusal(WHEN[status]) for status in (409, 413, 415, 422)}
    return {
        **operation,
        "parameters": [*operation.get("parameters", []), *_HEADERS],
        "responses": {**refusals, **operation["responses"]},
    }


def _refusal(text: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/ProblemBody"}
    return {"description": text, "content": {MEDIA_TYPE: {"schema": schema}}}


def _operation_id(handler: HTTPRouteHandler, *_: object) -> str:
    return str(handler.fn.__name__)


def config() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="clawdbox",
        version=__version__,
        description=_ABOUT.strip(),
        license=License(name="MIT"),
        use_handler_docstrings=True,
        operation_id_creator=_operation_id,
        render_plugins=[Description()],
        openapi_router=Router("/schema", route_handlers=[], include_in_schema=False, opt={"public": True}),
        security=[{"cookie": []}, {"bearer": []}],
        tags=[Tag(name=name, description=text) for name, text in _TAGS.items()],
        components=Components(
            security_schemes={
                "cookie": SecurityScheme(type="apiKey", name="clawdbox_login", security_scheme_in="cookie"),
                "bearer": SecurityScheme(type="http", scheme="bearer"),
            }
        ),
    )
