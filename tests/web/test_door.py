"""What the door refuses before anything else is asked: names, origins, paths. And the headers it sends along."""

import asyncio
import socket

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from clawdbox.errors import StartRefused
from clawdbox.web.guards import CSP, allowed_hosts
from clawdbox.web.peer import Proxies, is_forwarded
from tests.web.served import API, Client, Make, Served


async def raw(served: Served, request: str) -> str:
    """What comes back when exactly these bytes are sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.web.port)
    writer.write(request.replace("\n", "\r\n").encode("latin-1"))
    answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    await writer.wait_closed()
    return answer.decode("latin-1")


class TestHost:
    @pytest.mark.parametrize(
        "host",
        [
            "localhost",
            "localhost:8022",
            "LOCALHOST",
            "localhost.",
            "127.0.0.1",
            "192.168.1.20:8022",
            "[::1]:8022",
            "[fe80::1]",
        ],
    )
    async def test_addresses_and_localhost_are_answered(self, stranger: Client, host: str) -> None:
        assert (await stranger.ask("GET", "/health", headers={"host": host})).status_code == 200

    async def test_the_machines_own_name_is_answered(self, stranger: Client) -> None:
        name = socket.gethostname()
        for host in (name, f"{name.partition('.')[0]}.local:8022"):
            assert (await stranger.ask("GET", "/health", headers={"host": host})).status_code == 200

    @pytest.mark.parametrize("path", ["/", "/health", "/api/v1/keys", "/schema/openapi.json", "/nothing"])
    async def test_a_name_that_someone_else_points_here_is_refused(self, stranger: Client, path: str) -> None:
        answer = await stranger.ask("GET", path, headers={"host": "rebind.evil.example"})
        assert (answer.status_code, answer.json()["code"]) == (421, "host_refused")
        assert "allowed_hosts" in answer.json()["detail"]
        assert answer.headers["content-security-policy"] == CSP

    async def test_a_socket_under_such_a_name_is_refused(self, served: Served) -> None:
        address = f"ws://rebind.evil.example:{served.web.port}/api/v1/events/live"
        with pytest.raises(InvalidStatus) as refused:
            async with connect(address, host="127.0.0.1", port=served.web.port, proxy=None):
                pass
        assert refused.value.response.status_code == 421

    async def test_names_can_be_allowed(self, make: Make) -> None:
        served = await make(allowed_hosts=["Box.Lan"], public_url="https://box.example.org")
        client = await served.stranger()
        for host in ("box.lan:8022", "box.example.org"):
            assert (await client.ask("GET", "/health", headers={"host": host})).status_code == 200

    @pytest.mark.parametrize(
        "host", ["", "a b", "user@localhost", "localhost:port", "localhost/x", "127.0.0.1, evil"]
    )
    async def test_what_is_no_host_cannot_be_read(self, stranger: Client, host: str) -> None:
        assert (await stranger.ask("GET", "/health", headers={"host": host})).status_code == 400

    async def test_no_host_and_two_hosts_cannot_be_read(self, served: Served) -> None:
        for hosts in ("", "Host: localhost\nHost: evil.example\n"):
            answer = await raw(served, f"GET /health HTTP/1.1\n{hosts}Connection: close\n\n")
            assert answer.startswith("HTTP/1.1 400 ")

    def test_the_name_it_listens_on_is_its_own(self) -> None:
        assert "nas.lan" in allowed_hosts([], "nas.lan", None)


class TestOrigin:
    async def test_its_own_pages_may_change_things(self, phone: Client) -> None:
        answer = await phone.post(
            "/keys", {"label": "a"}, headers={"origin": phone.origin, "sec-fetch-site": "same-origin"}
        )
        assert answer.status_code == 201

    async def test_the_public_address_is_its_own(self, make: Make) -> None:
        served = await make(public_url="https://box.example.org")
        phone = await served.browser()
        for origin, status in (("https://box.example.org", 201), ("http://box.example.org", 403)):
            answer = await phone.post("/keys", {"label": "a"}, headers={"origin": origin})
            assert answer.status_code == status

    async def test_the_same_host_over_another_scheme_or_port_is_another_site(
        self, served: Served, phone: Client
    ) -> None:
        for origin in (f"https://127.0.0.1:{served.web.port}", "http://127.0.0.1", "http://localhost"):
            answer = await phone.post("/keys", {"label": "a"}, headers={"origin": origin})
            assert answer.json()["code"] == "origin_refused", origin
            assert "public_url" in answer.json()["detail"]

    async def test_another_sites_link_may_open_a_page_but_gets_no_permission_to_read(
        self, stranger: Client
    ) -> None:
        answer = await stranger.ask("GET", "/health", headers={"origin": "https://evil.example"})
        assert answer.status_code == 200
        assert not any(name.startswith("access-control-") for name in answer.headers)

    @pytest.mark.parametrize(
        "headers",
        [
            {"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors"},
            {"sec-fetch-site": "cross-site"},
            {"origin": "http://127.0.0.1:3000"},
            {"origin": "null"},
        ],
    )
    async def test_another_port_of_the_same_host_reads_nothing_with_the_persons_login(
        self, phone: Client, headers: dict[str, str]
    ) -> None:
        answer = await phone.get("/auth/me", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "origin_refused")
        assert (await phone.ask("GET", "/", headers=headers)).status_code in (200, 503)

    async def test_pages_may_send_a_form_to_where_apps_are_shown_and_nothing_else_may(
        self, stranger: Client, make: Make
    ) -> None:
        page = await stranger.ask("GET", "/")
        assert page.headers["content-security-policy"] == f"{CSP} http://127.0.0.1:*"
        assert (await stranger.ask("GET", "/health")).headers["content-security-policy"] == CSP
        over_ipv6 = await stranger.ask("GET", "/", headers={"host": "[::1]:8022"})
        assert over_ipv6.headers["content-security-policy"] == f"{CSP} http:"
        tunnel = await (await make(public_url="https://box.example")).stranger()
        page = await tunnel.ask("GET", "/", headers={"host": "box.example"})
        assert page.headers["content-security-policy"] == CSP
        named = await make(public_url="https://box.example", forward_domain="apps.example")
        page = await (await named.stranger()).ask("GET", "/")
        assert page.headers["content-security-policy"] == f"{CSP} https://*.apps.example:443"

    async def test_a_preflight_gets_no_permission(self, stranger: Client) -> None:
        asked = {"origin": "https://evil.example", "access-control-request-method": "POST"}
        answer = await stranger.ask("OPTIONS", f"{API}/keys", headers=asked)
        assert not any(name.startswith("access-control-") for name in answer.headers)


class TestPaths:
    @pytest.mark.parametrize(
        "path",
        [
            "/api/v1//keys",
            "//api/v1/keys",
            "/api/v1/keys;x=1",
            "/x;/api/v1/keys",
            "/api/v1%2fkeys",
            "/api%2Fv1/keys",
            "/api/v1/x/../keys",
            "/api/v1/x/%2e%2e/keys",
            "/api/v1/./keys",
            "/api/v1/keys%00",
            "/api/v1/keys%0a",
            "/api/v1\\keys",
            "/api/v1%5ckeys",
            "/health;/api/v1/keys",
            "/assets/../../../../etc/passwd",
            "/assets/%2e%2e/%2e%2e/etc/passwd",
            "/api/v1/%ff",
        ],
    )
    async def test_a_spelling_that_others_read_otherwise_leads_nowhere(
        self, served: Served, script: Client, path: str
    ) -> None:
        token = script.headers["authorization"]
        answer = await raw(
            served, f"GET {path} HTTP/1.1\nHost: localhost\nAuthorization: {token}\nConnection: close\n\n"
        )
        assert answer.startswith("HTTP/1.1 404 "), answer[:200]
        assert "not_found" in answer

    async def test_another_case_is_another_path(self, script: Client) -> None:
        assert "keypairs" not in (await script.ask("GET", "/API/v1/keys")).text
        assert (await script.ask("GET", "/api/V1/keys")).status_code == 404

    async def test_a_proxys_kind_of_request_line_is_judged_by_its_host_header(self, served: Served) -> None:
        answer = await raw(
            served, "GET http://localhost/health HTTP/1.1\nHost: evil.example\nConnection: close\n\n"
        )
        assert answer.startswith("HTTP/1.1 421 ")


class TestHeaders:
    @pytest.mark.parametrize(
        "path",
        [
            "/",
            "/health",
            "/metrics",
            "/api/v1/keys",
            "/api/v1/nothing",
            "/schema/openapi.json",
            "/assets/x.js",
        ],
    )
    async def test_every_answer_carries_them(self, stranger: Client, path: str) -> None:
        headers = (await stranger.ask("GET", path)).headers
        assert headers["content-security-policy"].startswith(CSP)
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["x-frame-options"] == "DENY"
        assert "camera=()" in headers["permissions-policy"]
        assert "server" not in headers
        assert "strict-transport-security" not in headers

    async def test_nothing_of_the_api_is_kept_in_a_cache(self, phone: Client) -> None:
        for path in ("/auth/me", "/keys", "/nothing"):
            assert (await phone.get(path)).headers["cache-control"] == "no-store"

    async def test_an_endless_head_is_cut_off(self, served: Served) -> None:
        answer = await raw(served, "GET /health HTTP/1.1\nHost: localhost\nX-Much: " + "a" * 400_000)
        assert answer.startswith("HTTP/1.1 431 ")
        head, _, body = answer.partition("\r\n\r\n")
        assert f"content-length: {len(body)}" in head


class TestProxies:
    def test_only_a_trusted_peer_can_speak_for_another(self) -> None:
        proxies = Proxies(["10.0.0.0/8", "192.168.1.5"])
        told = [(b"x-forwarded-for", b"203.0.113.9"), (b"x-forwarded-proto", b"https")]
        assert proxies.resolve("192.168.1.5", "http", told) == ("203.0.113.9", "https")
        assert proxies.resolve("192.168.1.6", "http", told) == ("192.168.1.6", "http")
        assert proxies.resolve(None, "http", told) == (None, "http")
        assert Proxies([]).resolve("192.168.1.5", "http", told) == ("192.168.1.5", "http")

    @pytest.mark.parametrize(
        "chain, client",
        [
            (b"1.2.3.4, 203.0.113.9", "203.0.113.9"),
            (b"1.2.3.4, 203.0.113.9, 10.1.1.1", "203.0.113.9"),
            (b"10.2.2.2, 10.1.1.1", "10.2.2.2"),
            (b"203.0.113.9:4711", "203.0.113.9"),
            (b"[2001:db8::1]:4711", "2001:db8::1"),
            (b"2001:db8::1", "2001:db8::1"),
            (b"203.0.113.9, unknown", "10.0.0.1"),
            (b"", "10.0.0.1"),
        ],
    )
    def test_what_a_client_writes_in_front_of_the_chain_counts_for_nothing(
        self, chain: bytes, client: str
    ) -> None:
        assert Proxies(["10.0.0.0/8"]).resolve("10.0.0.1", "http", [(b"x-forwarded-for", chain)])[0] == client

    def test_the_last_proxy_has_the_word_on_the_scheme(self) -> None:
        headers = [(b"x-forwarded-proto", b"https"), (b"x-forwarded-proto", b"http")]
        assert Proxies(["10.0.0.1"]).resolve("10.0.0.1", "https", headers)[1] == "http"
        assert (
            Proxies(["10.0.0.1"]).resolve("10.0.0.1", "http", [(b"x-forwarded-proto", b"gopher")])[1]
            == "http"
        )

    def test_a_proxy_that_is_no_address_stops_the_start(self) -> None:
        with pytest.raises(StartRefused, match="trusted_proxies"):
            Proxies(["proxy.lan"])

    def test_any_forwarding_header_gives_a_proxy_away(self) -> None:
        assert is_forwarded([(b"via", b"1.1 x")])
        assert not is_forwarded([(b"accept", b"*/*")])

    async def test_a_strangers_header_does_not_change_what_is_written_down(
        self, served: Served, stranger: Client
    ) -> None:
        await stranger.post("/auth/pair", {"code": "x"}, headers={"x-forwarded-for": "203.0.113.9"})
        assert [row["ip_address"] for row in await served.audit(action="login.pair")] == ["127.0.0.1"]


async def test_answers_come_without_a_delay_of_the_network(stranger: Client) -> None:
    """Nagle's algorithm and a delayed acknowledgement would make 40 ms of each answer."""
    took = []
    for _ in range(20):
        answer: httpx.Response = await stranger.ask("GET", "/health")
        took.append(answer.elapsed.total_seconds())
    assert min(took) < 0.02
