"""Web apps of a server in a browser: through a real sshd, on an origin that is not the box's."""

import asyncio
import hashlib
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from clawdbox.ssh.service.live_forward import LiveForward
from tests.ssh.sshd import Sshd
from tests.waiting import eventually
from tests.web.app import App, running
from tests.web.opened import Opened, enter, opened, show, ticket
from tests.web.served import Client, Make, Served
from tests.web.servers import start_session


@pytest.fixture
async def app() -> AsyncIterator[App]:
    async with running(App()) as made:
        yield made


@pytest.fixture
async def tab(phone: Client, sshd: Sshd, app: App) -> AsyncIterator[Opened]:
    """A browser's tab that shows the app."""
    made = await opened(phone, sshd, app)
    yield made
    await made.http.aclose()


class TestEntering:
    async def test_a_ticket_becomes_a_cookie_of_the_apps_origin_and_stays_out_of_every_address(
        self, served: Served, phone: Client, sshd: Sshd, app: App
    ) -> None:
        session = await start_session(phone, sshd)
        forward = await show(phone, session, app)
        assert forward["bound_port"] in range(served.web.port + 1, served.web.port + 21)
        opening = await ticket(phone, forward)
        assert opening["url"] == f"http://127.0.0.1:{forward['bound_port']}/.clawdbox/enter"
        assert opening["ticket"] not in opening["url"]
        http, answer, _ = await enter(phone, forward)
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert (await http.get("/hello?a=1")).json()["query"] == "a=1"
        audited = await served.audit(action="forward.enter")
        assert [row["target_id"] for row in audited] == [forward["id"]]
        await http.aclose()

    async def test_nobody_without_the_cookie_reaches_the_app(self, tab: Opened, app: App) -> None:
        before = len(app.asked)
        login = f"clawdbox_login={tab.phone.http.cookies['clawdbox_login']}"
        async with httpx.AsyncClient(base_url=tab.origin, trust_env=False) as stranger:
            for headers in ({}, {"cookie": login}):
                answer = await stranger.get("/", headers=headers)
                assert (answer.status_code, "Open this from clawdbox" in answer.text) == (403, True)
        with pytest.raises(InvalidStatus) as refused:
            async with tab.socket("/echo", cookie="a=b"):
                pass
        assert refused.value.response.status_code == 403
        assert len(app.asked) == before

    async def test_a_ticket_is_good_once_and_for_a_minute(
        self, served: Served, tab: Opened, phone: Client
    ) -> None:
        opening = await ticket(phone, tab.forward)
        async with httpx.AsyncClient(trust_env=False) as browser:
            codes = [
                (await browser.post(opening["url"], data={"ticket": opening["ticket"]})).status_code
                for _ in "ab"
            ]
            assert codes == [200, 403]
            late = await ticket(phone, tab.forward)
            served.turn(61)
            assert (await browser.post(late["url"], data={"ticket": late["ticket"]})).status_code == 403
            assert (await browser.post(late["url"], data={"ticket": "guessed"})).status_code == 403
            assert (await browser.get(late["url"])).status_code == 404

    async def test_another_account_gets_no_ticket(self, served: Served, tab: Opened) -> None:
        other = await served.browser(await served.account())
        path = f"/sessions/{tab.session['id']}/forwards"
        for answer in (
            await other.get(path),
            await other.post(path, {"kind": "web", "target_port": 3000}),
            await other.post(f"{path}/{tab.forward['id']}/open"),
            await other.delete(f"{path}/{tab.forward['id']}"),
            await other.post(f"/sessions/{tab.session['id']}/listening"),
        ):
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")

    async def test_the_same_app_gets_its_old_port_and_another_app_a_fresh_one(
        self, tab: Opened, phone: Client, app: App
    ) -> None:
        path = f"/sessions/{tab.session['id']}/forwards/{tab.forward['id']}"
        assert (await phone.delete(path)).json()["forward"]["end_reason"] == "closed"
        async with running(App()) as another:
            assert (await show(phone, tab.session, another))["bound_port"] != tab.forward["bound_port"]
        assert (await show(phone, tab.session, app))["bound_port"] == tab.forward["bound_port"]


