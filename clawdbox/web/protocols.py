"""uvicorn's protocols with the bounds they lack: heads without end, bodies nobody reads, peers that take nothing."""

import asyncio
from typing import Any

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from clawdbox.errors import Problem
from clawdbox.web.problems import MEDIA_TYPE, body_of

MAX_HEAD = 64 * 1024
HEAD_TIMEOUT_S = 30.0
# After an answer that came before the end of the request: cutting the connection at once would take the answer along.
MAX_UNREAD = 8 * 1_048_576
UNREAD_TIMEOUT_S = 10.0
# What stands around a body: chunk sizes, their extensions, trailers. A body of chunks of one byte has six for each.
MAX_AROUND = 1_048_576
AROUND_A_BYTE = 16
MAX_UNTAKEN = 4 * 1_048_576
_HEAD_TOO_LARGE = Problem("headers_too_large", "The head of the request is larger than this box takes.")


class Http(HttpToolsProtocol):
    """Each request's head has 64 KiB and 30 seconds; the same time ends a connection on which nothing is asked."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = True
        self._head_bytes = 0
        self._unread = 0
        self._received = 0
        self._body = 0
        self._refused = False
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._set_deadline(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            self._skip(len(data))
            return
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD and not self.transport.is_closing():
                self._refuse()
            return
        self._received += len(data)
        if self._received - self._body > MAX_AROUND + AROUND_A_BYTE * self._body:
            self.transport.abort()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"]["abort"] = self.transport.abort
        self._await_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        if (
            self._in_head
        ):  # else it is a trailer: uvicorn would collect them without end, and nobody reads them
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._set_deadline(None)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body += len(body)
        if not self.parser.should_upgrade() and self.cycle.response_complete:
            self._skip(len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unread = 0
        self._set_deadline(None)
        super().on_message_complete()

    def _await_head(self) -> None:
        self._in_head = True
        self._head_bytes = self._received = self._body = 0
        self._set_deadline(HEAD_TIMEOUT_S)

    def _skip(self, size: int) -> None:
        if self._unread == 0:
            self._set_deadline(UNREAD_TIMEOUT_S)
        self._unread += size
        if self._unread > MAX_UNREAD:
            self.transport.abort()

    def _refuse(self) -> None:
        self._refused = True
        cycle: Any = self.cycle  # None before the first request, whatever its type says
        if cycle is not None and not cycle.response_complete:
            self.transport.abort()  # an earlier request is still being answered: no answer may come before its own
            return
        body = msgspec.json.encode(body_of(_HEAD_TOO_LARGE))
        head = (
            "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n"
            f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.write_eof()
        self._set_deadline(UNREAD_TIMEOUT_S)

    def _set_deadline(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self.transport.abort)


class Ws(WebSocketsSansIOProtocol):
    """Hands the application a way to drop a connection whose peer takes nothing (`state["abort"]`).

    Pongs answer by themselves, whether or not the peer takes them: one that only pings would fill the memory.
    """

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.get_write_buffer_size() > MAX_UNTAKEN:
            self.transport.abort()

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        scope: Any = getattr(self, "scope", None)
        if scope is not None:
            scope["state"]["abort"] = self.transport.abort
