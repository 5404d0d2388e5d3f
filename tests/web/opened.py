"""A browser that opened a web app of a server through the box."""

from typing import Any
from urllib.parse import urlsplit

import httpx
from websockets.asyncio.client import connect
from websockets.typing import Origin

from tests.ssh.sshd import Sshd
from tests.web.app import App
from tests.web.served import Client, Json
from tests.web.servers import start_session


class Opened:
    """`http` is a browser that was let in, `forward` and `session` are as the API tells them."""

    def __init__(
        self, phone: Client, session: Json, forward: Json, http: httpx.AsyncClient, origin: str
    ) -> None:
        self.phone = phone
        self.session = session
        self.forward = forward
        self.http = http
        self.origin = origin

    async def get(self, path: str = "/", **more: Any) -> httpx.Response:
        return await self.http.get(path, **more)

    @property
    def cookie(self) -> str:
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.http.cookies.jar)

    def socket(self, path: str, origin: str | None = None, cookie: str | None = None, **more: Any) -> connect:
        parts = urlsplit(self.origin)
        headers = {"cookie": self.cookie if cookie is None else cookie}
        return connect(
            f"ws://{parts.netloc}{path}",
            host="127.0.0.1",
            additional_headers=headers,
            origin=Origin(origin or self.origin),
            proxy=None,
            open_timeout=60,
            **more,
        )

    async def see(self) -> Json:
        listed = (await self.phone.get(f"/sessions/{self.session['id']}/forwards")).json()["forwards"]
        return next(one for one in listed if one["id"] == self.forward["id"])


async def show(phone: Client, session: Json, app: App, **more: Any) -> Json:
    answer = await phone.post(
        f"/sessions/{session['id']}/forwards", {"kind": "web", "target_port": app.port, **more}
    )
    assert answer.status_code == 201, answer.text
    forward: Json = answer.json()["forward"]
    return forward


async def ticket(phone: Client, forward: Json) -> Json:
    answer = await phone.post(f"/sessions/{forward['session_id']}/forwards/{forward['id']}/open")
    assert answer.status_code == 201, answer.text
    opening: Json = answer.json()
    return opening


async def enter(phone: Client, forward: Json) -> tuple[httpx.AsyncClient, httpx.Response, str]:
    """As the page does it: a form with the ticket, sent to the app's origin by a browser with the box's cookies."""
    opening = await ticket(phone, forward)
    parts = urlsplit(opening["url"])
    http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{parts.port}", trust_env=False, timeout=30)
    http.headers["host"] = parts.netloc
    answer = await http.post(parts.path, data={"ticket": opening["ticket"]}, headers={"origin": "null"})
    return http, answer, f"{parts.scheme}://{parts.netloc}"


async def opened(phone: Client, sshd: Sshd, app: App, **more: Any) -> Opened:
    session = await start_session(phone, sshd)
    forward = await show(phone, session, app, **more)
    http, answer, origin = await enter(phone, forward)
    assert answer.status_code == 200, answer.text
    return Opened(phone, session, forward, http, origin)
