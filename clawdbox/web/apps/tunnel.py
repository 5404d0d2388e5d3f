"""WebSockets of an app: once the app has agreed, their bytes pass as they are, whatever they mean."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import h11
import httpcore
import uvicorn
from uvicorn.server import ServerState

from clawdbox.errors import Problem
from clawdbox.web.apps.heads import Headers, Place, refusal, upgrade_from_app, upgrade_to_app
from clawdbox.web.apps.proxy import target_url
from clawdbox.web.apps.shown import PAGE_HEADERS, STRANGER, Shown, page, trouble

_LIMIT = 64 * 1024
_MAX_REFUSAL = 64 * 1024
Find = Callable[[Headers, Any], tuple[Shown, Place] | None]


class Tunnel(asyncio.StreamReaderProtocol):
    """What uvicorn hands a connection to when a browser asks for a WebSocket; it hands in the head it has read."""

    def __init__(
        self, find: Find, config: uvicorn.Config, server_state: ServerState, app_state: dict[str, Any]
    ) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(asyncio.StreamReader(limit=_LIMIT, loop=loop), self._start, loop=loop)
        self._find = find
        self._state = server_state
        self._work: asyncio.Task[None] | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        self._state.connections.add(self)  # type: ignore[arg-type]
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._state.connections.discard(self)
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Called by uvicorn when the box stops."""
        if self._work:
            self._work.cancel()

    def _start(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._work = asyncio.get_running_loop().create_task(self._serve(reader, writer))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._talk(reader, writer)
        except (OSError, h11.ProtocolError):
            pass  # the browser has gone, or never spoke sense
        finally:
            self.transport.abort() if self._work and self._work.cancelling() else writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        browser = h11.Connection(h11.SERVER, max_incomplete_event_size=_LIMIT)
        request = await _head(browser, reader)
        headers: Headers = list(request.headers)
        found = self._find(headers, writer.get_extra_info("peername"))
        if found is None:
            await _refuse(browser, writer, 404, *STRANGER)
            return
        shown, place = found
        grant = shown.grant(place, headers)
        if grant is None:
            await _refuse(browser, writer, 403, *STRANGER)
        elif refused := refusal(place, "GET", headers, socket=True):
            await _refuse(browser, writer, 403, "Not passed on", refused)
        elif not await grant.run(_pass(shown, place, request, browser, reader, writer)):
            self.transport.abort()


async def _head(browser: h11.Connection, reader: asyncio.StreamReader) -> h11.Request:
    while True:
        event = browser.next_event()
        if isinstance(event, h11.Request):
            return event
        browser.receive_data(await reader.read(_LIMIT))


async def _pass(
    shown: Shown,
    place: Place,
    request: h11.Request,
    browser: h11.Connection,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    path, _, query = request.target.partition(b"?")
    asked = httpcore.Request(
        method=b"GET",
        url=target_url(shown, path, query),
        headers=upgrade_to_app(place, list(request.headers)),
        extensions={"timeout": {"pool": 30.0}},
    )
    try:
        response = await shown.pool.handle_async_request(asked)
    except (Problem, httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
        status, sentence = trouble(error)
        await _refuse(browser, writer, status, "The app did not answer", sentence)
        return
    try:
        if response.status == 101:
            head = upgrade_from_app(place, response.headers)
            writer.write(browser.send(h11.InformationalResponse(status_code=101, headers=head)) or b"")
            await _both_ways(_early(browser), reader, writer, response.extensions["network_stream"])
        else:
            await _refuse(
                browser, writer, response.status, "No WebSocket here", "The app refused the connection."
            )
    except (httpcore.NetworkError, httpcore.ProtocolError):
        writer.transport.abort()
    finally:
        await response.aclose()


def _early(browser: h11.Connection) -> bytes:
    """What the browser has sent behind its request."""
    while browser.next_event() not in (h11.PAUSED, h11.NEED_DATA):
        pass
    return browser.trailing_data[0]


async def _both_ways(
    early: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, app: httpcore.AsyncNetworkStream
) -> None:
    """A WebSocket says by itself when it ends; when one side just goes, so does the other."""

    async def up() -> None:
        if early:
            await app.write(early)
        while data := await reader.read(_LIMIT):
            await app.write(data)

    async def down() -> None:
        while data := await app.read(_LIMIT):
            writer.write(data)
            await writer.drain()

    tasks = {asyncio.ensure_future(up()), asyncio.ensure_future(down())}
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await app.aclose()


async def _refuse(
    browser: h11.Connection, writer: asyncio.StreamWriter, status: int, title: str, sentence: str
) -> None:
    body = page(title, sentence)
    headers = [
        *PAGE_HEADERS,
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    for event in (
        h11.Response(status_code=status, headers=headers),
        h11.Data(data=body),
        h11.EndOfMessage(),
    ):
        writer.write(browser.send(event) or b"")
    await writer.drain()
