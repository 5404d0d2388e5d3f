"""Webhooks, ntfy, mail and push endpoints as a way into the network of the box: none of it is led astray."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from clawdbox.net import notify_address_verdict
from clawdbox.notify.model import Email, Kind, Message, Ntfy, State, Target, Webhook, WebPush
from clawdbox.notify.wire.send import Sender
from clawdbox.settings import Settings
from tests.rooms.receiver import Browser, Receiver, receiver

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
MESSAGE = Message("d", Kind.TURN_FINISHED, "Title", "Body.", "/keys", "t", False, 60, NOW)
TLS = ssl.create_default_context()  # once: it takes a tenth of a second
SECRET = "whsec_c2VjcmV0c2VjcmV0c2VjcmV0"
Lookup = Callable[[str, int], Awaitable[list[str]]]


@pytest.fixture
async def inside() -> AsyncIterator[Receiver]:
    """A service on loopback that was never meant to be reached."""
    async with receiver() as made:
        yield made


def naming(*answers: list[str]) -> tuple[Lookup, list[str]]:
    """A name server that answers so, one after the other; and who was asked for."""
    asked: list[str] = []

    async def lookup(host: str, _port: int) -> list[str]:
        asked.append(host)
        return answers[min(len(asked), len(answers)) - 1]

    return lookup, asked


async def send(
    target: Target, *, lookup: Lookup | None = None, own_port: int | None = None, **settings: Any
) -> tuple[State, str | None]:
    async def key() -> ec.EllipticCurvePrivateKey:
        return ec.generate_private_key(ec.SECP256R1())

    chosen = Settings(**{"notify_timeout_s": 2, **settings})
    sender = Sender(chosen, key, TLS, lookup) if lookup else Sender(chosen, key, TLS)
    outcome = await sender.send(target, MESSAGE, address="https://box", own_port=own_port, now=NOW)
    return outcome.state, outcome.code


REFUSED = (State.FAILED, "address_refused")
OPEN: dict[str, Any] = {"notify_loopback": True, "notify_plain_http": True}


def each_kind(url: str, port: int) -> list[Target]:
    browser, host = Browser(), url.split("/")[2].rpartition(":")[0]
    return [
        Webhook(url, SECRET, True),
        Ntfy(url, "t", None, True),
        WebPush(url, browser.p256dh, browser.auth, "https://box"),
        Email(host, port, "none", None, None, "a@example.com", "b@example.com", True),
    ]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]"])
async def test_loopback_is_refused_to_every_kind_of_channel(inside: Receiver, host: str) -> None:
    for target in each_kind(f"http://{host}:{inside.port}/", inside.port):
        state, code = await send(target)
        assert state in (State.FAILED, State.PENDING)
        assert code in ("address_refused", "dns_failed")
    assert inside.connections == 0


async def test_the_box_never_sends_to_itself(inside: Receiver) -> None:
    for target in each_kind(f"http://127.0.0.1:{inside.port}/", inside.port):
        assert await send(target, own_port=inside.port, **OPEN) == REFUSED
    assert inside.connections == 0


@pytest.mark.parametrize(
    "ip",
    [
        "169.254.169.254", "fe80::1", "0.0.0.0", "255.255.255.255", "224.0.0.1", "ff02::1", "fd00:ec2::254",
        "100.100.100.200", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::",
    ],
)  # fmt: skip
def test_some_addresses_are_no_channel_whoever_says_so(ip: str) -> None:
    assert notify_address_verdict(ip, 443, 8022, local=True, loopback=True)


@pytest.mark.parametrize(
    "ip", ["10.0.0.1", "192.168.1.20", "172.16.0.1", "100.64.0.1", "fd00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1"]
)  # fmt: skip
def test_a_local_network_is_reached_only_where_the_account_says_so(ip: str) -> None:
    assert notify_address_verdict(ip, 443, 8022, local=False, loopback=False)
    assert notify_address_verdict(ip, 443, 8022, local=True, loopback=False) is None


@pytest.mark.parametrize("ip", ["1.1.1.1", "2606:4700::1111"])
def test_the_rest_of_the_world_is_reached(ip: str) -> None:
    assert notify_address_verdict(ip, 443, 8022, local=False, loopback=False) is None


async def test_a_push_endpoint_is_never_in_the_local_network() -> None:
    lookup, _ = naming(["192.168.1.20"])
    browser = Browser()
    target = WebPush("https://push.example/x", browser.p256dh, browser.auth, "https://box")
    assert await send(target, lookup=lookup) == REFUSED


async def test_a_name_is_looked_up_once_and_only_that_is_dialled(inside: Receiver) -> None:
    """DNS rebinding: a second look-up would lead inside."""
    lookup, asked = naming(["192.168.1.20"], ["127.0.0.1"])
    assert (
        await send(Webhook(f"https://evil.example:{inside.port}/", SECRET, False), lookup=lookup) == REFUSED
    )
    assert asked == ["evil.example"]
    lookup, asked = naming(["127.0.0.1"], ["192.168.1.20"])
    state = await send(Webhook(f"http://good.example:{inside.port}/x", SECRET, True), lookup=lookup, **OPEN)
    assert state == (State.SENT, None)
    assert asked == ["good.example"]
    (got,) = inside.got
    assert got.headers["host"] == f"good.example:{inside.port}", "the name goes along, the address was judged"


async def test_of_several_addresses_only_the_judged_ones_are_dialled(inside: Receiver) -> None:
    lookup, _ = naming(["127.0.0.1", "169.254.169.254", "10.0.0.1"])
    target = Webhook(f"https://evil.example:{inside.port}/", SECRET, False)
    assert await send(target, lookup=lookup) == REFUSED
    assert inside.connections == 0


async def test_a_redirect_is_not_followed(inside: Receiver) -> None:
    async with receiver() as outside:
        for status in (301, 302, 303, 307, 308):
            outside.answers = [(status, {"Location": f"{inside.url}/admin"})]
            target = Webhook(f"{outside.url}/", SECRET, False)
            assert await send(target, **OPEN) == (State.FAILED, f"http_{status}")
    assert inside.connections == 0


async def test_plain_http_goes_to_no_public_address() -> None:
    """Also where its account calls it local."""
    lookup, _ = naming(["1.1.1.1"])
    target = Webhook("http://hooks.example/", SECRET, True)
    assert await send(target, lookup=lookup) == (State.FAILED, "plain_http_refused")
    mail = Email("mail.example", 25, "none", None, None, "a@example.com", "b@example.com", True)
    assert await send(mail, lookup=lookup) == (State.FAILED, "plain_http_refused")


Act = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def trickling(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while not writer.is_closing():
        writer.write(b"x: y\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)


async def endless_head(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nx: ")
    while not writer.is_closing():
        writer.write(b"a" * 65_536)
        await writer.drain()


async def endless_body(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"a" * 65_536)
        await writer.drain()


async def rubbish(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
    await writer.drain()


async def hanging_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


@pytest.mark.parametrize(
    "act, came",
    [
        (silent, (State.PENDING, "timed_out")),
        (trickling, (State.PENDING, "timed_out")),
        (endless_head, (State.PENDING, "protocol_error")),
        (endless_body, (State.SENT, None)),
        (rubbish, (State.PENDING, "protocol_error")),
        (hanging_up, (State.PENDING, "protocol_error")),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_a_hostile_receiver_costs_little(
    inside: Receiver, act: Act, came: tuple[State, str | None]
) -> None:
    inside.always = act
    async with asyncio.timeout(5):
        assert await send(Webhook(f"{inside.url}/", SECRET, False), notify_timeout_s=0.5, **OPEN) == came


@asynccontextmanager
async def plain_server() -> AsyncIterator[int]:
    """Answers whatever comes as HTTP without TLS."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


async def test_nobody_there_and_no_tls_there_are_told_apart(inside: Receiver) -> None:
    closed = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port = closed.sockets[0].getsockname()[1]
    closed.close()
    await closed.wait_closed()
    nobody = Webhook(f"http://127.0.0.1:{port}/", SECRET, False)
    assert await send(nobody, **OPEN) == (State.PENDING, "connect_failed")
    async with plain_server() as port:
        target = Webhook(f"https://127.0.0.1:{port}/", SECRET, False)
        assert await send(target, **OPEN) == (State.PENDING, "tls_failed")
    mute = Webhook(f"https://127.0.0.1:{inside.port}/", SECRET, False)
    assert await send(mute, notify_timeout_s=0.3, **OPEN) == (State.PENDING, "timed_out")


async def test_a_proxy_of_the_environment_is_not_asked(
    inside: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with receiver() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert await send(Webhook(f"{inside.url}/", SECRET, False), **OPEN) == (State.SENT, None)
        assert (len(inside.got), proxy.connections) == (1, 0)
