"""What a box serves that waits for its passphrase: a page with a form, `/health`, and nothing else.

It stands behind the same door as the site (Host, Origin, headers), and knows neither the site nor the database.
"""

import asyncio
import math
import socket
import time
from collections.abc import Awaitable, Callable
from html import escape
from typing import cast
from urllib.parse import parse_qs

import msgspec
import uvicorn
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from clawdbox import __version__, logs
from clawdbox.errors import Problem, RateLimited, TooLarge, Unavailable
from clawdbox.web import sockets
from clawdbox.web.box import Box
from clawdbox.web.guards import Door
from clawdbox.web.limits import Window, address_key
from clawdbox.web.problems import respond
from clawdbox.web.protocols import Http, Ws
from clawdbox.web.server import GRACE_S, BoxServer
from clawdbox.web.visit import Visit

log = logs.get("web")
Unlock = Callable[[str], Awaitable[None]]
_MAX_BODY = 8192
# Tries by one address, and by all of them together: each costs 64 MiB and a fifth of a second. Whoever is kept out by a
# stranger's tries has the terminal: `clawdbox keyring unlock` is not counted.
_PER_ADDRESS, _TOGETHER = 5, 30
# What a stranger may read, and with which status; anything else has paths in it.
_TOLD = {"passphrase_wrong": 403, "rate_limited": 429, "body_too_large": 413}
_FAILED = "The box could not open its keyring. Its log says why."
_CSS = """
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { margin: 0; min-height: 100dvh; display: grid; place-items: center; background: Canvas; color: CanvasText; }
main { width: min(22rem, 100vw - 2rem); }
h1 { font-size: 1.5rem; margin: 0 0 0.5rem; }
label { display: block; font-weight: 600; margin-top: 1.5rem; }
input, button { box-sizing: border-box; width: 100%; min-height: 3rem; font: inherit; border-radius: 0.5rem; }
input { margin: 0.25rem 0 1rem; padding: 0 0.75rem; border: 1px solid GrayText; background: Field; color: FieldText; }
button { border: 0; background: #1f6f5c; color: #fff; font-weight: 600; }
:focus-visible { outline: 3px solid #3aa78d; outline-offset: 2px; }
.problem { border-left: 4px solid #c0392b; padding: 0.25rem 0.75rem; margin: 1rem 0 0; }
"""


class LockedSite:
    """The ASGI application. Of the box, which was not opened yet, the door asks settings and metrics alone.

    `unlock` raises Problem `passphrase_wrong`.
    """

    def __init__(self, box: Box, unlock: Unlock) -> None:
        self._unlock = unlock
        self._by_address = Window(_PER_ADDRESS, 60)
        self._together = Window(_TOGETHER, 60)
        self._trying = asyncio.Lock()
        self.app: ASGIApp = Door(self._answer, box)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        visit = cast(Visit, scope["state"]["visit"])
        if scope["type"] == ScopeType.WEBSOCKET:
            await sockets.reject(_locked(), visit, send)
            return
        visit.route = str(scope["path"])
        if visit.route == "/health":
            body = msgspec.json.encode({"status": "locked", "version": __version__})
            await _send(send, 503, "application/json", body)
        elif visit.route == "/locked.css":
            # Kept by the browser: the last page is shown while this server ends and the box takes its place.
            await _send(
                send, 200, "text/css; charset=utf-8", _CSS.encode(), (b"cache-control", b"max-age=600")
            )
        elif visit.route == "/unlock" and visit.method == "POST":
            await self._try(visit, scope, receive, send)
        elif visit.route.startswith("/api/") or visit.method not in ("GET", "HEAD"):
            visit.route = "locked"
            await respond(_locked(), visit, send)
        else:
            visit.route = "locked"
            await _page(send, 503, _FORM)

    async def _try(self, visit: Visit, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._count(address_key(visit.client))
            text = await _passphrase(receive)
            async with self._trying:
                await self._unlock(text)
        except Problem as problem:
            visit.code = problem.code
            if problem.code not in _TOLD:
                log.exception("web.unlock_failed")
            status, why = _TOLD.get(problem.code, 503), problem.message if problem.code in _TOLD else _FAILED
            await _page(send, status, f'<p class="problem" role="alert">{escape(why)}</p>{_FORM}')
        else:
            await _page(send, 200, "<p>The passphrase is right. The box starts.</p>", refresh=True)

    def _count(self, key: str) -> None:
        now = time.monotonic()
        wait = self._by_address.wait(key, now) or self._together.wait("all", now)
        if wait is not None:
            raise RateLimited(
                max(1, math.ceil(wait)),
                f"That were many tries. Wait {max(1, math.ceil(wait))} seconds, or unlock the box on its own terminal: "
                "clawdbox keyring unlock",
            )
        self._by_address.hit(key, now)
        self._together.hit("all", now)


class LockedServer:
    """Serves the page on copies of the box's sockets, so that those stay open for the box itself."""

    def __init__(self, box: Box, listening: list[socket.socket], unlock: Unlock) -> None:
        self._sockets = [one.dup() for one in listening]
        site = LockedSite(box, unlock)
        self._server = BoxServer(
            uvicorn.Config(
                site.app,
                http=Http,
                ws=Ws,
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=50,
                timeout_keep_alive=5,
                timeout_graceful_shutdown=GRACE_S,
            )
        )
        self._ended: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns when the sockets are being served."""
        self._ended = asyncio.create_task(self._server.serve(sockets=self._sockets))
        listening = asyncio.create_task(self._server.listening.wait())
        await asyncio.wait({self._ended, listening}, return_when=asyncio.FIRST_COMPLETED)
        listening.cancel()

    async def stop(self) -> None:
        assert self._ended is not None
        self._server.should_exit = True
        await asyncio.wait({self._ended}, timeout=GRACE_S + 2)
        self._ended.cancel()


def _locked() -> Unavailable:
    return Unavailable(
        "locked",
        "This box waits for its passphrase. Open its page and give it, or on its terminal: clawdbox keyring unlock",
    )


async def _passphrase(receive: Receive) -> str:
    """The field of the form. Raises TooLarge."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return ""
        body += message["body"]
        if len(body) > _MAX_BODY:
            raise TooLarge("body_too_large", "That is more than any passphrase.")
        if not message["more_body"]:
            break
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    return fields.get("passphrase", [""])[0]


_FORM = """
<form method="post" action="/unlock" autocomplete="off">
  <label for="passphrase">Passphrase</label>
  <input id="passphrase" name="passphrase" type="password" autocomplete="current-password" required autofocus>
  <button>Unlock</button>
</form>
"""


async def _page(send: Send, status: int, content: str, *, refresh: bool = False) -> None:
    again = '<meta http-equiv="refresh" content="2; url=/">' if refresh else ""
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Locked · clawdbox</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        # Under the header's `no-referrer` a browser would send the form with `Origin: null`.
        '<meta name="referrer" content="same-origin">'
        f'<link rel="stylesheet" href="/locked.css">{again}</head>'
        "<body><main><h1>This box is locked</h1><p>Its keys open with the passphrase. Until then nothing runs here: no "
        f"sessions, no agents, no notifications.</p>{content}</main></body></html>\n"
    )
    await _send(send, status, "text/html; charset=utf-8", html.encode())


async def _send(send: Send, status: int, kind: str, body: bytes, *more: tuple[bytes, bytes]) -> None:
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode()), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
