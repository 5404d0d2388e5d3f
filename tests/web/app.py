"""A web app as it runs on somebody's server: plain ASGI under uvicorn, which tells what it was asked."""

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import uvicorn

from clawdbox.web.listening import listen

Answer = Callable[["App", Any, Any, Any], Awaitable[None]]


class App:
    """`asked` holds the heads of all requests. What an address answers is in `pages`."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.sockets = 0
        self.gone = asyncio.Event()
        self.next = asyncio.Event()
        self.headers: list[tuple[bytes, bytes]] = []
        self.port = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.asked.append(
            {"path": scope["path"], "query": scope["query_string"].decode(), "headers": headers}
        )
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        else:
            page: Answer = getattr(App, "page_" + scope["path"].strip("/").partition("/")[0], App.page_)
            await page(self, scope, receive, send)

    async def page_(self, scope: Any, receive: Any, send: Any) -> None:
        body = msgspec.json.encode(self.asked[-1])
        await reply(send, 200, body, [(b"content-type", b"application/json"), *self.headers])

    async def page_redirect(self, scope: Any, receive: Any, send: Any) -> None:
        await reply(send, 302, b"", [(b"location", scope["query_string"])])

    async def page_upload(self, scope: Any, receive: Any, send: Any) -> None:
        digest, size = hashlib.sha256(), 0
        while True:
            message = await receive()
            digest.update(message["body"])
            size += len(message["body"])
            if not message["more_body"]:
                break
        await reply(send, 200, f"{size} {digest.hexdigest()}".encode())

    async def page_range(self, scope: Any, receive: Any, send: Any) -> None:
        more = [(b"content-range", b"bytes 2-4/10"), (b"accept-ranges", b"bytes")]
        await reply(send, 206, b"234", more)

    async def page_same(self, scope: Any, receive: Any, send: Any) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": 304,
                "headers": [(b"etag", b'"x"'), (b"cache-control", b"max-age=60")],
            }
        )
        await send({"type": "http.response.body", "body": b""})

    async def page_events(self, scope: Any, receive: Any, send: Any) -> None:
        """One event whenever `next` is set, until the reader goes."""
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"text/event-stream")],
            }
        )
        number = 0
        leaving = asyncio.ensure_future(_gone(receive))
        while not leaving.done():
            await send(
                {"type": "http.response.body", "body": f"data: {number}\n\n".encode(), "more_body": True}
            )
            number += 1
            step = asyncio.ensure_future(self.next.wait())
            await asyncio.wait({leaving, step}, return_when=asyncio.FIRST_COMPLETED)
            step.cancel()
            self.next.clear()
        self.gone.set()

    async def page_flood(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        leaving = asyncio.ensure_future(_gone(receive))
        while not leaving.done():
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            await asyncio.sleep(0)  # to a client that has gone, `send` neither waits nor raises
        self.gone.set()

    async def page_html(self, scope: Any, receive: Any, send: Any) -> None:
        await reply(send, 200, self.html, [(b"content-type", b"text/html; charset=utf-8"), *self.headers])

    html = b""

    async def _socket(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if scope["path"] == "/refused":
            await send({"type": "websocket.close", "code": 1008})
            return
        chosen = scope["subprotocols"][0] if scope["subprotocols"] else None
        await send({"type": "websocket.accept", "subprotocol": chosen, "headers": []})
        self.sockets += 1
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message.get("text"), "bytes": message.get("bytes")})
        self.sockets -= 1


async def _gone(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def reply(
    send: Any, status: int, body: bytes, headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    size = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [size, *(headers or [])]})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def running(app: App, certificate: Path | None = None) -> AsyncIterator[App]:
    """The app on a free port of loopback; with a certificate, over TLS."""
    sockets = listen("127.0.0.1", 0)
    app.port = sockets[0].getsockname()[1]
    config = uvicorn.Config(
        app, lifespan="off", log_config=None, ws="websockets-sansio", interface="asgi3", timeout_keep_alive=60
    )
    config.load()
    if certificate:
        config.ssl = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        config.ssl.load_cert_chain(certificate)
    server = uvicorn.Server(config)
    task = asyncio.ensure_future(server._serve(sockets))
    try:
        yield app
    finally:
        server.should_exit = server.force_exit = True
        await task
