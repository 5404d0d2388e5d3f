"""A web app on a server, with pages and a WebSocket on one port; what its pages do is up to the test."""

import threading
from http import HTTPStatus
from types import TracebackType
from typing import Self

from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve


class WebApp:
    """`pages` are HTML by their path; `/socket` echoes. `heads` are the request headers it saw."""

    def __init__(self, **pages: str) -> None:
        self.pages = pages
        self.heads: list[dict[str, str]] = []
        self._server: Server = serve(self._echo, "127.0.0.1", 0, process_request=self._answer)
        self.port = int(self._server.socket.getsockname()[1])
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join(5)

    def _echo(self, socket: ServerConnection) -> None:
        for message in socket:
            socket.send(message)

    def _answer(self, socket: ServerConnection, request: Request) -> Response | None:
        path = request.path.partition("?")[0]
        if path != "/favicon.ico":  # the browser asks for it whenever it likes
            self.heads.append({name.lower(): value for name, value in request.headers.raw_items()})
        if path == "/socket":
            return None
        kind = "text/javascript" if path.endswith(".js") else "text/html"
        body = self.pages.get(path.strip("/").replace(".", "_") or "index", "").encode()
        headers = Headers(
            [
                ("Content-Type", f"{kind}; charset=utf-8"),
                ("Content-Length", str(len(body))),
                ("Set-Cookie", "app_login=of-the-app; Path=/; HttpOnly"),
                ("Connection", "close"),
            ]
        )
        return Response(HTTPStatus.OK.value, "OK", headers, body)