class TestEnding:
    async def test_an_app_whose_session_ends_while_it_is_being_shown_keeps_no_port(
        self, served: Served, phone: Client, sshd: Sshd, app: App, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        session = await start_session(phone, sshd)
        face = served.box.forwards.face
        assert face is not None
        really, shown = face.show, []

        async def slowly(live: LiveForward, port: int | None) -> int | None:
            assert (await phone.delete(f"/sessions/{session['id']}")).status_code == 200
            shown.append(port)
            return await really(live, port)

        monkeypatch.setattr(face, "show", slowly)
        answer = await phone.post(
            f"/sessions/{session['id']}/forwards", {"kind": "web", "target_port": app.port}
        )
        assert (answer.status_code, answer.json()["code"]) == (409, "session_not_active")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", shown[0])

    async def test_a_revoked_login_ends_pages_streams_and_sockets_at_once(
        self, served: Served, tab: Opened, app: App
    ) -> None:
        other = await served.browser()
        async with tab.http.stream("GET", "/events") as stream, tab.socket("/echo") as socket:
            lines = stream.aiter_lines()
            assert await anext(lines) == "data: 0"
            answer = await other.delete(f"/logins/{tab.phone.login_id}")
            assert answer.status_code == 200
            with pytest.raises(httpx.HTTPError):
                async for _ in lines:
                    pass
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(socket.recv(), 10)
        await asyncio.wait_for(app.gone.wait(), 10)
        await eventually(lambda: app.sockets == 0, what="the app's socket is gone")
        assert (await tab.get("/")).status_code == 403

    @pytest.mark.parametrize("how", ["forward", "session"])
    async def test_what_ends_takes_its_port_along(self, tab: Opened, app: App, how: str) -> None:
        path = f"/sessions/{tab.session['id']}"
        async with tab.socket("/echo") as socket:
            await socket.send("x")
            assert await socket.recv() == "x"
            await tab.phone.delete(path if how == "session" else f"{path}/forwards/{tab.forward['id']}")
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(socket.recv(), 10)
        with pytest.raises(httpx.ConnectError):
            await httpx.AsyncClient(trust_env=False).get(tab.origin)
        assert (await tab.see())["state"] == "ended"
        answer = await tab.phone.post(f"{path}/forwards/{tab.forward['id']}/open")
        assert answer.status_code == 404

    async def test_the_box_stops_with_pages_open(self, make: Make, sshd: Sshd, app: App) -> None:
        served = await make(allow_loopback=True)
        tab = await opened(await served.browser(), sshd, app)
        async with tab.http.stream("GET", "/events") as stream:
            assert await anext(stream.aiter_lines()) == "data: 0"
            await asyncio.wait_for(served.web.stop(), 10)
        await asyncio.wait_for(app.gone.wait(), 10)
        await tab.http.aclose()

    async def test_after_a_cut_link_the_page_works_again(self, tab: Opened, sshd: Sshd) -> None:
        assert (await tab.get("/")).status_code == 200
        sshd.kill_connections()

        async def answers() -> bool:
            return (await tab.get("/")).status_code == 200

        assert (await tab.get("/")).status_code in (200, 502)
        await eventually(answers, timeout=20, what="a page over the new link")


def self_signed(pem: Path) -> Path:
    asked = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=me"
    command = ["openssl", *asked.split(), "-keyout", str(pem), "-out", f"{pem}.crt"]
    subprocess.run(command, check=True, capture_output=True)
    pem.write_bytes(pem.read_bytes() + Path(f"{pem}.crt").read_bytes())
    return pem


class TestHeads:
    async def test_the_app_is_asked_at_its_own_address_and_never_sees_the_boxs_cookies(
        self, tab: Opened, app: App
    ) -> None:
        sent = {
            "cookie": f"clawdbox_login=secret; __Host-clawdbox_login=secret; other=1; {tab.cookie}",
            "origin": tab.origin,
            "referer": f"{tab.origin}/a?b",
            "x-forwarded-for": "1.2.3.4",
            "x-forwarded-host": "evil",
            "connection": "x-hop, keep-alive",
            "x-hop": "1",
            "sec-fetch-site": "same-origin",
        }
        asked = (await tab.get("/", headers=sent)).json()["headers"]
        here = f"http://localhost:{app.port}"
        assert (asked["host"], asked["origin"], asked["referer"]) == (here[7:], here, f"{here}/a?b")
        assert not {"cookie", "x-forwarded-for", "x-forwarded-host", "x-hop"} & asked.keys()

    async def test_cookies_of_the_app_come_back_to_it_and_to_nobody_else(self, tab: Opened, app: App) -> None:
        app.headers = [
            (b"set-cookie", b"sid=1; Path=/; HttpOnly; Secure; Domain=127.0.0.1; SameSite=None"),
            (b"set-cookie", b"clawdbox_login=evil; Path=/"),
            (b"set-cookie", b"__Host-clawdbox_login=evil; Path=/; Secure"),
        ]
        answer = await tab.get("/")
        names = [cookie.split("=")[0] for cookie in answer.headers.get_list("set-cookie")]
        assert len(names) == 1
        assert names[0].startswith("app_")
        assert names[0].endswith("_sid")
        attributes = answer.headers["set-cookie"].lower()
        assert not any(word in attributes for word in ("secure", "domain", "samesite"))
        assert (await tab.get("/")).json()["headers"]["cookie"] == "sid=1"

    @pytest.mark.parametrize(
        "said, shown",
        [
            ("http://localhost:{port}/next?a=b", "/next?a=b"),
            ("http://127.0.0.1:{port}", "/"),
            ("http://localhost:{port}//evil.example/x", "/evil.example/x"),
            ("/relative", "/relative"),
            ("https://login.example/x", "https://login.example/x"),
            ("http://localhost:1/other", "http://localhost:1/other"),
        ],
    )
    async def test_redirects_stay_on_the_origin(self, tab: Opened, app: App, said: str, shown: str) -> None:
        answer = await tab.get(f"/redirect?{said.format(port=app.port)}")
        assert (answer.status_code, answer.headers["location"]) == (302, shown)

    async def test_headers_that_hold_for_the_whole_host_stop_here(self, tab: Opened, app: App) -> None:
        dangerous = ("strict-transport-security", "clear-site-data", "alt-svc", "nel", "report-to")
        app.headers = [(name.encode(), b"x") for name in dangerous]
        app.headers += [(b"cache-control", b"public, max-age=99"), (b"x-mine", b"kept")]
        answer = await tab.get("/")
        assert not set(dangerous) & set(answer.headers)
        assert (answer.headers["cache-control"], answer.headers["x-mine"]) == ("no-store", "kept")
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"

    async def test_a_host_name_of_choice(self, phone: Client, sshd: Sshd, app: App) -> None:
        tab = await opened(phone, sshd, app, host_header="app.test")
        assert (await tab.get("/")).json()["headers"]["host"] == "app.test"
        answer = await tab.get("/redirect?http://app.test/x")
        assert answer.headers["location"] == "/x"
        await tab.http.aclose()

    @pytest.mark.parametrize(
        "headers",
        [
            {"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "script"},
            {"sec-fetch-site": "same-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
            {"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"},
            {"origin": "http://127.0.0.1:1"},
            {"service-worker": "script", "sec-fetch-site": "same-origin"},
        ],
    )
    async def test_what_another_origins_page_asks_for_is_not_passed_on(
        self, tab: Opened, app: App, headers: dict[str, str]
    ) -> None:
        before = len(app.asked)
        assert (await tab.get("/", headers=headers)).status_code == 403
        assert len(app.asked) == before

    async def test_a_person_may_come_from_elsewhere(self, tab: Opened) -> None:
        walks = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
        assert (await tab.get("/", headers=walks)).status_code == 200
        assert (await tab.http.post("/", headers=walks)).status_code == 403


class TestBodies:
    async def test_a_large_upload_arrives_whole(self, tab: Opened) -> None:
        data = os.urandom(20_000_000)
        expected = f"{len(data)} {hashlib.sha256(data).hexdigest()}"

        async def pieces() -> AsyncIterator[bytes]:
            for at in range(0, len(data), 300_000):
                yield data[at : at + 300_000]

        assert (await tab.http.post("/upload", content=data)).text == expected
        assert (await tab.http.put("/upload", content=pieces())).text == expected

    async def test_events_come_one_by_one_and_the_app_hears_that_the_reader_left(
        self, tab: Opened, app: App
    ) -> None:
        async with tab.http.stream("GET", "/events") as stream:
            lines = stream.aiter_lines()
            assert await anext(lines) == "data: 0"
            app.next.set()
            assert [await anext(lines), await anext(lines)] == ["", "data: 1"]
        await asyncio.wait_for(app.gone.wait(), 10)

    async def test_head_ranges_and_unchanged_answers_stay_what_they_are(self, tab: Opened) -> None:
        head = await tab.http.head("/")
        assert (head.status_code, head.content, int(head.headers["content-length"]) > 0) == (200, b"", True)
        part = await tab.get("/range", headers={"range": "bytes=2-4"})
        assert (part.status_code, part.headers["content-range"], part.text) == (206, "bytes 2-4/10", "234")
        same = await tab.get("/same", headers={"if-none-match": '"x"'})
        assert (same.status_code, same.headers["etag"]) == (304, '"x"')

    async def test_a_reader_who_stops_holds_the_app_instead_of_memory(self, tab: Opened, app: App) -> None:
        async with tab.http.stream("GET", "/flood") as stream:
            await anext(stream.aiter_raw())
            seen: list[int] = []

            async def stands_still() -> bool:
                seen.append((await tab.see())["bytes_in"])
                return len(seen) > 30 and seen[-1] == seen[-30]

            await eventually(stands_still, timeout=30, what="a flood that stands still")
            assert seen[-1] < 16 * 1_048_576
        await asyncio.wait_for(app.gone.wait(), 10)

    async def test_an_answer_that_breaks_off_does_not_pass_for_a_whole_one(
        self, phone: Client, sshd: Sshd
    ) -> None:
        async def broken(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
            writer.close()

        server = await asyncio.start_server(broken, "127.0.0.1", 0)
        app = App()
        app.port = server.sockets[0].getsockname()[1]
        tab = await opened(phone, sshd, app)
        with pytest.raises(httpx.RemoteProtocolError):
            await tab.get("/")
        await tab.http.aclose()
        server.close()

    async def test_a_hundred_requests_at_once(self, tab: Opened) -> None:
        answers = await asyncio.gather(*(tab.get(f"/n?{number}") for number in range(100)))
        assert [answer.json()["query"] for answer in answers] == [str(number) for number in range(100)]


class TestSockets:
    async def test_they_carry_text_bytes_and_large_messages(self, tab: Opened, app: App) -> None:
        async with tab.socket("/echo?x=1", subprotocols=["vite-hmr"], max_size=None) as socket:
            assert socket.subprotocol == "vite-hmr"
            for message in ("hello", os.urandom(3_000_000), "ü" * 1000):
                await socket.send(message)
                assert await socket.recv() == message
        asked = app.asked[-1]
        assert (asked["query"], asked["headers"]["origin"]) == ("x=1", f"http://localhost:{app.port}")
        assert "cookie" not in asked["headers"]
        await eventually(lambda: app.sockets == 0, what="the app hears that it was closed")

    async def test_another_origins_page_gets_none(self, tab: Opened, app: App) -> None:
        before = len(app.asked)
        for origin in ("http://evil.example", f"http://127.0.0.1:{tab.forward['bound_port'] + 1}"):
            with pytest.raises(InvalidStatus) as refused:
                async with tab.socket("/echo", origin=origin):
                    pass
            assert refused.value.response.status_code == 403
        assert len(app.asked) == before

    async def test_a_refusal_of_the_app_is_told(self, tab: Opened) -> None:
        with pytest.raises(InvalidStatus) as refused:
            async with tab.socket("/refused"):
                pass
        assert refused.value.response.status_code == 403


class TestTroubles:
    async def test_an_app_that_is_down_is_a_page_that_says_so_until_it_comes_up(
        self, phone: Client, sshd: Sshd
    ) -> None:
        async with running(App()) as app:
            tab = await opened(phone, sshd, app)
        answer = await tab.get("/")
        assert (answer.status_code, f"port {app.port}" in answer.text) == (502, True)
        assert f"port {app.port}" in (await tab.see())["last_refusal"]
        await tab.http.aclose()

    async def test_a_server_that_forbids_forwarding_refuses_at_once(
        self, phone: Client, tmp_path: Path, app: App
    ) -> None:
        with Sshd(tmp_path / "strict", options={"AllowTcpForwarding": "no"}) as server:
            session = await start_session(phone, server)
            body = {"kind": "web", "target_port": app.port}
            answer = await phone.post(f"/sessions/{session['id']}/forwards", body)
        assert (answer.status_code, answer.json()["code"]) == (409, "forward_forbidden")
        assert "AllowTcpForwarding" in answer.json()["detail"]

    async def test_a_self_signed_certificate_is_accepted_by_choice_alone(
        self, phone: Client, sshd: Sshd, tmp_path: Path
    ) -> None:
        async with running(App(), self_signed(tmp_path / "self.pem")) as app:
            strict = await opened(phone, sshd, app, scheme="https")
            answer = await strict.get("/")
            assert (answer.status_code, "certificate" in answer.text) == (502, True)
            lax = await show(phone, strict.session, app, scheme="https", any_certificate=True)
            assert lax["any_certificate"] is True
            http, _, _ = await enter(phone, lax)
            assert (await http.get("/")).json()["headers"]["host"] == f"localhost:{app.port}"
            await http.aclose()
            await strict.http.aclose()

    async def test_http_where_the_app_speaks_https_says_what_to_do(
        self, phone: Client, sshd: Sshd, app: App
    ) -> None:
        tab = await opened(phone, sshd, app, scheme="https", any_certificate=True)
        answer = await tab.get("/")
        assert (answer.status_code, "without https" in answer.text) == (502, True)
        await tab.http.aclose()

    async def test_an_app_that_speaks_no_http_is_told_from_one_that_is_down(
        self, phone: Client, sshd: Sshd
    ) -> None:
        app = App()
        app.port = sshd.port
        tab = await opened(phone, sshd, app)
        answer = await tab.get("/")
        assert (answer.status_code, "http" in answer.text) == (502, True)
        await tab.http.aclose()


class TestHostNames:
    async def test_with_a_domain_each_app_has_a_host_name_and_its_cookies_to_itself(
        self, make: Make, sshd: Sshd, app: App
    ) -> None:
        served = await make(allow_loopback=True, forward_domain="apps.localhost")
        phone = await served.browser()
        tab = await opened(phone, sshd, app)
        assert tab.forward["bound_port"] is None
        assert tab.origin.endswith(f".apps.localhost:{served.web.port}")
        app.headers = [
            (b"set-cookie", b"sid=1; Domain=apps.localhost; Path=/"),
            (b"cache-control", b"max-age=9"),
        ]
        answer = await tab.get("/")
        assert (answer.headers["set-cookie"], answer.headers["cache-control"]) == (
            "sid=1; Path=/",
            "max-age=9",
        )
        sent = {"cookie": f"clawdbox_login=secret; {tab.cookie}"}
        assert (await tab.get("/", headers=sent)).json()["headers"]["cookie"] == "sid=1"
        async with tab.socket("/echo") as socket:
            await socket.send("hello")
            assert await socket.recv() == "hello"
        for path in ("/api/v1/auth/me", "/health", "/metrics"):
            assert (await tab.get(path)).json()["path"] == path
        await tab.phone.delete(f"/sessions/{tab.session['id']}/forwards/{tab.forward['id']}")
        assert (await tab.get("/")).status_code == 404
        await tab.http.aclose()

    async def test_behind_a_tunnel_the_address_is_https_or_the_refusal_says_what_to_set(
        self, make: Make, sshd: Sshd, app: App
    ) -> None:
        plain = await make(allow_loopback=True, public_url="https://box.example")
        phone = await plain.browser()
        session = await start_session(phone, sshd)
        forward = await show(phone, session, app)
        path = f"/api/v1/sessions/{session['id']}/forwards/{forward['id']}/open"
        script = await plain.script()
        answer = await script.ask("POST", path, headers={"host": "box.example"})
        assert (answer.status_code, answer.json()["code"]) == (409, "forward_unreachable")
        assert "forward_domain" in answer.json()["detail"]
        assert (await script.ask("POST", path)).json()["url"].startswith("http://127.0.0.1:")

        named = await make(
            allow_loopback=True, public_url="https://box.example", forward_domain="apps.example"
        )
        other = await named.browser()
        shown = await show(other, await start_session(other, sshd), app)
        url = (await ticket(other, shown))["url"]
        assert url.startswith("https://")
        assert url.endswith(".apps.example/.clawdbox/enter")
