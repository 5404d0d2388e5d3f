"""Close codes of WebSockets, and how one is refused before it has begun."""

from typing import Any

import msgspec
from litestar.types import Receive, Send

from clawdbox.errors import Forbidden, Invalid, NotFound, Problem, RateLimited, Unauthorized
from clawdbox.web.problems import MEDIA_TYPE, body_of, status_of
from clawdbox.web.visit import Visit

NORMAL = 1000
TOO_BIG = 1009
FAILED = 1011
RESTART = 1012
BAD_REQUEST = 4400
LOGIN_ENDED = 4401
FORBIDDEN = 4403
NOT_FOUND = 4404
TOO_SLOW = 4408
RATE_LIMITED = 4429

_BY_CLASS: dict[type[Problem], int] = {
    Unauthorized: LOGIN_ENDED,
    Forbidden: FORBIDDEN,
    NotFound: NOT_FOUND,
    Invalid: BAD_REQUEST,
    RateLimited: RATE_LIMITED,
}


class Hangup(Exception):
    """Ends a socket with a code and a word for the log."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def code_of(problem: Problem) -> int:
    return next((_BY_CLASS[kind] for kind in type(problem).__mro__ if kind in _BY_CLASS), FAILED)


async def refuse(receive: Receive, send: Send, code: int, reason: str) -> None:
    """Accept and close at once: a browser is told the code of a close, but not the status of a failed handshake."""
    await receive()
    await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
    await send({"type": "websocket.close", "code": code, "reason": reason})


async def reject(problem: Problem, visit: Visit, send: Any) -> None:
    """Answer the handshake as any request (ASGI extension `websocket.http.response`)."""
    visit.status, visit.code = status_of(problem), problem.code
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"connection", b"close")]
    await send({"type": "websocket.http.response.start", "status": visit.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": msgspec.json.encode(body_of(problem))})
