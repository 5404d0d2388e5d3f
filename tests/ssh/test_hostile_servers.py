"""Servers that are broken or mean: the dial ends in bounded time and memory, and says what it met."""

import asyncio
import time
from typing import Any

import asyncssh
import pytest

from clawdbox.ssh.wire.dial import DialFailure, Pin, dial
from tests.ssh.hostile import Endless, Handler, answers, says, serving
from tests.ssh.keys import Keypair, local

VERSION = b"SSH-2.0-OpenSSH_9.9\r\n"
PIN = Pin("SHA256:" + "A" * 43, "ssh-ed25519")


async def meet(handler: Handler, key: Keypair, login_timeout: float = 2.0) -> DialFailure:
    async with serving(handler) as port:
        begun = time.monotonic()
        with pytest.raises(DialFailure) as caught:
            await dial(local(port), PIN, key.private, login_timeout=login_timeout)
        assert time.monotonic() - begun < login_timeout + 8
    return caught.value


@pytest.mark.parametrize(
    "handler, cause, words",
    [
        pytest.param(answers(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "not_ssh", "a web server", id="http"),
        pytest.param(answers(b"\x15\x03\x01\x00\x02\x02\x46"), "not_ssh", "a TLS service", id="tls"),
        pytest.param(
            says(b"220 mail.example ESMTP\r\n", then="stall"), "not_ssh", "a mail or FTP server", id="smtp"
        ),
        pytest.param(says(bytes(range(256)) * 12, then="stall"), "not_ssh", "is no SSH server", id="garbage"),
        pytest.param(says(b"\n" * 2000 + b"hello", then="stall"), "not_ssh", "SSH server", id="empty lines"),
        pytest.param(says(b"SSH-1.5-old\r\n", then="stall"), "not_ssh", "SSH-1.5-old", id="ssh-1"),
        pytest.param(
            says(b"SSH-2.0-\xff\xfe\r\n", then="stall"), "not_ssh", "not plain text", id="version not ascii"
        ),
        pytest.param(says(b"SSH-2.0-" + b"x" * 9000, then="stall"), "not_ssh", "", id="version too long"),
        pytest.param(
            says(VERSION, b"\x7f\xff\xff\xff" * 8, then="stall"), "not_ssh", "broke the SSH", id="huge packet"
        ),
        pytest.param(
            says(VERSION, b"\0\0\0\x0c\x0a\x15" + bytes(10), then="stall"), "not_ssh", "", id="early NEWKEYS"
        ),
        pytest.param(says(), "dropped", "closed the connection at once", id="close at once"),
        pytest.param(says(then="reset"), "dropped", "closed the connection at once", id="reset at once"),
        pytest.param(says(b"Exceeded MaxStartups\r\n"), "dropped", "Exceeded MaxStartups", id="MaxStartups"),
        pytest.param(
            says(b"Not allowed at this time\r\n"), "dropped", "Not allowed", id="PerSourcePenalties"
        ),
        pytest.param(says(VERSION), "dropped", "while exchanging keys", id="close after the version"),
    ],
)
async def test_what_listens_there_is_told_apart(
    handler: Handler, cause: str, words: str, key: Keypair
) -> None:
    found = await meet(handler, key)
    assert (found.cause, found.offered) == (cause, None)
    assert words in found.message


async def test_a_server_that_says_nothing_is_not_ssh_after_the_login_timeout(key: Keypair) -> None:
    found = await meet(says(then="stall"), key, login_timeout=0.4)
    assert found.cause == "not_ssh"
    assert "says nothing" in found.message


async def test_a_stalled_key_exchange_is_a_timeout(key: Keypair) -> None:
    found = await meet(says(VERSION, then="stall"), key, login_timeout=0.4)
    assert found.cause == "timeout"
    assert "exchanging keys" in found.message


@pytest.mark.parametrize(
    "endless",
    [
        pytest.param(Endless(b"Welcome! " * 8 + b"\r\n"), id="lines"),
        pytest.param(Endless(b"x" * 1000), id="one line"),
        pytest.param(Endless(b"\r\n" * 400), id="empty lines"),
        pytest.param(Endless((bytes.fromhex("0000000c0602") + bytes(10)) * 50, VERSION), id="ignore packets"),
    ],
)
async def test_text_without_end_is_cut_off_early(endless: Endless, key: Keypair) -> None:
    found = await meet(endless, key)
    assert found.cause == "not_ssh"
    assert endless.sent < 16 * 1024 * 1024


class Server(asyncssh.SSHServer):
    """An asyncssh server that can be told to misbehave during the login."""

    def __init__(self, banner: str = "", stall: bool = False) -> None:
        self.banner, self.stall = banner, stall
        self.conn: asyncssh.SSHServerConnection | None = None
        self.gone = asyncio.Event()

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self.conn = conn

    async def begin_auth(self, username: str) -> bool:
        while self.banner and self.conn is not None and not self.conn.is_closed():
            self.conn.send_auth_banner(self.banner)
            await asyncio.sleep(0)
        if self.stall:
            await self.gone.wait()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.conn = None
        self.gone.set()


async def meet_asyncssh(server: Server, key: Keypair, login_timeout: float, **options: Any) -> DialFailure:
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    pin = Pin(host_key.get_fingerprint(), "ssh-ed25519")
    acceptor = await asyncssh.listen(
        "127.0.0.1", 0, server_factory=lambda: server, server_host_keys=[host_key]
    )
    with pytest.raises(DialFailure) as caught:
        await dial(local(acceptor.get_port()), pin, key.private, login_timeout=login_timeout, **options)
    acceptor.close()
    await acceptor.wait_closed()
    return caught.value


async def test_endless_banners_during_the_login_are_cut_off_and_what_is_kept_is_small(key: Keypair) -> None:
    heard: list[str] = []
    begun = time.monotonic()
    found = await meet_asyncssh(Server(banner="b" * 20000), key, 30.0, on_banner=heard.append)
    assert found.cause == "not_ssh"
    assert "without end" in found.message
    assert len(heard[0]) <= 16 * 1024
    assert time.monotonic() - begun < 20


async def test_a_login_that_stalls_is_a_timeout_that_says_where(key: Keypair) -> None:
    found = await meet_asyncssh(Server(stall=True), key, 1.0)
    assert found.cause == "timeout"
    assert "logging in" in found.message


async def test_a_hostile_version_line_cannot_forge_text_in_the_message(key: Keypair) -> None:
    found = await meet(says(b"SSH-1.0-\x1b[2J\x1b]0;x\x07\xe2\x80\xaeevil\r\n", then="stall"), key)
    assert found.message.isprintable()
