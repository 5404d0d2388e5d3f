"""A real box behind its real web server, and the clients that tests drive it with."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from clawdbox.accounts import Account
from clawdbox.app import Box
from clawdbox.clock import Clock
from clawdbox.events.model import SYSTEM
from clawdbox.settings import Settings
from clawdbox.web.listening import listen
from clawdbox.web.live import Pace
from clawdbox.web.server import WebServer
from clawdbox.web.site import create_app

API = "/api/v1"
Json = dict[str, Any]


class Client:
    """A browser (cookie and CSRF nonce) or a script (bearer token) that speaks to one box."""

    def __init__(
        self, http: httpx.AsyncClient, origin: str, headers: dict[str, str], csrf: str | None
    ) -> None:
        self.http = http
        self.origin = origin
        self.headers = headers
        self.csrf = csrf
        self.login_id = ""

    async def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {**self.headers, **more.pop("headers", {})}
        if self.csrf and method not in ("GET", "HEAD", "OPTIONS"):
            headers.setdefault("x-csrf-token", self.csrf)
        return await self.http.request(method, path, headers=headers, **more)

    async def get(self, path: str, **more: Any) -> httpx.Response:
        return await self.ask("GET", API + path, **more)

    async def post(self, path: str, body: Any = None, **more: Any) -> httpx.Response:
        return await self.ask("POST", API + path, **({"json": body} if body is not None else {}), **more)

    async def patch(self, path: str, body: Any, **more: Any) -> httpx.Response:
        return await self.ask("PATCH", API + path, json=body, **more)

    async def delete(self, path: str, **more: Any) -> httpx.Response:
        return await self.ask("DELETE", API + path, **more)

    def socket(self, path: str, **headers: str) -> connect:
        """A WebSocket with this client's login; a browser's carries its Origin."""
        sent = {**self.headers, **headers}
        cookie = "; ".join(f"{name}={value}" for name, value in self.http.cookies.items())
        if cookie:
            sent = {"cookie": cookie, "origin": self.origin, **sent}
        chosen = {name: value for name, value in sent.items() if value}
        address = self.origin.replace("http", "ws", 1) + path
        return connect(address, additional_headers=chosen, open_timeout=60, proxy=None, compression=None)


class Served:
    """`box` and its server on a free port of loopback. `turn(seconds)` makes its clock go forward."""

    def __init__(
        self, folder: Path, settings: Settings, *, pace: Pace | None = None, static: Path | None = None
    ) -> None:
        self._clock_file = folder / "clock"
        self._clients = AsyncExitStack()
        self._pace = pace
        self._static = static or folder / "no-static"
        self.turned = 0.0
        self.box = Box(folder / "data", settings, Clock(self._clock_file))
        self.web: WebServer

    async def __aenter__(self) -> Self:
        sockets = listen("127.0.0.1", 0)
        self.box.own_port = sockets[0].getsockname()[1]
        await self.box.start()
        app = create_app(self.box, pace=self._pace, static=self._static)
        self.web = WebServer(self.box, sockets, app)
        await self.web.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._clients.aclose()
        self.box.stopping.set()
        await self.web.stop()
        await self.box.stop()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.web.port}"

    def turn(self, seconds: float) -> None:
        self.turned += seconds
        self._clock_file.write_text(str(self.turned))

    async def stranger(self) -> Client:
        http = await self._clients.enter_async_context(
            httpx.AsyncClient(base_url=self.origin, trust_env=False, verify=False)
        )
        return Client(http, self.origin, {}, None)

    async def browser(self, account: Account | None = None, device: str = "Test browser") -> Client:
        """Signed in by a pairing code, as any browser is."""
        client = await self.stranger()
        owner = account or self.box.owner
        code = await self.box.accounts.make_pairing_code(SYSTEM, owner.id)
        answer = await client.post("/auth/pair", {"code": code.code, "device_name": device})
        assert answer.status_code == 201, answer.text
        client.csrf = answer.json()["csrf_token"]
        client.login_id = (await client.get("/auth/me")).json()["login"]["id"]
        return client

    async def script(
        self, account: Account | None = None, scope: str = "full", expires_in: timedelta = timedelta(days=90)
    ) -> Client:
        owner = account or self.box.owner
        granted = await self.box.accounts.create_token(
            SYSTEM, owner.id, "Test script", self.box.clock.now() + expires_in, scope
        )
        client = await self.stranger()
        client.headers = {"authorization": f"Bearer {granted.token}"}
        client.login_id = granted.login.id
        return client

    async def account(self, name: str = "Somebody else", role: str = "operator") -> Account:
        return await self.box.accounts.create(SYSTEM, name, role)

    async def audit(self, **wanted: Any) -> list[Json]:
        """Rows of the audit trail that have these values, the oldest first."""
        rows = await self.box.store.read(lambda r: r.all("SELECT * FROM audit_log ORDER BY id"))
        for row in rows:
            row["detail"] = msgspec.json.decode(row["detail"] or "{}")
        return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


async def new_connection(client: Client, **values: Any) -> Json:
    body = {"label": "NAS", "host": "nas.lan", "username": "bob", **values}
    answer = await client.post("/connections", body)
    assert answer.status_code == 201, answer.text
    connection: Json = answer.json()["connection"]
    return connection


Make = Callable[..., Awaitable[Served]]


@asynccontextmanager
async def maker(tmp_path: Path) -> AsyncIterator[Make]:
    """Boxes with settings of their own; they end with the test."""
    async with AsyncExitStack() as stack:
        count = 0

        async def make(*, pace: Pace | None = None, static: Path | None = None, **settings: Any) -> Served:
            nonlocal count
            count += 1
            folder = tmp_path / f"box{count}"
            folder.mkdir()
            # Their thousands of wrong logins come from one address; a test of the delays sets its own.
            settings.setdefault("failed_logins_free", 1_000_000)
            chosen = Settings(port=0, **settings)
            return await stack.enter_async_context(Served(folder, chosen, pace=pace, static=static))

        yield make


async def code_of(socket: ClientConnection) -> int | None:
    """How it ends, whatever is said before."""
    try:
        async with asyncio.timeout(10):
            while True:
                await socket.recv()
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None


async def hear(socket: ClientConnection) -> Json:
    """The next text frame that is no ping."""
    while True:
        frame = await socket.recv()
        assert isinstance(frame, str), frame
        message: Json = msgspec.json.decode(frame)
        if message["type"] != "ping":
            return message
