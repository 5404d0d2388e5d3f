"""A model's server: real HTTP and real streams on a port of loopback; what it says is up to the test.

    with ModelServer(Script(reply(Tool("run", {"command": "uptime"})), "It is up.")) as server:
        ...  # server.openai_url, server.anthropic_url; server.asked are the requests it received

It runs on threads of its own, so that tests with and without an event loop may use it.
"""

import asyncio
import select
import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import msgspec

from tests.agents.model_server.anthropic import Anthropic
from tests.agents.model_server.asked import Asked, Json
from tests.agents.model_server.chat import Chat
from tests.agents.model_server.faces import Face, encoded
from tests.agents.model_server.parts import (
    Cut,
    Fault,
    Gate,
    Ping,
    Quit,
    Refusal,
    Reply,
    Stall,
    Text,
    Think,
    Tool,
)
from tests.agents.model_server.responses import Responses
from tests.agents.model_server.script import Answers, Script

_FACES = {"/v1/messages": "anthropic", "/v1/chat/completions": "chat", "/v1/responses": "responses"}


class ModelServer:
    """`key`: what a request must carry, or it gets 401. `window`: the bytes of a body beyond which it is too long."""

    def __init__(
        self,
        answers: Answers | None = None,
        *,
        key: str | None = None,
        window: int | None = None,
        models: tuple[str, ...] = ("scripted-1",),
        port: int = 0,
    ) -> None:
        self.answers: Answers = answers or Script()
        self.key = key
        self.window = window
        self.models = models
        self.asked: list[Asked] = []
        self.heads: list[tuple[str, str]] = []  # method and path of every request, the ones on the side, too
        self.stopping = threading.Event()
        self._changed = threading.Condition()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.model = self
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._thread.join(5)
        self._server.server_close()

    @property
    def anthropic_url(self) -> str:
        """What ANTHROPIC_BASE_URL wants to be."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def openai_url(self) -> str:
        """What OPENAI_BASE_URL wants to be."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def bodies(self) -> bytes:
        """All that was ever sent here, for looking for what should not be in it."""
        return b"\n".join(asked.raw for asked in self.asked)

    def note(self, asked: Asked) -> None:
        with self._changed:
            self.asked.append(asked)
            self._changed.notify_all()

    def until_asked(self, count: int, timeout: float = 30.0) -> Asked:
        """The request with this number, counted from 1."""
        with self._changed:
            came = self._changed.wait_for(lambda: len(self.asked) >= count, timeout)
        assert came, f"the model was asked {len(self.asked)} times, not {count}"
        return self.asked[count - 1]

    async def was_asked(self, count: int, timeout: float = 30.0) -> Asked:
        return await asyncio.to_thread(self.until_asked, count, timeout)


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # its end waits for theirs, so that no socket is left open
    request_queue_size = 128
    model: ModelServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no error here."""


class _Gone(Exception):
    """The client hung up, or the test is over."""


class _Broken(Exception):
    """The script broke the connection."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    @property
    def _model(self) -> ModelServer:
        return self.server.model

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its parent's word
        """A test's output is its own."""

    def handle_one_request(self) -> None:
        """Between two requests it waits for the client, but not beyond the test's end."""
        try:
            self._until(readable=True)
        except _Gone:
            self.close_connection = True
        else:
            super().handle_one_request()

    def do_HEAD(self) -> None:
        self._note()
        self._answer(200, {})

    def do_GET(self) -> None:
        path = self._note()
        if path != "/v1/models":
            self._answer(404, {"error": {"message": "Not found", "type": "invalid_request_error"}})
        elif not self._authorized():
            self._refuse(self._face("chat", ""), _wrong_key(self._given_key()))
        else:
            self._answer(200, self._listed())

    def do_POST(self) -> None:
        path = self._note()
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        body = msgspec.json.decode(raw or b"{}")
        if path == "/v1/messages/count_tokens":
            self._answer(200, {"input_tokens": len(raw) // 4})
            return
        if path not in _FACES:
            self._answer(404, {"error": {"message": "Not found", "type": "invalid_request_error"}})
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(_FACES[path], self.path, headers, raw, body)
        self._model.note(asked)
        try:
            self._play(asked)
        except (_Gone, OSError):
            asked.gone.set()
            self.close_connection = True
        except _Broken:
            self.close_connection = True
        finally:
            asked.ended.set()

    # answers

    def _play(self, asked: Asked) -> None:
        options = asked.body.get("stream_options") or {}
        face = self._face(asked.face, asked.model, usage=bool(options.get("include_usage")))
        if not self._authorized():
            self._refuse(face, _wrong_key(self._given_key()))
            return
        window = self._model.window
        if window is not None and len(asked.raw) > window:
            self._refuse(face, _too_long(asked, window))
            return
        given = self._model.answers(asked)
        if isinstance(given, Refusal):
            self._refuse(face, given)
        elif asked.streams:
            self._stream(asked, face, given)
        else:
            for part in given.parts:
                self._hold(part)
            self._answer(200, face.whole(given))

    def _stream(self, asked: Asked, face: Face, given: Reply) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("cache-control", "no-cache")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self._frames(face.begin(given))
        for part in given.parts:
            if isinstance(part, Text | Think | Tool):
                asked.first_sent = asked.first_sent or time.perf_counter()
                self._frames(face.part(part))
            elif isinstance(part, Ping):
                self._frames(face.ping())
            elif isinstance(part, Fault | Quit):
                self._frames(face.fault(part) if isinstance(part, Fault) else ())
                break
            else:
                self._hold(part)
        else:
            self._frames(face.end(given))
        self.wfile.write(b"0\r\n\r\n")

    def _frames(self, frames: Any) -> None:
        for frame in frames:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(frame), frame))

    def _hold(self, part: Any) -> None:
        if isinstance(part, Gate):
            part.arrive()
            self._until(gate=part)
        elif isinstance(part, Stall):
            self._until()
        elif isinstance(part, Cut):
            # Closing with this option sends a RST: what a broken line looks like from there.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            raise _Broken

    def _until(self, gate: Gate | None = None, *, readable: bool = False) -> None:
        """Wait for a gate, or for the next request; raises _Gone when the client hangs up or the test ends first."""
        while not (gate and gate.is_open):
            if self._model.stopping.is_set():
                raise _Gone
            if select.select([self.connection], [], [], 0.005 if gate else 0.05)[0]:
                if not self.connection.recv(1, socket.MSG_PEEK):
                    raise _Gone
                if readable:
                    return
                self._model.stopping.wait(0.005)  # it has sent more than it was asked for; that may wait

    def _refuse(self, face: Face, refusal: Refusal) -> None:
        more = {"retry-after": refusal.retry_after} if refusal.retry_after else {}
        self._answer(refusal.status, face.refusal(refusal), **more)

    def _answer(self, status: int, body: Json, **headers: str) -> None:
        data = b"" if self.command == "HEAD" else encoded(body)
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.send_header("request-id", "req_scripted")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    # requests

    def _note(self) -> str:
        path = urlsplit(self.path).path
        self._model.heads.append((self.command, self.path))
        return path

    def _face(self, name: str, model: str, *, usage: bool = False) -> Face:
        number = f"{len(self._model.asked):04d}"
        if name == "anthropic" or self.headers.get("anthropic-version"):
            return Anthropic(f"msg_{number}", model)
        return Chat(number, model, usage=usage) if name == "chat" else Responses(number, model)

    def _given_key(self) -> str:
        bearer = self.headers.get("authorization", "").removeprefix("Bearer ")
        return self.headers.get("x-api-key") or bearer

    def _authorized(self) -> bool:
        return self._model.key in (None, self._given_key())

    def _listed(self) -> Json:
        names = self._model.models
        if self.headers.get("anthropic-version"):
            made = "2026-01-01T00:00:00Z"
            data = [{"type": "model", "id": name, "display_name": name, "created_at": made} for name in names]
            return {"data": data, "has_more": False, "first_id": names[0], "last_id": names[-1]}
        known = {"object": "model", "created": 1_795_000_000, "owned_by": "script"}
        return {"object": "list", "data": [{"id": name, **known} for name in names]}


def _wrong_key(given: str) -> Refusal:
    """OpenAI's really says the key back, its middle starred; this one says it whole, as others do."""
    return Refusal(401, f"Incorrect API key provided: {given}. You can find your API key in your account.")


def _too_long(asked: Asked, window: int) -> Refusal:
    if asked.face == "anthropic":
        return Refusal(400, f"prompt is too long: {len(asked.raw)} tokens > {window} maximum")
    message = f"This model's maximum context length is {window} tokens. However, your messages resulted in {len(asked.raw)} tokens."
    return Refusal(400, message, "context_length_exceeded")
