"""The ASGI application of an app's origin: it lets browsers in, and carries requests to the server and answers back."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import httpcore
from litestar.types import HTTPScope, Receive, Send

from clawdbox import logs
from clawdbox.errors import Problem
from clawdbox.web.apps.heads import Headers, Place, from_app, refusal, to_app
from clawdbox.web.apps.shown import ENTRY, PAGE_HEADERS, STRANGER, Shown, page, trouble

if TYPE_CHECKING:
    from clawdbox.ssh.service.forwards import Forwards

log = logs.get("web")
_MAX_FORM = 4096
_TIMEOUTS = {"pool": 30.0}


class Proxy:
    def __init__(self, forwards: "Forwards") -> None:
        self._forwards = forwards

    async def handle(
        self, shown: Shown, place: Place, scope: HTTPScope, receive: Receive, send: Send
    ) -> None:
        """One request of a browser to the origin of `shown`."""
        headers: Headers = list(scope["headers"])
        method, path = str(scope["method"]), str(scope["path"])
        if path.startswith("/.clawdbox/"):
            await self._own(shown, place, scope, receive, send)
            return
        grant = shown.grant(place, headers)
        if grant is None:
            await _say(send, 403, *STRANGER)
        elif refused := refusal(place, method, headers):
            await _say(send, 403, "Not passed on", refused)
        elif not await grant.run(_Exchange(shown, place, scope, receive, send).carry()):
            await _cut(scope, receive)

    async def unknown(self, send: Send) -> None:
        """Nothing is shown under this name, or not any more."""
        await _say(send, 404, *STRANGER)

    async def _own(self, shown: Shown, place: Place, scope: HTTPScope, receive: Receive, send: Send) -> None:
        if str(scope["path"]) != ENTRY or scope["method"] != "POST":
            await _say(send, 404, "Nothing is here", "Addresses that begin so are the box's own.")
            return
        form = parse_qs((await _read(receive)).decode("latin-1"), max_num_fields=4)
        entered = await shown.grants.enter(form.get("ticket", [""])[0])
        if entered is None:
            await _say(
                send, 403, "This link was used", "Go back to clawdbox and open the port in the browser again."
            )
            return
        token, grant = entered
        await self._forwards.note_entry(grant.principal.actor, shown.live)
        more: Headers = [(b"set-cookie", shown.grant_cookie(place, token).encode())]
        if shown.live.foreign_port:
            more.append((b"clear-site-data", b'"cache", "storage"'))
        # No redirect: the browser would hold the answer's own redirects against the page that sent the form.
        refresh = '<meta http-equiv="refresh" content="0;url=/">'
        await _say(send, 200, "One moment", "The app is being opened.", more, refresh)


class _Exchange:
    """A request and its answer. Bodies flow as fast as who reads them, in both directions."""

    def __init__(self, shown: Shown, place: Place, scope: HTTPScope, receive: Receive, send: Send) -> None:
        self._shown = shown
        self._place = place
        self._scope = scope
        self._receive = receive
        self._send = send
        self._begun = False
        self._read_all = asyncio.Event()

    async def carry(self) -> None:
        """Until the answer is complete, or the browser has gone."""
        answer = asyncio.ensure_future(self._answer())
        gone = asyncio.ensure_future(self._until_gone())
        try:
            await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                answer.result()
        finally:
            for task in (answer, gone):
                task.cancel()
            await asyncio.gather(answer, gone, return_exceptions=True)

    async def _until_gone(self) -> None:
        await self._read_all.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _answer(self) -> None:
        try:
            response = await self._ask()
        except (Problem, httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            await _say(self._send, *_told(error))
            return
        try:
            head = from_app(self._place, response.status, response.headers)
            await self._send({"type": "http.response.start", "status": response.status, "headers": head})
            self._begun = True
            async for piece in response.aiter_stream():
                await self._send({"type": "http.response.body", "body": piece, "more_body": True})
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        except (httpcore.NetworkError, httpcore.ProtocolError):
            await _cut(self._scope, self._receive)  # what came so far must not pass for the whole
        finally:
            await response.aclose()

    async def _ask(self) -> httpcore.Response:
        headers: Headers = list(self._scope["headers"])
        has_body = any(
            name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
            for name, value in headers
        )
        if not has_body:
            self._read_all.set()
        try:
            return await self._once(headers, has_body)
        except (httpcore.ReadError, httpcore.WriteError, httpcore.RemoteProtocolError):
            if has_body or self._scope["method"] not in ("GET", "HEAD"):
                raise
            # The app ended a connection that was kept for later, just as it was used again.
            return await self._once(headers, has_body)

    async def _once(self, headers: Headers, has_body: bool) -> httpcore.Response:
        request = httpcore.Request(
            method=str(self._scope["method"]).encode(),
            url=target_url(self._shown, self._scope["raw_path"], self._scope["query_string"]),
            headers=to_app(self._place, headers),
            content=self._body() if has_body else b"",
            extensions={"timeout": _TIMEOUTS},
        )
        return await self._shown.pool.handle_async_request(request)

    async def _body(self) -> AsyncIterator[bytes]:
        while True:
            message: Any = await self._receive()
            if message["type"] == "http.disconnect":
                self._read_all.set()
                raise httpcore.ReadError
            if piece := message.get("body", b""):
                yield piece
            if not message.get("more_body"):
                self._read_all.set()
                return


def target_url(shown: Shown, raw_path: bytes, query: bytes) -> httpcore.URL:
    row = shown.live.row
    target = raw_path + (b"?" + query if query else b"")
    return httpcore.URL(
        scheme=(row.scheme or "http").encode(),
        host=row.target_host.encode(),
        port=row.target_port,
        target=target or b"/",
    )


def _told(error: Exception) -> tuple[int, str, str]:
    status, sentence = trouble(error)
    return status, "The app did not answer", sentence


async def _read(receive: Receive) -> bytes:
    body: bytes = b""
    while len(body) <= _MAX_FORM:
        message: Any = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body
    return b""


async def _say(
    send: Send, status: int, title: str, sentence: str, more: Headers | None = None, head: str = ""
) -> None:
    body = page(title, sentence, head)
    headers = [*PAGE_HEADERS, (b"content-length", str(len(body)).encode()), *(more or [])]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _cut(scope: HTTPScope, receive: Receive) -> None:
    """Drop the connection, so that the browser does not take what it has for the whole answer."""
    scope["state"]["abort"]()
    while (await receive())["type"] != "http.disconnect":
        pass
